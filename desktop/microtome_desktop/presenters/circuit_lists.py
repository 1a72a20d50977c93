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
from microtome_desktop.presenters.circuit_text import (
    percent,
    place_text,
    signed,
    tells_edge_influence,
    told_number,
)

_MOST_READ = 50_000  # numbers that are searched as text
_MOST_LISTED = 200_000  # edges; of more the strongest
_SAMPLED = 100_000


class Coded(Sequence[str]):
    """A text for each row, of which few are different."""

    def __init__(self, names: Sequence[str], codes: NDArray[np.integer[Any]]) -> None:
        self.names, self.codes = names, codes

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, row: Any) -> Any:
        return self.names[int(self.codes[row])]

    def order(self, rows: Int[np.ndarray, " some"]) -> NDArray[np.generic]:
        """Numbers that sort as the texts of some rows do."""
        _, rank = np.unique(np.array(self.names, dtype=object), return_inverse=True)
        return np.asarray(rank.reshape(-1)[self.codes[rows]])

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
    """A column: what is shown of any row, and what those that are listed are sorted by."""

    title: str
    texts: Coded | Said
    order: NDArray[np.generic]
    number: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Listing:
    """Rows of a circuit, nodes or edges, that are ``listed``: all, or the strongest of very many.

    Texts are of all rows of the circuit; what columns are sorted by is of the listed ones.
    """

    columns: tuple[Column, ...]
    listed: Int[np.ndarray, " row"]

    def rows(self, words: str, column: int, *, descending: bool) -> Int[np.ndarray, " kept"]:
        """Listed rows that hold every word somewhere, in the order of a column."""
        kept = np.arange(len(self.listed))
        for word in words.casefold().split():
            hits = np.zeros(len(kept), bool)
            for column_ in self.columns:
                hits |= column_.texts.holding(word, self.listed[kept])
            kept = kept[hits]
        order = np.argsort(self.columns[column].order[kept], kind="stable")
        return self.listed[kept[order[::-1] if descending else order]]


def nodes(circuit: Circuit) -> Listing:
    """Every node: name, place, kind, score and share of the influence."""
    every = np.arange(circuit.n_nodes)
    names, kinds = Coded(circuit.node_label, every), _coded(circuit.node_kind)
    influence = np.nan_to_num(circuit.node_influence)
    columns = ("node_score", "node_influence")
    scored, shared = (every.size and told_number(circuit, name, 0) is not None for name in columns)
    return Listing((
        Column("node", names, names.order(every)),
        Column("at", _places(circuit), circuit.node_position),
        Column("kind", kinds, kinds.order(every)),
        Column("score", Said(circuit.node_score, signed if scored else _untold),
               np.abs(circuit.node_score), number=True),
        Column("influence", Said(influence, percent if shared else _untold), influence,
               number=True),
    ), every)  # fmt: skip


def edges(circuit: Circuit) -> Listing:
    """Every edge, of very many the strongest: its ends, kind, weight and share of the influence."""
    at, weight = _places(circuit), circuit.edge_weight
    named = [f"{label}  {at[row]}" for row, label in enumerate(circuit.node_label)]
    source, target = (Coded(named, end) for end in (circuit.edge_source, circuit.edge_target))
    titles = [edge_style(kind).title for kind in range(int(circuit.edge_kind.max(initial=0)) + 1)]
    kinds = Coded(titles, circuit.edge_kind)
    listed = np.arange(circuit.n_edges)
    if len(listed) > _MOST_LISTED:
        listed = strongest(weight, _MOST_LISTED)
    influence = np.nan_to_num(circuit.edge_influence[listed])
    share = _share if tells_edge_influence(circuit) else _untold
    return Listing((
        Column("from", source, source.order(listed)),
        Column("to", target, target.order(listed)),
        Column("kind", kinds, kinds.order(listed)),
        Column("weight", Said(weight, signed), np.abs(weight[listed]), number=True),
        Column("influence", Said(circuit.edge_influence, share), influence, number=True),
    ), listed)  # fmt: skip


def strongest(weight: NDArray[Any], count: int) -> Int[np.ndarray, " count"]:
    """The rows of the largest weights by size. Of very many a sample tells first which may be."""
    size, near = np.abs(weight), np.arange(len(weight))
    if len(size) > 4 * count:
        sample = np.sort(size[:: max(1, len(size) // _SAMPLED)])
        least = sample[-1 - min(2 * count * len(sample) // len(size), len(sample) - 1)]
        likely = np.flatnonzero(size >= least)
        near = likely if len(likely) >= count else near
    return near[np.argpartition(size[near], -count)[-count:]]


def _untold(_: float) -> str:
    """What stands where the file of a graph does not tell a number."""
    return "–"


def _share(value: float) -> str:
    return percent(0.0 if np.isnan(value) else value)


def _places(circuit: Circuit) -> Coded:
    """Where each node sits, as text: one for each position."""
    _, first, codes = np.unique(circuit.node_position, return_index=True, return_inverse=True)
    return Coded([place_text(circuit, int(row)) for row in first], codes.reshape(-1))


def _coded(texts: Sequence[str]) -> Coded:
    found = {text: code for code, text in enumerate(dict.fromkeys(texts))}
    return Coded(tuple(found), np.array([found[text] for text in texts], np.int64))
