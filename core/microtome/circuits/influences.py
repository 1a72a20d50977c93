"""Which part of an attribution graph to show, by the rule that circuit-tracer published.

Weights into each node, their sizes scaled to sum to one, pass influence on from the outputs down,
which begin with their probabilities. Nodes stay that together have a share of it; over their edges
influence flows anew, and those edges stay that together carry a share. Features and errors that
then feed nothing, and features that nothing feeds, go until none is left. In a graph that has
neither tokens nor errors, what nothing feeds is where influence may begin.

Ameisen et al., "Circuit Tracing" (2025); ``prune_graph`` of circuit-tracer. There the graph is a
matrix. Here edges stay a list, sorted once; a flow is one sparse triangular solve, and a threshold
is found among the sums of values alike to eight bits, so that a slider can be followed.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.sparse import coo_array, csc_array
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import spsolve_triangular

from microtome.errors import InputError, expect
from microtome.records.circuit import (
    ATTENTION_ERROR,
    BIAS,
    ERROR,
    HEAD,
    IMAGE,
    INPUT,
    MLP,
    OUTPUT,
    POSITION,
    TOKEN,
    UNITS,
    Circuit,
)

NODE_INFLUENCE, EDGE_INFLUENCE = 0.8, 0.98  # the shares of circuit-tracer
_EMBEDDINGS = (TOKEN, POSITION, INPUT, IMAGE)
_SOURCES = (*_EMBEDDINGS, ERROR, ATTENTION_ERROR, BIAS)
_COMPONENTS = frozenset({*_EMBEDDINGS, HEAD, MLP, OUTPUT, *UNITS})
_LEAST = 1e-10  # weights into a node that count as none, as published
_BITS = 44  # of a float64 that are left out where values are counted by size

Nodes = Bool[np.ndarray, " node"]
Edges = Bool[np.ndarray, " edge"]


def has_components_alone(circuit: Circuit) -> bool:
    """Whether it is a graph of heads and MLPs, or of units, which ``prune`` is for."""
    return _COMPONENTS.issuperset(circuit.node_kind)


def why_no_order(circuit: Circuit) -> str:
    """Why influence cannot flow in a graph, empty when it can."""
    if circuit.metadata.get("cyclic"):
        return "The graph has cycles: there is no order from input to output."
    return "" if OUTPUT in circuit.node_kind else "The graph has no output that influence is of."


def prune_by_influence(
    circuit: Circuit, node_share: float = NODE_INFLUENCE, edge_share: float = EDGE_INFLUENCE
) -> Circuit:
    """The part of an attribution graph that circuit-tracer's ``prune_graph`` keeps.

    The shares go from 0 to 1; tokens and outputs always stay. Influences of what is kept are as
    they were. Outputs begin with their probability, which is their ``node_influence``. Raises
    InputError for a graph with cycles or without an output, and for other shares.
    """
    expect(circuit, Circuit, "circuit", "a Circuit", "Read one with read_graph.")
    if not (0 <= node_share <= 1 and 0 <= edge_share <= 1):
        raise InputError(
            f"Shares of {node_share} of nodes and {edge_share} of edges are not both from 0 to 1.",
            "Give for example 0.8 and 0.98.",
        )
    if reason := why_no_order(circuit):
        raise InputError(reason, "Choose nodes and edges by their weights.")
    return circuit.select(*Influences.of(circuit).kept(node_share, edge_share))


@dataclass(slots=True, eq=False)
class Influences:
    """A graph made ready for its two sliders: edges sorted, nodes in an order, influence flowed.

    ``by_strength`` graphs have no order; there a node counts as much as its weights, and an edge as
    much as its own.
    """

    kinds: Int[np.ndarray, " node"]  # 0 inner, 1 source, 2 embedding, 3 output
    place: Int[np.ndarray, " node"]  # grows along every edge
    order: Int[np.ndarray, " edge"]  # rows of the circuit's edges, as sorted here
    source: Int[np.ndarray, " edge"]
    target: Int[np.ndarray, " edge"]
    size: Float[np.ndarray, " edge"]
    outputs: Float[np.ndarray, " node"]
    by_strength: bool
    influence: Float[np.ndarray, " node"] = field(init=False)
    _last: tuple[float, Nodes, Float[np.ndarray, " edge"]] | None = None

    def __post_init__(self) -> None:
        if self.by_strength:
            n = len(self.kinds)
            leaving = np.bincount(self.source, self.size, n)
            self.influence = leaving + np.bincount(self.target, self.size, n)
        else:
            through = self._flowed(np.ones(len(self.size), bool))
            self.influence = np.bincount(self.source, through, len(self.kinds))

    @classmethod
    def of(cls, circuit: Circuit) -> Influences:
        """What the sliders of a circuit need."""
        by_strength = bool(why_no_order(circuit))
        names = np.array(circuit.node_kind)
        kinds = np.zeros(circuit.n_nodes, np.int8)
        for number, some in enumerate((_SOURCES, _EMBEDDINGS, (OUTPUT,)), start=1):
            kinds[np.isin(names, some)] = number
        if not (kinds % 3).any():  # neither tokens nor errors: all would go that nothing feeds
            fed = np.bincount(circuit.edge_target, minlength=circuit.n_nodes) > 0
            kinds[(kinds == 0) & ~fed] = 1
        place = np.arange(circuit.n_nodes) if by_strength else _places(circuit)
        order = np.lexsort((place[circuit.edge_source], place[circuit.edge_target]))
        outputs = np.where(kinds == 3, circuit.node_influence.astype(np.float64), 0.0)
        if not outputs.any():
            outputs = (kinds == 3).astype(np.float64)
        weight = circuit.edge_weight.astype(np.float64)
        source, target = (end[order] for end in (circuit.edge_source, circuit.edge_target))
        size = np.abs(np.nan_to_num(weight))[order]
        return cls(kinds, place, order, source, target, size, outputs, by_strength)

    @property
    def nbytes(self) -> int:
        """Bytes of memory that it takes."""
        columns = (self.place, self.order, self.source, self.target, self.size, self.influence)
        return sum(column.nbytes for column in columns)

    def kept(self, node_share: float, edge_share: float) -> tuple[Nodes, Edges]:
        """Rows of the circuit's nodes and edges that the two shares keep."""
        nodes, through = self._candidates(node_share)
        strong = (through >= threshold(through, edge_share)) & (through > 0)
        nodes, rows = self._connected(nodes, np.flatnonzero(strong))
        edges = np.zeros(len(self.order), bool)
        edges[self.order[rows]] = True
        return nodes, edges

    def _candidates(self, share: float) -> tuple[Nodes, Float[np.ndarray, " edge"]]:
        """Nodes by influence, and what flows through the edges among them."""
        if self._last is None or self._last[0] != share:
            chosen = self.influence >= threshold(self.influence, share)
            chosen |= self.kinds >= 2
            among = chosen[self.source] & chosen[self.target]
            through = np.where(among, self.size, 0.0) if self.by_strength else self._flowed(among)
            self._last = share, chosen, through
        return self._last[1:]

    def _flowed(self, among: Edges) -> Float[np.ndarray, " edge"]:
        """What passes through each edge when influence flows over some of them."""
        n, rows = len(self.kinds), np.flatnonzero(among)
        source, target, size = self.source[rows], self.target[rows], self.size[rows]
        total = np.bincount(target, size, n)
        share = size / np.maximum(total, _LEAST)[target]
        through = np.zeros(len(among))
        through[rows] = share * self._solved(source, target, share)[target]
        return through

    def _solved(
        self,
        source: Int[np.ndarray, " some"],
        target: Int[np.ndarray, " some"],
        share: Float[np.ndarray, " some"],
    ) -> Float[np.ndarray, " node"]:
        """X = outputs + shares · x: each node has what its targets hand on, and its own."""
        n = len(self.kinds)
        # Columns are targets, in whose order the edges lie already; the diagonal ends each.
        counts = np.bincount(self.place[target], minlength=n) + 1
        starts = np.concatenate([[0], np.cumsum(counts)])
        at = np.arange(len(source)) + self.place[target]
        rows, values = np.empty(starts[-1], np.int32), np.ones(starts[-1])
        rows[starts[1:] - 1] = np.arange(n)
        rows[at], values[at] = self.place[source], -share
        matrix = csc_array((values, rows, starts.astype(np.int32)), shape=(n, n))
        given = np.empty(n)
        given[self.place] = self.outputs
        solved = spsolve_triangular(matrix, given, lower=False, unit_diagonal=True)
        return np.asarray(solved[self.place])

    def _connected(
        self, nodes: Nodes, rows: Int[np.ndarray, " some"]
    ) -> tuple[Nodes, Int[np.ndarray, " left"]]:
        """What is left without nodes that feed nothing, or that nothing feeds."""
        n = len(nodes)
        while True:
            source, target = self.source[rows], self.target[rows]
            feeds = np.bincount(source, minlength=n) > 0
            fed = np.bincount(target, minlength=n) > 0
            left = nodes & ((self.kinds >= 2) | feeds & ((self.kinds == 1) | fed))
            if self.by_strength:
                left = nodes & ((self.kinds >= 2) | feeds | fed)
            if left.sum() == nodes.sum():
                return nodes, rows
            nodes = left
            rows = rows[nodes[source] & nodes[target]]


def threshold(values: Float[np.ndarray, " value"], share: float) -> float:
    """The least of the largest values that together reach a share of the sum; 0 for no values."""
    values = np.ascontiguousarray(values[values > 0], np.float64)
    if not len(values):
        return 0.0
    size = values.view(np.int64) >> _BITS  # grows with the value
    size -= size.min()
    sums = np.bincount(size, values)[::-1]
    reached = np.cumsum(sums)
    wanted = share * reached[-1]
    bin_ = min(int(np.searchsorted(reached, wanted)), len(sums) - 1)
    while bin_ and not sums[bin_]:
        bin_ -= 1
    alike = np.sort(values[size == len(sums) - 1 - bin_])[::-1]
    before = reached[bin_ - 1] if bin_ else 0.0
    at = int(np.searchsorted(before + np.cumsum(alike), wanted))
    return float(alike[min(at, len(alike) - 1)])


def _places(circuit: Circuit) -> Int[np.ndarray, " node"]:
    """A place for each node, so that every edge leads to a later one."""
    n = circuit.n_nodes
    links = coo_array(
        (np.ones(circuit.n_edges, np.int8), (circuit.edge_source, circuit.edge_target)),
        shape=(n, n),
    ).tocsr()
    _, label = connected_components(links, connection="strong")
    place: Int[np.ndarray, " node"] = label.astype(np.int64)
    source, target = place[circuit.edge_source], place[circuit.edge_target]
    # Strong components are numbered in an order of the graph, which SciPy does not promise.
    if len(source) and (source > target).all():
        place = n - 1 - place
    elif (source >= target).any():
        place = _counted_places(circuit)
    return place


def _counted_places(circuit: Circuit) -> Int[np.ndarray, " node"]:
    """The same by Kahn's algorithm, all nodes that are free at a time."""
    n, place, next_ = circuit.n_nodes, np.full(circuit.n_nodes, -1), 0
    source, target = circuit.edge_source, circuit.edge_target
    while next_ < n:
        waiting = np.bincount(target, minlength=n) > 0
        free = np.flatnonzero(~waiting & (place < 0))
        if not len(free):
            raise InputError("The graph has cycles.", "Choose nodes and edges by their weights.")
        place[free] = np.arange(next_, next_ + len(free))
        next_ += len(free)
        left = place[source] < 0
        source, target = source[left], target[left]
    return place
