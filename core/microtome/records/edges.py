"""All edges between components, whatever the position: who writes, who reads, and their names.

Names are those of the files that circuits are exchanged in (EAP-IG, MIB): ``input``, ``a0.h1``,
``m3``, ``logits``; an edge is ``a0.h1->a2.h0<k>``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from microtome.records.circuit import HEAD, MLP, OUTPUT, Circuit, EdgeKind

INPUT = "input"  # token and position embeddings together
LOGITS = "logits"
_SIDES = ("q", "k", "v")
_SIDE_KINDS = {"q": EdgeKind.QUERY, "k": EdgeKind.KEY, "v": EdgeKind.VALUE}
_SIDE_OF = {int(kind): f"<{side}>" for side, kind in _SIDE_KINDS.items()}


@dataclass(frozen=True)
class Edges:
    """The edges of a model of one shape.

    Writers are the input, and of each layer its heads and its MLP. Readers are, of each layer, the
    queries, the keys and the values of every head and the MLP, and at the end the logits. Heads
    that share keys and values read them each by themselves.
    """

    n_layers: int
    n_heads: int
    parallel: bool = False

    @classmethod
    def of(cls, anatomy: Any) -> Edges:
        """The edges of a model, from its ``Anatomy``."""
        heads = int(anatomy.blocks[0].attention.w_q.shape[0])
        return cls(len(anatomy.blocks), heads, anatomy.blocks[0].parallel)

    @property
    def n_writers(self) -> int:
        """Number of writers."""
        return self.first(self.n_layers)

    @property
    def n_readers(self) -> int:
        """Number of readers, the logits among them."""
        return self.n_layers * (3 * self.n_heads + 1) + 1

    def first(self, layer: int) -> int:
        """The first writer of a layer, and so how many write before it."""
        return 1 + layer * (self.n_heads + 1)

    def heads(self, layer: int) -> slice:
        """The writers that are a layer's heads."""
        return slice(self.first(layer), self.first(layer) + self.n_heads)

    def mlp(self, layer: int) -> int:
        """The writer that is a layer's MLP."""
        return self.first(layer) + self.n_heads

    def head_readers(self, layer: int) -> slice:
        """Queries, keys and values of a layer's heads, in this order."""
        start = layer * (3 * self.n_heads + 1)
        return slice(start, start + 3 * self.n_heads)

    def mlp_reader(self, layer: int) -> int:
        """The reader that is a layer's MLP."""
        return int(self.head_readers(layer).stop)

    def before_mlp(self, layer: int) -> int:
        """How many writers an MLP reads."""
        return self.first(layer) if self.parallel else self.mlp(layer)

    def layer_of(self, reader: int) -> int:
        """The layer of a reader; the number of layers for the logits."""
        return reader // (3 * self.n_heads + 1)

    @cached_property
    def node_of(self) -> Int[np.ndarray, " reader"]:
        """The writer that each reader belongs to, -1 for the logits."""
        nodes = []
        for layer in range(self.n_layers):
            heads = self.heads(layer)
            nodes += [*range(heads.start, heads.stop)] * 3 + [self.mlp(layer)]
        return np.array([*nodes, -1])

    @cached_property
    def exists(self) -> Bool[np.ndarray, "writer reader"]:
        """Which writers stand before which readers."""
        found = np.zeros((self.n_writers, self.n_readers), dtype=np.bool_)
        for layer in range(self.n_layers):
            found[: self.first(layer), self.head_readers(layer)] = True
            found[: self.before_mlp(layer), self.mlp_reader(layer)] = True
        found[:, -1] = True
        return found

    @cached_property
    def count(self) -> int:
        """Number of edges."""
        return int(self.exists.sum())

    @cached_property
    def writer_names(self) -> tuple[str, ...]:
        """The writers' names."""
        layers = range(self.n_layers)
        names = [[*(f"a{i}.h{h}" for h in range(self.n_heads)), f"m{i}"] for i in layers]
        return (INPUT, *(name for layer in names for name in layer))

    @cached_property
    def reader_names(self) -> tuple[str, ...]:
        """The readers' names, for example ``a2.h0<k>``."""
        names = []
        for layer in range(self.n_layers):
            heads = range(self.n_heads)
            names += [f"a{layer}.h{head}<{side}>" for side in _SIDES for head in heads]
            names.append(f"m{layer}")
        return (*names, LOGITS)

    def index(self, edge: str) -> tuple[int, int]:
        """Writer and reader of an edge such as ``input->a0.h1<q>``. Raises KeyError for others."""
        writer, _, reader = edge.partition("->")
        try:
            place = self.writer_names.index(writer), self.reader_names.index(reader)
        except ValueError:
            raise KeyError(edge) from None
        if not self.exists[place]:
            raise KeyError(edge)
        return place

    def mask(self, edges: Iterable[str]) -> Bool[np.ndarray, "writer reader"]:
        """Some edges by name."""
        found = np.zeros_like(self.exists)
        for edge in edges:
            found[self.index(edge)] = True
        return found

    def connected(
        self, chosen: Bool[np.ndarray, "writer reader"]
    ) -> Bool[np.ndarray, "writer reader"]:
        """The chosen edges that lie on a way from the input to the logits.

        One sweep upward finds what the input reaches, one downward what reaches the logits: each
        reads every edge once, so that a slider can ask for the circuit at any size.
        """
        fed, ends = self._fed(chosen), self._leading_on(chosen)
        alive = np.append(ends[self.node_of[:-1]], True)
        return np.asarray(chosen & self.exists & fed[:, None] & alive)

    def _fed(self, chosen: Bool[np.ndarray, "writer reader"]) -> Bool[np.ndarray, " writer"]:
        """What the input reaches along chosen edges."""
        found = np.zeros(self.n_writers, dtype=np.bool_)
        found[0] = True
        for layer in range(self.n_layers):
            below, mlp = self.first(layer), self.before_mlp(layer)
            read = chosen[:below, self.head_readers(layer)][found[:below]].any(0)
            found[self.heads(layer)] = read.reshape(len(_SIDES), self.n_heads).any(0)
            found[self.mlp(layer)] = chosen[:mlp, self.mlp_reader(layer)][found[:mlp]].any()
        return found

    def _leading_on(self, chosen: Bool[np.ndarray, "writer reader"]) -> Bool[np.ndarray, " writer"]:
        """What reaches the logits along chosen edges."""
        found = chosen[:, -1].copy()
        for layer in reversed(range(self.n_layers)):
            below, mlp = self.first(layer), self.before_mlp(layer)
            if found[self.mlp(layer)]:  # before the heads, which it may read
                found[:mlp] |= chosen[:mlp, self.mlp_reader(layer)]
            alive = np.tile(found[self.heads(layer)], len(_SIDES))
            found[:below] |= (chosen[:below, self.head_readers(layer)] & alive).any(1)
        return found

    def as_circuit(
        self, scores: Float[np.ndarray, "writer reader"], metadata: dict[str, object]
    ) -> Circuit:
        """Columns of all edges, the edges' scores as their weights."""
        writer, reader = np.nonzero(self.exists)
        # Some may be untried.
        sums = np.nan_to_num(np.where(self.exists, scores, 0.0)).sum(1)
        return self.circuit_of(writer, reader, scores[writer, reader], sums, metadata)

    def circuit_of(
        self,
        writer: Int[np.ndarray, " edge"],
        reader: Int[np.ndarray, " edge"],
        weight: Float[np.ndarray, " edge"],
        sums: Float[np.ndarray, " writer"],
        metadata: dict[str, object],
    ) -> Circuit:
        """Columns of some edges and of all nodes; ``sums`` are those of each one's out-edges."""
        count = self.n_writers + 1
        nothing = np.full(count, -1, dtype=np.int32)
        zero = np.zeros(count, dtype=np.float32)
        layer, head, kind = self._node_columns
        return Circuit(
            node_id=(*self.writer_names, LOGITS),
            node_kind=kind,
            node_layer=layer.copy(),
            node_position=nothing,
            node_head=head.copy(),
            node_feature=nothing.copy(),
            node_label=(*self.writer_names, LOGITS),
            node_score=np.append(sums, 0.0).astype(np.float32),
            node_influence=zero,
            node_bias=zero.copy(),
            edge_source=writer.astype(np.int32),
            edge_target=self.node_read[reader].astype(np.int32),
            edge_kind=self._reader_kinds[reader],
            edge_weight=weight.astype(np.float32),
            edge_influence=np.zeros(len(weight), dtype=np.float32),
            metadata={
                **metadata,
                "n_layers": self.n_layers,
                "n_heads": self.n_heads,
                "parallel": self.parallel,
            },
        )

    @cached_property
    def node_read(self) -> Int[np.ndarray, " reader"]:
        """The node of each reader, the logits behind all writers."""
        return np.append(self.node_of[:-1], self.n_writers)

    @cached_property
    def _node_columns(self) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
        layer, head, kind = [-1], [-1], [INPUT]
        for number in range(self.n_layers):
            layer += [number] * (self.n_heads + 1)
            head += [*range(self.n_heads), -1]
            kind += [HEAD] * self.n_heads + [MLP]
        layers, heads = (np.array([*numbers, -1], dtype=np.int32) for numbers in (layer, head))
        return layers, heads, (*kind, OUTPUT)

    @cached_property
    def _reader_kinds(self) -> Int[np.ndarray, " reader"]:
        return np.array([self._kind(name) for name in self.reader_names], dtype=np.int8)

    @staticmethod
    def _kind(reader: str) -> EdgeKind:
        if reader == LOGITS:
            return EdgeKind.OUT
        return _SIDE_KINDS[reader[-2]] if reader.endswith(">") else EdgeKind.MLP


def edges_of(circuit: Circuit) -> Edges:
    """The edges of the model that an aggregated circuit is of.

    Raises KeyError for a circuit of another kind.
    """
    return edges_told(circuit.metadata)


def edges_told(told: Mapping[str, Any]) -> Edges:
    """The edges of the model that the metadata of an aggregated circuit tell of.

    Raises KeyError for those of a circuit of another kind.
    """
    if not told.get("aggregated"):
        raise KeyError("aggregated")
    return Edges(int(told["n_layers"]), int(told["n_heads"]), bool(told.get("parallel", False)))


def edge_names(circuit: Circuit) -> list[str]:
    """The names of a discovered circuit's edges, for example ``a0.h1->a2.h0<k>``."""
    return [edge_name(circuit, edge) for edge in range(circuit.n_edges)]


def edge_name(circuit: Circuit, edge: int) -> str:
    """The name of one edge of a discovered circuit."""
    source, target = circuit.edge_source[edge], circuit.edge_target[edge]
    side = _SIDE_OF.get(int(circuit.edge_kind[edge]), "")
    return f"{circuit.node_id[source]}->{circuit.node_id[target]}{side}"


def scores_of(circuit: Circuit) -> Float[np.ndarray, "writer reader"]:
    """The weights of an aggregated circuit as a matrix, 0 where it has no edge.

    Raises KeyError for an edge that its model does not have.
    """
    return score_sums(circuit, edges_of(circuit))


def score_sums(circuit: Circuit, edges: Edges) -> Float[np.ndarray, "writer reader"]:
    """The weights of a discovered circuit, those of one edge at several positions summed.

    Raises KeyError for an edge that its model does not have.
    """
    writers = {name: row for row, name in enumerate(edges.writer_names)}
    readers = {name: row for row, name in enumerate(edges.reader_names)}
    names = [name.partition("@")[0] for name in circuit.node_id]
    kinds, kind = np.unique(circuit.edge_kind, return_inverse=True)
    sides = [_SIDE_OF.get(int(number), "") for number in kinds]
    writer_of = np.array([writers.get(name, -1) for name in names])
    reader_of = np.array([[readers.get(name + side, -1) for side in sides] for name in names])
    ends = writer_of[circuit.edge_source], reader_of[circuit.edge_target, kind]
    strange = np.flatnonzero((ends[0] < 0) | (ends[1] < 0))
    if len(strange):
        raise KeyError(edge_name(circuit, int(strange[0])))
    found = np.zeros(edges.exists.shape, dtype=np.float64)
    np.add.at(found, ends, circuit.edge_weight.astype(np.float64))
    return found
