"""A discovered circuit as labelled arrays: the score of every edge, writers by readers."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

import numpy as np

from microtome.records.analysis import Analysis, Labelled
from microtome.records.circuit import Circuit
from microtome.records.edges import edges_of, edges_told, scores_of
from microtome.records.positions import BY_POSITION, PositionedScores

DISCOVERY = "discovery"  # the kind of its analysis
# What says how a search went, not what was asked.
_FOUND = frozenset({
    "seconds", "tried", "kept", "value", "partial", "examples done", "examples", "edges done",
    "edges",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class DiscoveryEstimate:
    """What a search for a circuit will take, before it is started.

    ``passes`` are passes over one example, forward or back, a part of one as its share of the
    layers; ``bytes`` are beside the model. Of a search whose length depends on what it finds
    (ACDC) ``passes`` and ``seconds`` are likely values, ``most_passes`` and ``most_seconds`` those
    of the longest search; of all others they are the same. ``curve_passes``, ``curve_seconds`` and
    ``curve_bytes`` are those of the faithfulness curve behind the search, at its usual sizes.
    """

    method: str
    edges: int
    examples: int
    passes: float
    seconds: float
    most_passes: float
    most_seconds: float
    bytes: int
    curve_passes: float
    curve_seconds: float
    curve_bytes: int


def discovery_analysis(circuit: Circuit) -> Analysis:
    """A circuit of ``discover_circuit`` for panels, files and exports.

    Where a writer does not stand before a reader the score is not a number, and neither where a
    partial result did not try an edge.
    """
    if circuit.metadata.get(BY_POSITION):
        held = PositionedScores.of(circuit)
        edges, values = held.edges, held.scores
        axes: tuple[str, ...] = ("position", "writer", "reader")
    else:
        edges, values, axes = edges_of(circuit), scores_of(circuit), ("writer", "reader")
    scores = np.where(edges.exists, values, np.nan).astype(np.float32)
    arrays = {
        "scores": Labelled(axes, scores, long_name=circuit.metadata["scale"]),
        "writers": Labelled(("writer",), np.array(edges.writer_names, dtype=np.str_)),
        "readers": Labelled(("reader",), np.array(edges.reader_names, dtype=np.str_)),
    }
    told = dict(circuit.metadata)
    return Analysis(_identity(told), DISCOVERY, f"Circuit by {told['title']}", arrays, told)


def discovery_of(analysis: Analysis) -> Circuit:
    """The circuit that an analysis holds, also one from a file."""
    told = dict(analysis.params)
    scores = np.nan_to_num(np.asarray(analysis.array("scores"), dtype=np.float64))
    if told.get(BY_POSITION):
        edges = edges_told({**told, "aggregated": True})
        return PositionedScores(edges, scores).circuit(told, told["read"])
    return edges_told(told).as_circuit(scores, told)


def _identity(told: dict[str, object]) -> str:
    """The same for the same question, however long it took."""
    asked = {name: value for name, value in told.items() if name not in _FOUND}
    text = json.dumps(asked, sort_keys=True, default=str)
    return f"discovery-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
