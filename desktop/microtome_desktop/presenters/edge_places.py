"""At which tokens the edges of a circuit by position work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int

from microtome.records.analysis import Analysis
from microtome.records.positions import BY_POSITION
from microtome_desktop.presenters.circuit_text import percent, signed
from microtome_desktop.presenters.discovery_dial import Ranked
from microtome_desktop.presenters.discovery_judge import shown_name
from microtome_desktop.presenters.tokens import shown_token
from microtome_desktop.state.exports import Table

MOST_ROWS = 200  # of the table on screen; a file has all
_IN_TIP = 3
_SIDES = {"q": "query", "k": "key", "v": "value"}


@dataclass(frozen=True, slots=True)
class PlacedEdge:
    """An edge at one position, as text, and the place that a click selects."""

    edge: str
    token: str
    score: str
    of_edge: str  # the share of all that this edge does at any position
    position: int
    layer: int | None  # of the writer
    head: int | None


@dataclass(frozen=True, eq=False)
class Places:
    """The scores of ``ranked``'s edges at each position, and the tokens that stand there.

    Of several prompts the tokens are those of the first. The logits are ``read`` at some positions.
    """

    ranked: Ranked
    tokens: tuple[str, ...]
    read: tuple[int, ...]
    prompts: int
    scores: Float[np.ndarray, "position edge"]

    @classmethod
    def of(cls, analysis: Analysis, ranked: Ranked) -> Places | None:
        """Those of a circuit by position, None for one that has only sums."""
        told = analysis.params
        if not told.get(BY_POSITION):
            return None
        held = np.nan_to_num(np.asarray(analysis.array("scores"), dtype=np.float64))
        scores = held[:, ranked.writer, ranked.reader]
        tokens = tuple(shown_token(str(token)) for token in told["tokens"])
        return cls(ranked, tokens, tuple(told["read"]), len(told["prompts"]), scores)

    def token(self, position: int) -> str:
        """For example ``␣Mary @3``."""
        return f"{self.tokens[position]} @{position}"

    def shares(self, kept: Bool[np.ndarray, " edge"]) -> Float[np.ndarray, " position"]:
        """How much of all that the kept edges do they do at each position, by size of score."""
        sizes = np.abs(self.scores[:, kept]).sum(1)
        return np.asarray(sizes / max(float(sizes.sum()), 1e-300))

    def choices(self, kept: Bool[np.ndarray, " edge"]) -> tuple[str, ...]:
        """A line for each position: its token, and its share."""
        shares = self.shares(kept).tolist()
        return tuple(f"{self.token(at)}   {percent(share)}" for at, share in enumerate(shares))

    def rows(
        self, kept: Bool[np.ndarray, " edge"], position: int | None
    ) -> tuple[tuple[PlacedEdge, ...], int]:
        """The kept edges at each position or one, largest first, and how many there are of them."""
        sizes = np.where(kept, np.abs(self.scores), 0.0)
        if position is not None:
            sizes[np.arange(len(sizes)) != position] = 0.0
        order = np.argsort(-sizes, axis=None, kind="stable")[:MOST_ROWS]
        places, edges = np.unravel_index(order, sizes.shape)
        shown = zip(places.tolist(), edges.tolist(), strict=True)
        found = tuple(self._row(at, edge) for at, edge in shown if sizes[at, edge] > 0)
        return found, int((sizes > 0).sum())

    def _row(self, at: int, edge: int) -> PlacedEdge:
        ranked, score = self.ranked, float(self.scores[at, edge])
        writer = ranked.edges.writer_names[ranked.writer[edge]]
        reader, _, side = ranked.edges.reader_names[ranked.reader[edge]].partition("<")
        told = f"{shown_name(writer)} → {shown_name(reader)}"
        told += f" {_SIDES[side[0]]}" if side else ""
        share = abs(score) / float(np.abs(self.scores[:, edge]).sum())
        layer, _, head = writer[1:].partition(".h") if writer[0] in "am" else ("", "", "")
        return PlacedEdge(
            told, self.token(at), signed(score), percent(share), at,
            int(layer) if layer else None, int(head) if head else None,
        )  # fmt: skip

    @cached_property
    def _row_of(self) -> Int[np.ndarray, "writer reader"]:
        rows = np.full(self.ranked.edges.exists.shape, -1)
        rows[self.ranked.writer, self.ranked.reader] = np.arange(self.ranked.count)
        return rows

    def told(self, edge: str) -> str:
        """Where an edge such as ``a0.h1->a2.h0<k>`` does most, a line a token."""
        own = self.scores[:, self._row_of[self.ranked.edges.index(edge)]]
        strongest = np.argsort(-np.abs(own), kind="stable")[:_IN_TIP].tolist()
        lines = [f"{signed(float(own[at]))}  at {self.token(at)}" for at in strongest if own[at]]
        return "\n".join(lines)

    def table(self, kept: Bool[np.ndarray, " edge"], *, by_score: bool) -> Table:
        """Every edge at every position with its score, best first, and whether it is kept."""
        names = self.ranked.edges
        there = np.ones(self.scores.shape, dtype=np.bool_)
        unread = np.setdiff1d(np.arange(len(there)), self.read)
        there[np.ix_(unread, self.ranked.reader == names.n_readers - 1)] = False
        at, edge = np.nonzero(there)
        values = self.scores[at, edge]
        order = np.argsort(-values if by_score else -np.abs(values), kind="stable")
        rows = [
            (
                _name(names.writer_names[self.ranked.writer[e]],
                      names.reader_names[self.ranked.reader[e]], place),
                place, self.tokens[place], float(self.scores[place, e]), int(kept[e]),
            )
            for place, e in zip(at[order].tolist(), edge[order].tolist(), strict=True)
        ]  # fmt: skip
        return Table(("edge", "position", "token", "score", "kept"), rows)


def _name(writer: str, reader: str, position: int) -> str:
    """``a0.h1@5->a2.h0@5<k>``, as circuits by position have it."""
    node, angle, side = reader.partition("<")
    return f"{writer}@{position}->{node}@{position}{angle}{side}"


def heading(shown: Sequence[PlacedEdge], count: int, prompts: int) -> str:
    """What stands above the table."""
    first = "; tokens are those of the first prompt" if prompts > 1 else ""
    if not shown:
        return "No edge of the circuit does anything here."
    some = f"The strongest {len(shown)} of {count:,}" if count > len(shown) else f"{count:,}"
    return f"{some} edges at single positions{first}"
