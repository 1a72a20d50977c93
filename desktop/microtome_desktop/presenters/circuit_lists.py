"""The nodes and edges of a circuit as lists that sort and filter without a toolkit.

A circuit may have a million edges, and a screen has fifty rows: texts are made when they are looked
at, and what is sorted or searched for is decided by the few different ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Int
from numpy.typing import NDArray

from microtome.records.circuit import Circuit
from microtome_desktop.presenters.circuit_kinds import edge_style
from microtome_desktop.presenters.circuit_text import percent, place_text, signed

_MOST_READ = 50_000  # numbers that are searched as text


class Coded(Sequence[str]):
    """A text for each row, of which few are different."""

    def __init__(self, names: Sequence[str], codes: NDArray[np.integer[Any]]) -> None:
        self.names, self.codes = names, codes

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, row: Any) -> Any:
        return self.names[int(self.codes[row])]

    @property
    def order(self) -> NDArray[np.generic]:
        """Numbers that sort as the texts do."""
        _, rank = np.unique(np.array(self.names, dtype=object), return_inverse=True)
        return np.asarray(rank.reshape(-1)[self.codes])

    def holding(self, word: str, rows: Int[np.ndarray, " some"]) -> Bool[np.ndarray, " some"]:
        """Which rows hold a word."""
        held = np.array([word in name.casefold() for name in self.names], bool)
        return np.asarray(held[self.codes[rows]]) if len(held) else np.zeros(len(rows), bool)


class Said(Sequence[str]):
    """Numbers as text."""

    def __init__(self, values: NDArray[Any], form: Callable[[float], str]) -> None:
        self.values, self.form = values, form

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, row: Any) -> Any:
        return self.form(float(self.values[row]))

    def holding(self, word: str, rows: Int[np.ndarray, " some"]) -> Bool[np.ndarray, " some"]:
        """Which rows hold a word; none of very many."""
        if len(self) > _MOST_READ or not any(letter.isdigit() for letter in word):
            return np.zeros(len(rows), bool)
        return np.array([word in self[row] for row in rows.tolist()], bool)


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """A column: what is shown, and what it is sorted by."""

    title: str
    texts: Coded | Said
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
            hits = np.zeros(len(kept), bool)
            for column_ in self.columns:
                hits |= column_.texts.holding(word, kept)
            kept = kept[hits]
        order = np.argsort(self.columns[column].order[kept], kind="stable")
        return kept[order[::-1] if descending else order]


def nodes(circuit: Circuit) -> Listing:
    """Every node: name, place, kind, score and share of the influence."""
    every = np.arange(circuit.n_nodes)
    names = Coded(circuit.node_label, every)
    influence = np.nan_to_num(circuit.node_influence)
    return Listing((
        Column("node", names, names.order),
        Column("at", _places(circuit), circuit.node_position),
        _coded("kind", circuit.node_kind),
        Column("score", Said(circuit.node_score, signed), np.abs(circuit.node_score), number=True),
        Column("influence", Said(influence, percent), influence, number=True),
    ))  # fmt: skip


def edges(circuit: Circuit) -> Listing:
    """Every edge: its ends, kind, weight and share of the influence."""
    at = _places(circuit)
    named = [f"{label}  {at[row]}" for row, label in enumerate(circuit.node_label)]
    source, target = (Coded(named, end) for end in (circuit.edge_source, circuit.edge_target))
    influence = np.nan_to_num(circuit.edge_influence)
    found, codes = np.unique(circuit.edge_kind, return_inverse=True)
    kinds = Coded([edge_style(int(kind)).title for kind in found], codes.reshape(-1))
    weight = circuit.edge_weight
    return Listing((
        Column("from", source, source.order),
        Column("to", target, target.order),
        Column("kind", kinds, kinds.order),
        Column("weight", Said(weight, signed), np.abs(weight), number=True),
        Column("influence", Said(influence, percent), influence, number=True),
    ))  # fmt: skip


def _places(circuit: Circuit) -> Coded:
    """Where each node sits, as text: one for each position."""
    _, first, codes = np.unique(circuit.node_position, return_index=True, return_inverse=True)
    return Coded([place_text(circuit, int(row)) for row in first], codes.reshape(-1))


def _coded(title: str, texts: Sequence[str]) -> Column:
    found = {text: code for code, text in enumerate(dict.fromkeys(texts))}
    held = Coded(tuple(found), np.array([found[text] for text in texts], np.int64))
    return Column(title, held, held.order)
