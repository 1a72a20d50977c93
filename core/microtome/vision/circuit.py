"""The circuit of an image, or of a pair, over channels, neurons and heads: exact sums, frozen.

Method and formulas: docs/component-graph.md, "Circuits of channels".
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from microtome.circuits.asking import Subject, prompts_of, settled
from microtome.circuits.coefficients import Rule
from microtome.circuits.growing import Growing
from microtome.errors import ModelError, PromptError
from microtome.jobs import Job, job_or_default
from microtome.metrics import LinearMetric
from microtome.models.given import expect_model
from microtome.models.model import Model
from microtome.models.vision.sight import Sight
from microtome.prompts import ImageInput, plain_prompt
from microtome.records.circuit import (
    CHANNEL,
    DIMENSION,
    IMAGE,
    NEURON,
    OUTPUT,
    UNIT_HEAD,
    UNIT_LAYERS,
    Circuit,
    EdgeKind,
    component_id,
)
from microtome.records.made import stamped
from microtome.records.units import Unit, short_layer
from microtome.vision.frozen import Checked
from microtome.vision.pieces import Pieces
from microtome.vision.sweep import OUT, Sweep

METHOD = "channel-graph"
KINDS = {"channel": CHANNEL, "neuron": NEURON, "dimension": DIMENSION, "head": UNIT_HEAD}
_LETTERS = {CHANNEL: "c", NEURON: "n", DIMENSION: "d", UNIT_HEAD: "h"}
# Units of a layer that are expanded, and floats of all their gradients together.
_MOST, _LEAST, _ROOM = 64, 8, 1 << 27
_SAID = "Gates, routes of max-pools, attention patterns and norm scales are as they were."
_OF_PAIR = "Every step goes through both runs; what one unit really does moves the steps behind it."
_SAME = "Both images give the same value of the metric: there is nothing to explain."


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """An image or a pair put to a model: the pixels and the metric, resolved.

    ``value`` is the metric on the image, ``corrupt_value`` on the other one of a pair.
    """

    sight: Sight
    image: ImageInput
    pixels: Float[Tensor, "one channel row column"]
    metric: LinearMetric
    name: str
    weights: Float[Tensor, " class"]
    value: float
    corrupt: ImageInput | None = None
    corrupt_pixels: Float[Tensor, "one channel row column"] | None = None
    corrupt_value: float | None = None

    @classmethod
    def of(
        cls,
        model: Model,
        subject: Subject,
        metric: LinearMetric | None = None,
        job: Job | None = None,
    ) -> Seen:
        """Run the model on an image or a pair and settle the metric.

        Raises ModelError for a model that does not see, PromptError for what is no image,
        AnswerError and MetricError for what cannot be asked.
        """
        sight, images = seeing(model), images_of(subject)
        pixels = [sight.pixels([image]) for image in images]
        with torch.inference_mode(), Checked(job):
            logits = [sight.logits(each)[0] for each in pixels]
        ends = [np.asarray(each.float().cpu().numpy()) for each in logits]
        chosen = settled(model, subject, metric, *ends)
        weights = torch.as_tensor(chosen.coefficients(len(logits[0]))).to(logits[0])
        values = [float(weights @ each) for each in logits]
        corrupt = (images[1], pixels[1], values[1]) if len(images) > 1 else (None, None, None)
        name = chosen.name(model)
        return cls(sight, images[0], pixels[0], chosen, name, weights, values[0], *corrupt)

    @property
    def explained(self) -> float:
        """The metric, or by how much it is higher than on the other image of a pair."""
        return self.value - (self.corrupt_value or 0.0)

    def pieces(self, job: Job | None = None) -> Pieces:
        """Its run, frozen and cut at the layers of units that are nodes.

        Raises UnknownArchitecture for a module whose steps cannot be frozen.
        """
        layers = circuit_layers(self.sight)
        other = self.corrupt_pixels
        return Pieces.of(self.sight, self.pixels, self.weights, layers, other, job)


def seeing(model: Model) -> Sight:
    """How a model is run on pixels.

    Raises ModelError for one that reads text.
    """
    expect_model(model)
    if model.sight is None:
        raise ModelError(
            f"{model.identity.name} reads text, and has no layers of units.",
            "Ask for component_graph, whose nodes are heads and MLPs.",
        )
    return model.sight


def images_of(subject: Subject) -> tuple[ImageInput, ...]:
    """The image that is asked about, or both of a pair; PromptError for a text."""
    images = []
    for given in prompts_of(subject):
        if isinstance(given, ImageInput):
            images.append(given)
        elif given is not None:
            raise PromptError(f"{given!r} is no image.", "Give an ImageInput.")
    return tuple(images)


def circuit_layers(sight: Sight) -> tuple[str, ...]:
    """The layers whose units are nodes: all but dimensions of a stream that is added to."""
    inner = [name for name, layer in sight.layers.items() if layer.kind != "dimension"]
    return tuple(inner or sight.layers)


def channel_graph(
    model: Model,
    subject: Subject,
    metric: LinearMetric | None = None,
    *,
    tau: float = 3e-4,
    keep: int = 32,
    units: int | None = None,
    job: Job | None = None,
) -> Circuit:
    """The circuit behind a metric on one image, or behind its difference on a pair.

    ``subject`` is an image, a PromptPair of two, or a Question that brings its answers along. Of
    a pair steps go through both runs, what a unit is stands for how much it differs from the
    other image's, and nothing is left to biases. Nodes are the image, the
    units of the model's layers, each with all its places, and the metric; an edge is what a unit
    gives another by direct ways, residual ones among them. A node's score is the sum of its
    out-edges, and its in-edges with ``node_bias`` sum to it too. Of each layer the ``units`` most
    influential ones (without a number 64, in a large net down to 8) are expanded, if they have
    more than ``tau`` of the strongest one's influence; of each the ``keep`` strongest in-edges are
    returned. In ``metadata`` ``unit_layers`` names the layers, and ``unexplored`` is the share of
    the influence that ended at units that were not expanded.
    A search that takes long hands out what it has found so far by ``job.partial``, as
    ``component_graph`` does; before it, while the run is frozen, there is no edge yet.
    Raises ModelError for a model that does not see, UnknownArchitecture for one with a step that
    cannot be frozen, PromptError, AnswerError and MetricError for what cannot be asked.
    """
    job = job_or_default(job)
    started = time.perf_counter()
    job.progress("Freezing the run", 0, 1)
    seen = Seen.of(model, subject, metric, job)
    pieces = seen.pieces(job)
    most = _expanded(pieces) if units is None else units
    making = _Making(model, seen, {"tau": tau, "keep": keep, "units": most})
    growing = Growing(job, making.circuit, started)
    swept = Sweep(pieces, tau, keep, most, job, growing.tell).run()
    return making.circuit(swept, {"seconds": time.perf_counter() - started})


@dataclass(frozen=True, slots=True, eq=False)
class _Making:
    """Makes circuits of what a sweep has found."""

    model: Model
    seen: Seen
    told: dict[str, Any]  # in the metadata of each

    def circuit(self, swept: Sweep, more: dict[str, Any]) -> Circuit:
        metadata = {**_metadata(self.seen, swept), **self.told, **more}
        return stamped(_circuit(self.seen, swept, metadata), self.model.identity)


def _expanded(pieces: Pieces) -> int:
    """How many units of a layer are expanded, so that a large net takes seconds, not minutes."""
    if all(pieces.ways[name] is not None for name in pieces.layers):
        return _MOST
    values = sum(read.numel() for read in pieces.read.values())
    return min(_MOST, max(_LEAST, _ROOM // values))


def _metadata(seen: Seen, swept: Sweep) -> dict[str, Any]:
    explained, paired = seen.explained, seen.corrupt is not None
    cancellation = swept.direct / abs(explained) if explained else None
    told: dict[str, Any] = {
        "method": METHOD,
        "rule": (Rule.TWO_POINT if paired else Rule.SINGLE).value,
        "metric": seen.name,
        "metric_value": seen.value,
        "cancellation": cancellation,
        "unexplored": max(0.0, 1.0 - float(swept.influence[0][0])) if swept.direct else None,
        "prompt": plain_prompt(seen.image),
        "corrupt": None if seen.corrupt is None else plain_prompt(seen.corrupt),
        UNIT_LAYERS: list(swept.pieces.layers),
        "n_layers": len(swept.pieces.layers),
        "notes": [_OF_PAIR if paired else _SAID, *([_SAME] if paired and not explained else [])],
    }
    return {**told, "metric_value_corrupt": seen.corrupt_value} if paired else told


def _circuit(seen: Seen, swept: Sweep, metadata: dict[str, Any]) -> Circuit:
    """All that edges touch, the image first and the metric last."""
    ends = np.concatenate([np.zeros((0, 4), np.int64), *swept.edges])
    starts = np.cumsum([0, *(len(each) for each in swept.influence)])
    last = int(starts[-1])
    source = starts[ends[:, 0]] + ends[:, 1]
    target = np.where(ends[:, 2] == OUT, last, starts[ends[:, 2]] + ends[:, 3])
    nodes = np.unique(np.concatenate([[0, last], source, target]))
    row = np.full(last + 1, -1)
    row[nodes] = np.arange(len(nodes))
    inner = nodes[1:-1]
    place = np.searchsorted(starts, inner, side="right") - 1
    number = inner - starts[place]
    named = []
    for at, unit in zip(place.tolist(), number.tolist(), strict=True):
        swept.job.check()
        named.append(_named(seen.sight, swept.places[at], unit))
    none = np.zeros(0)
    weights, through = (np.concatenate([none, *each]) for each in (swept.weights, swept.through))
    return Circuit(
        node_id=(IMAGE, *(each[0] for each in named), component_id(OUTPUT)),
        node_kind=(IMAGE, *(each[1] for each in named), OUTPUT),
        node_label=(IMAGE, *(each[2] for each in named), seen.name),
        node_layer=np.array([-1, *(place - 1), len(swept.pieces.layers)], np.int32),
        node_position=np.full(len(nodes), -1, np.int32),
        node_head=np.full(len(nodes), -1, np.int32),
        node_feature=np.array([-1, *number, -1], np.int32),
        **_numbers(seen, swept, nodes),
        edge_source=row[source].astype(np.int32),
        edge_target=row[target].astype(np.int32),
        edge_kind=np.full(len(ends), EdgeKind.OUT, np.int8),
        edge_weight=weights.astype(np.float32),
        edge_influence=through.astype(np.float32),
        metadata=metadata,
    )


def _numbers(seen: Seen, swept: Sweep, nodes: np.ndarray) -> dict[str, Any]:
    pieces = swept.pieces
    scores = _each(swept.job, swept.places, pieces.score)
    biases = _each(swept.job, pieces.layers, pieces.bias)
    columns: dict[str, list[np.ndarray]] = {
        "node_score": [*scores, np.array([seen.explained])],
        "node_influence": [*swept.influence, np.ones(1)],
        "node_bias": [np.zeros(1), *biases, np.array([pieces.constant])],
    }
    return {
        name: np.concatenate(parts)[nodes].astype(np.float32) for name, parts in columns.items()
    }


def _each(
    job: Job, names: Sequence[str], made: Callable[[str], Tensor]
) -> Iterator[Float[np.ndarray, " unit"]]:
    for name in names:
        job.check()
        yield made(name).double().cpu().numpy()


def _named(sight: Sight, layer: str, number: int) -> tuple[str, str, str]:
    """A unit's id, kind and label: ``stage1.block0/12`` and ``s1.b0 c12``."""
    kind = KINDS.get(sight.layer(layer).kind, CHANNEL)
    return str(Unit(layer, number)), kind, f"{short_layer(layer)} {_LETTERS[kind]}{number}"
