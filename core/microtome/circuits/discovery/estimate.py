"""What a search for a circuit will take, from shapes and token counts.

What is run for it is one product of matrices, and one forward pass over the first example, which
tells what a pass takes beside its products.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Unpack

import torch

from microtome.circuits.asking import precise
from microtome.circuits.discovery.discover import Options, Settings
from microtome.circuits.discovery.task import expect_data
from microtome.interventions.sweeping.estimate import product_rate, row_flop
from microtome.interventions.sweeping.examples import Metrics, sized_examples
from microtome.interventions.sweeping.task import Example
from microtome.jobs import Job, job_or_default
from microtome.models.arithmetic import anatomy_in, run
from microtome.models.model import Model
from microtome.prompts import Prompt, PromptPair
from microtome.records.discovery import DiscoveryEstimate
from microtome.records.edges import Edges

_USED = 0.6  # of the speed of one large product; the rest are norms, attention and copies
_BACK = 2.0  # passes that one way back takes, with slopes before it and products behind it
_MOVED = 3e9  # bytes a second, of what writers add
_LIKELY = 0.25  # of the edges, that ACDC tries
_TRIES = 2


def estimate_discovery(
    model: Model,
    data: PromptPair | Sequence[PromptPair] | Prompt | Sequence[Prompt],
    metric: Metrics = None,
    method: str = "two-point",
    **options: Unpack[Options],
) -> DiscoveryEstimate:
    """What ``discover_circuit`` with the same arguments will take, before it is started.

    Only shapes and token counts are looked at; one product of matrices and one forward pass over
    the first example are timed. Raises what ``discover_circuit`` raises before it runs anything.
    """
    job = job_or_default(options.get("job"))
    settings = Settings.of(method, options)
    listed, over = expect_data(model, data, settings.ablation, settings.over)
    settings.expect_runs()
    examples = sized_examples(model, listed, metric)
    speed = _Speed.of(model, examples[0], job)
    asked = _Asked(model, settings, examples, len(over))
    likely, most = asked.work(_LIKELY), asked.work(1.0)
    return DiscoveryEstimate(
        method,
        asked.edges.count,
        len(examples),
        likely.passes,
        speed.seconds(likely),
        most.passes,
        speed.seconds(most),
        asked.bytes(),
    )


@dataclass(frozen=True, slots=True)
class _Work:
    """Layers that are gone through, the rows of all of them, and bytes that are moved besides."""

    passes: float
    layers: float
    rows: float
    moved: float = 0.0


@dataclass(frozen=True, slots=True)
class _Speed:
    """Seconds of a layer beside its products, and of a row in it."""

    layer: float
    row: float

    @classmethod
    def of(cls, model: Model, example: Example, job: Job) -> _Speed:
        """From a product of matrices and a pass over an example."""
        row = row_flop(model.anatomy) / _USED / product_rate(model)
        anatomy = anatomy_in(model.anatomy, precise(model.anatomy.embedding.dtype))
        ids, taken = torch.from_numpy(example.base.ids), []
        for _ in range(_TRIES):
            began = time.perf_counter()
            run(anatomy, ids, job=job)
            taken.append(time.perf_counter() - began)
        layer = min(taken) / len(anatomy.blocks)
        return cls(max(layer - len(ids) * row, 0.1 * layer), row)

    def seconds(self, work: _Work) -> float:
        return work.layers * self.layer + work.rows * self.row + work.moved / _MOVED


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    model: Model
    settings: Settings
    examples: tuple[Example, ...]
    over: int

    @property
    def edges(self) -> Edges:
        """The edges of the model."""
        return Edges.of(self.model.anatomy)

    def work(self, tried: float) -> _Work:
        """What is to be done when so large a share of the edges is tried."""
        edges, method = self.edges, self.settings.method
        if method == "exact":
            return self._replaced(edges.count, self._share_of_layers())
        if method == "acdc":
            return self._replaced(tried * edges.count, self._share_of_layers())
        forward, back = self._passes()
        rows = sum(len(example.base) for example in self.examples)
        passes, layers = forward + _BACK * back, edges.n_layers
        count = len(self.examples)
        return _Work((forward + back) * count, passes * layers * count, passes * layers * rows)

    def _passes(self) -> tuple[float, float]:
        """Passes forward and back for one example of a method that makes no real change."""
        edges, settings = self.edges, self.settings
        runs, steps = (2 if settings.ablation == "resample" else 1), int(settings.steps)
        groups = 2 * edges.n_layers + 1
        return {
            "two-point": (runs, 1),
            "eap": (runs, 1),
            "eap-ig": (runs + steps, steps),
            "eap-ig-activations": (runs + steps * groups, steps * groups),
            "clean-corrupt": (runs, 2),
            "routes": (runs + 1, 0),
        }[settings.method]

    def _share_of_layers(self) -> float:
        """The share of a pass that taking one edge away takes, over all edges."""
        edges = self.edges
        above = [edges.n_layers - edges.layer_of(r) for r in range(edges.n_readers)]
        return float((edges.exists.sum(0) @ above) / edges.count / edges.n_layers)

    def _replaced(self, changes: float, share: float) -> _Work:
        edges, identity = self.edges, self.model.identity
        runs = 2 if self.settings.ablation == "resample" else 1
        rows = sum(len(example.base) for example in self.examples)
        passes = runs + changes * share
        written = 4 * edges.n_writers * identity.d_model
        return _Work(
            passes * len(self.examples),
            edges.n_layers * (runs * len(self.examples) + changes / 16),
            passes * edges.n_layers * rows,
            2 * written * rows * changes,
        )

    def bytes(self) -> int:
        """The most bytes beside the model."""
        identity, edges = self.model.identity, self.edges
        longest = max(len(example.base) for example in self.examples)
        number = torch.empty((), dtype=precise(self.model.dtype)).element_size()
        return number * longest * identity.d_model * edges.n_writers * 4
