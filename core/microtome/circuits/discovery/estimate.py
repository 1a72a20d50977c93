"""What a search for a circuit will take, from shapes and token counts.

What is run for it is one product of matrices, and one forward pass over the first example, which
tells what a pass takes beside its products.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Unpack

import torch

from microtome.circuits.asking import precise
from microtome.circuits.discovery.acdc import LIKELY
from microtome.circuits.discovery.discover import Options, Settings
from microtome.circuits.discovery.faithful import SIZES
from microtome.circuits.discovery.room import Room
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

# Measured on models of 4 and 12 layers; a test and a benchmark compare with what is taken.
_USED = 0.6  # of the speed of one large product; the rest are norms, attention and copies
_EDGES = 1.75  # how much more passes take whose edges are scored
_BACK = 2.0  # passes that one way back takes, with slopes before it and products behind it
_REPLACED = 2.4  # how much more rows take whose readers have streams of their own
_TESTED = 1.2  # how much more rows take that leave out all edges but a circuit's
_READ = 0.4  # layers that reading a metric takes beside its products
_TOGETHER = 16  # edges that are taken away at once, on average
# ACDC: the share of the edges that is tried, edges a round, and what a try takes of a whole pass
# because of what is not read any more; the longest search tries all, one in a round of two.
_LIKELY, _LONGEST = (LIKELY, 2.3, 1.6, 0.35), (1.0, 1.0, 2.0, 1.0)
_TRIES, _PATIENCE = 6, 0.3  # passes that are timed, and seconds after which two are enough


def estimate_discovery(
    model: Model,
    data: PromptPair | Sequence[PromptPair] | Prompt | Sequence[Prompt],
    metric: Metrics = None,
    method: str = "two-point",
    **options: Unpack[Options],
) -> DiscoveryEstimate:
    """What ``discover_circuit`` with the same arguments will take, before it is started.

    And beside it, what ``faithfulness`` of the circuit at its usual sizes will. Only shapes and
    token counts are looked at; one product of matrices and one forward pass over the first example
    are timed. Raises what ``discover_circuit`` raises before it runs anything.
    """
    job = job_or_default(options.get("job"))
    settings = Settings.of(method, options)
    listed, over = expect_data(model, data, settings.ablation, settings.over)
    settings.expect_runs()
    examples = sized_examples(model, listed, metric)
    speed = _Speed.of(model, examples[0], job)
    asked = _Asked(model, settings, examples, len(over))
    likely, most, curve = asked.work(_LIKELY), asked.work(_LONGEST), asked.curve()
    return DiscoveryEstimate(
        method,
        asked.edges.count,
        len(examples),
        likely.passes,
        speed.seconds(likely),
        most.passes,
        speed.seconds(most),
        asked.bytes(),
        curve.passes,
        speed.seconds(curve),
        asked.curve_bytes(),
    )


@dataclass(frozen=True, slots=True)
class _Work:
    """Layers that are gone through, however many rows they have, and the rows of all of them."""

    passes: float
    layers: float
    rows: float


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
        ids = torch.from_numpy(example.base.ids)
        taken: list[float] = []
        while len(taken) < 2 or (len(taken) < _TRIES and sum(taken) < _PATIENCE):
            began = time.perf_counter()
            run(anatomy, ids, job=job)
            taken.append(time.perf_counter() - began)
        layer = min(taken) / len(anatomy.blocks)
        row = min(row, 0.9 * layer / len(ids))  # a product may have been timed on a busy machine
        return cls(layer - len(ids) * row, row)

    def seconds(self, work: _Work) -> float:
        """What work takes."""
        return work.layers * self.layer + work.rows * self.row


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

    @property
    def lengths(self) -> dict[int, int]:
        """How many examples there are of each number of tokens."""
        return dict(Counter(len(example.base) for example in self.examples))

    def work(self, search: tuple[float, float, float, float]) -> _Work:
        """What is to be done, by ACDC when a search is so long."""
        edges, method, count = self.edges, self.settings.method, len(self.examples)
        if method == "exact":
            calls = edges.count / _TOGETHER
            return self._replaced(edges.count, calls, calls / 2 * count, _REPLACED)
        if method == "acdc":
            share, together, waste, part = search
            tried = share * edges.count
            rounds = tried / together
            return self._replaced(tried * waste, rounds, rounds * count, part)
        forward, back = self._passes()
        calls, rows, held = 0.0, 0.0, forward + _BACK * back
        for length, examples in self.lengths.items():
            most = 1
            if not self.model.anatomy.norms_on_stream:
                room = Room.of(self.model.anatomy, length, self.settings.budget)
                most = room.examples(self._at_once) if back else 1
            once = forward / max(1, self._at_once + 1) if most > 1 or back else forward
            calls += math.ceil(examples / most) * (once + _BACK * max(1, back / self._at_once))
            rows += held * examples * length
        layers = edges.n_layers * (_EDGES if back else 1.0)
        return _Work((forward + back) * count, calls * layers, rows * layers)

    @property
    def _at_once(self) -> int:
        """Runs of an example that go back together."""
        ways = {"clean-corrupt": 2, "eap-ig": self.settings.steps}
        ways["eap-ig-activations"] = self.settings.steps
        return int(ways.get(self.settings.method, 1))

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
            "routes": (1, 0),
        }[settings.method]

    def _share_of_layers(self) -> float:
        """The share of a pass that taking one edge away takes, over all edges."""
        edges = self.edges
        above = [edges.n_layers - edges.layer_of(r) for r in range(edges.n_readers)]
        return float((edges.exists.sum(0) @ above) / edges.count / edges.n_layers)

    def curve(self) -> _Work:
        """What testing circuits of all sizes, by score and by size of score, takes."""
        tested = 2 + 2 * len(SIZES)  # the whole model and no edge at all among them
        return self._replaced(tested, tested, tested * len(self.examples), _TESTED, share=1.0)

    def _replaced(
        self, changes: float, calls: float, read: float, part: float, share: float | None = None
    ) -> _Work:
        """So many changes in so many calls; a row of them takes a ``part`` of one of a pass.

        Each goes through a ``share`` of the layers, that of taking one edge away if none is given.
        """
        layers = self.edges.n_layers
        share = self._share_of_layers() if share is None else share
        runs, count = (2 if self.settings.ablation == "resample" else 1), len(self.examples)
        rows = sum(len(example.base) for example in self.examples)
        return _Work(
            (runs + changes * share) * count,
            layers * len(self.lengths) * (runs + calls * share) + _READ * read,
            layers * rows * (runs + changes * share * part),
        )

    def bytes(self) -> int:
        """The most bytes beside the model, as far as the budget lets them grow."""
        edges, anatomy, budget = self.edges, self.model.anatomy, self.settings.budget
        most = self._replaced_bytes(_TOGETHER)
        if self.settings.method not in ("exact", "acdc"):
            most = 0
            for length, examples in self.lengths.items():
                room = Room.of(anatomy, length, budget)
                together = min(examples, room.examples(self._at_once))
                most = max(most, together * (room.example + (self._at_once + 2) * room.run))
        scores = 8 * edges.n_writers * edges.n_readers
        return most + scores * (max(self.lengths) if self.settings.by_position else 1)

    def curve_bytes(self) -> int:
        """The same of a curve."""
        return self._replaced_bytes(1)

    def _replaced_bytes(self, together: int) -> int:
        """Of runs with edges taken away, so many changes of an example at once."""
        most = 0
        for length, examples in self.lengths.items():
            room = Room.of(self.model.anatomy, length, self.settings.budget)
            held = min(examples, room.grounded) * room.ground
            runs = min(room.replaced, together * examples) * room.changed
            most = max(most, 2 * held + runs)
        return most
