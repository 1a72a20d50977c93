"""The circuit of each slice of a suite, and what differs between two of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float

from microtome.errors import InputError
from microtome.records.analysis import Analysis, Labelled
from microtome.records.circuit import Circuit
from microtome.records.edges import Edges, edges_told

SLICE_CIRCUITS = "slice-circuits"  # the kind of its analysis


@dataclass(frozen=True, slots=True, eq=False)
class CircuitDifference:
    """What two circuits of the same number of edges share; edges by name, the strongest first.

    ``overlap`` are the edges that both have, as a share of those that either has; ``correlation``
    is Spearman's, of the signed scores of all edges, NaN where one has no order.
    """

    first: str
    second: str
    shared: tuple[str, ...]
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]
    overlap: float
    correlation: float


@dataclass(frozen=True, slots=True, eq=False)
class SliceCircuits:
    """The score of every edge in each slice, NaN where there is none; ``cases`` were used."""

    slices: tuple[str, ...]
    cases: tuple[int, ...]
    scores: Float[np.ndarray, "slice writer reader"]
    params: Mapping[str, Any] = field(default_factory=dict)

    @property
    def edges(self) -> Edges:
        """The edges that are scored."""
        return edges_told(self.params)

    def row(self, name: str) -> int:
        """The row of a slice. Raises InputError for one that has no circuit."""
        if name not in self.slices:
            raise InputError(
                f"There is no circuit of the slice {name!r}.", f"Slices: {', '.join(self.slices)}."
            )
        return self.slices.index(name)

    def circuit(self, name: str) -> Circuit:
        """One slice's circuit, as ``discover_circuit`` gives it."""
        row = self.row(name)
        told = {**self.params, "slice": name, "cases": self.cases[row]}
        return self.edges.as_circuit(np.nan_to_num(self.scores[row].astype(np.float64)), told)


def slice_circuits_analysis(found: SliceCircuits) -> Analysis:
    """The circuits as labelled arrays, for panels, files and exports."""
    edges = found.edges
    arrays = {
        "scores": Labelled(
            ("slice", "writer", "reader"),
            found.scores.astype(np.float32),
            long_name=str(found.params["scale"]),
        ),
        "cases": Labelled(("slice",), np.array(found.cases, dtype=np.int64)),
    }
    texts = (
        ("slice", found.slices),
        ("writer", edges.writer_names),
        ("reader", edges.reader_names),
    )
    for axis, names in texts:
        arrays[f"{axis}s"] = Labelled((axis,), np.array(names, dtype=np.str_))
    params = dict(found.params)
    return Analysis(str(params["id"]), SLICE_CIRCUITS, "Circuits by slice", arrays, params)


def slice_circuits_of(analysis: Analysis) -> SliceCircuits:
    """The circuits that an analysis holds, also one from a file."""
    return SliceCircuits(
        slices=tuple(str(name) for name in analysis.array("slices")),
        cases=tuple(int(count) for count in analysis.array("cases")),
        scores=analysis.array("scores"),
        params=dict(analysis.params),
    )
