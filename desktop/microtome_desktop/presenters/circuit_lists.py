"""The nodes and edges of a circuit as lists that sort and filter without a toolkit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int
from numpy.typing import NDArray

from microtome.records.circuit import Circuit
from microtome_desktop.presenters.circuit_kinds import edge_style
from microtome_desktop.presenters.circuit_text import percent, place_text, signed


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """A column: what is shown, and what it is sorted by."""

    title: str
    texts: Sequence[str]
    order: NDArray[np.generic]
    number: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Listing:
    """Rows of a circuit, nodes or edges; row i of every column is row i of the circuit."""

    columns: tuple[Column, ...]

    @property
    def n_rows(self) -> int:
        """How many rows there are before any filter."""
        return len(self.columns[0].texts)

    def rows(self, words: str, column: int, *, descending: bool) -> Int[np.ndarray, " kept"]:
        """Rows that hold every word somewhere, in the order of a column."""
        kept = np.arange(self.n_rows)
        for word in words.casefold().split():
            hits = [self._holds(row, word) for row in kept.tolist()]
            kept = kept[np.asarray(hits, dtype=bool)] if len(kept) else kept
        order = np.argsort(self.columns[column].order[kept], kind="stable")
        return kept[order[::-1] if descending else order]

    def _holds(self, row: int, word: str) -> bool:
        return any(word in column.texts[row].casefold() for column in self.columns)


def nodes(circuit: Circuit) -> Listing:
    """Every node: name, place, kind, score and share of the influence."""
    places = [place_text(circuit, node) for node in range(circuit.n_nodes)]
    influence = np.nan_to_num(circuit.node_influence)
    return Listing((
        Column("node", circuit.node_label, np.array(circuit.node_label)),
        Column("at", places, circuit.node_position),
        Column("kind", circuit.node_kind, np.array(circuit.node_kind)),
        Column("score", [signed(float(v)) for v in circuit.node_score],
               np.abs(circuit.node_score), number=True),
        Column("influence", [percent(float(v)) for v in influence], influence, number=True),
    ))  # fmt: skip


def edges(circuit: Circuit) -> Listing:
    """Every edge: its ends, kind, weight and share of the influence."""
    ends = [
        [f"{circuit.node_label[n]}  {place_text(circuit, int(n))}" for n in rows]
        for rows in (circuit.edge_source, circuit.edge_target)
    ]
    kinds = [edge_style(int(kind)).title for kind in circuit.edge_kind]
    influence = np.nan_to_num(circuit.edge_influence)
    return Listing((
        Column("from", ends[0], np.array(ends[0], dtype=object)),
        Column("to", ends[1], np.array(ends[1], dtype=object)),
        Column("kind", kinds, np.array(kinds, dtype=object)),
        Column("weight", [signed(float(v)) for v in circuit.edge_weight],
               np.abs(circuit.edge_weight), number=True),
        Column("influence", [percent(float(v)) for v in influence], influence, number=True),
    ))  # fmt: skip
