"""Circuits whose edges are kept position by position: ``a0.h1@5->a2.h0@5<k>``.

An edge stands where the stream carries it: what a writer adds at a position is read there. A head's
node at a position is its output there; its keys and values are read there by queries behind, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from microtome.records.circuit import Circuit
from microtome.records.edges import Edges, edges_told, score_sums

BY_POSITION = "by_position"  # whether a circuit's edges are, in its metadata
SUMMED = "summed"  # over how many positions they were summed
_OF_POSITIONS = frozenset({BY_POSITION, "n_positions", "read", "tokens"})


@dataclass(frozen=True, slots=True, eq=False)
class PositionedScores:
    """The scores of all edges at each position, 0 into the logits where these are not read."""

    edges: Edges
    scores: Float[np.ndarray, "position writer reader"]

    def circuit(self, metadata: dict[str, Any], read: Sequence[int]) -> Circuit:
        """Columns of the edges at all positions; logits have nodes where they are ``read``."""
        edges, count, per = self.edges, len(self.scores), self.edges.n_writers
        plain = edges.as_circuit(np.zeros(edges.exists.shape), {})
        source, target, kept = self._ends(plain, read)
        writer, reader = np.nonzero(edges.exists)
        weight = self.scores[:, writer, reader][kept]
        parts = np.concatenate([np.tile(np.arange(per), count), np.full(len(read), per)]).tolist()
        places = np.concatenate([np.repeat(np.arange(count), per), np.array(read, dtype=np.int64)])
        names = tuple(plain.node_id[part] for part in parts)
        sums = np.bincount(source, np.nan_to_num(weight), minlength=len(parts))
        nothing = np.zeros(len(parts), dtype=np.float32)
        return Circuit(
            node_id=tuple(f"{name}@{at}" for name, at in zip(names, places.tolist(), strict=True)),
            node_kind=tuple(plain.node_kind[part] for part in parts),
            node_layer=plain.node_layer[parts],
            node_position=places.astype(np.int32),
            node_head=plain.node_head[parts],
            node_feature=np.full(len(parts), -1, dtype=np.int32),
            node_label=names,
            node_score=sums.astype(np.float32),
            node_influence=nothing,
            node_bias=nothing.copy(),
            edge_source=source.astype(np.int32),
            edge_target=target.astype(np.int32),
            edge_kind=np.tile(plain.edge_kind, (count, 1))[kept],
            edge_weight=weight.astype(np.float32),
            edge_influence=np.zeros(len(weight), dtype=np.float32),
            metadata={
                **metadata,
                BY_POSITION: True,
                "n_positions": count,
                "read": list(read),
                "n_layers": edges.n_layers,
                "n_heads": edges.n_heads,
                "parallel": edges.parallel,
            },
        )

    def _ends(
        self, plain: Circuit, read: Sequence[int]
    ) -> tuple[
        Int[np.ndarray, " edge"], Int[np.ndarray, " edge"], Bool[np.ndarray, "position all"]
    ]:
        """Rows of the nodes at both ends of each edge, and which edges there are."""
        per, count = self.edges.n_writers, len(self.scores)
        at = np.arange(count)[:, None]
        logits = plain.edge_target == per
        row, is_read = np.zeros((count, 1), dtype=np.int64), np.isin(at, read)
        row[list(read), 0] = np.arange(len(read))
        source = at * per + plain.edge_source
        target = np.where(logits, count * per + row, at * per + plain.edge_target)
        kept = ~logits | is_read
        return source[kept], target[kept], kept

    @classmethod
    def of(cls, circuit: Circuit) -> PositionedScores:
        """The scores of a whole circuit by position, in the order in which it was made.

        Raises KeyError for a circuit of another kind.
        """
        told = circuit.metadata
        if not told.get(BY_POSITION):
            raise KeyError(BY_POSITION)
        edges = Edges(int(told["n_layers"]), int(told["n_heads"]), bool(told["parallel"]))
        writer, reader = np.nonzero(edges.exists)
        kept = np.ones((int(told["n_positions"]), edges.count), dtype=np.bool_)
        kept[:, reader == edges.n_readers - 1] = False
        kept[np.ix_(told["read"], reader == edges.n_readers - 1)] = True
        found = np.zeros(kept.shape)
        found[kept] = circuit.edge_weight
        scores = np.zeros((len(kept), *edges.exists.shape))
        scores[:, writer, reader] = found
        return cls(edges, scores)


def summed(circuit: Circuit) -> Circuit:
    """A discovered circuit by position with its edges summed over all of them.

    Any other circuit is given back as it is.
    """
    told = circuit.metadata
    if not told.get(BY_POSITION):
        return circuit
    left = {name: value for name, value in told.items() if name not in _OF_POSITIONS}
    left |= {"aggregated": True, SUMMED: int(told["n_positions"])}
    edges = edges_told(left)
    return edges.as_circuit(score_sums(circuit, edges), left)
