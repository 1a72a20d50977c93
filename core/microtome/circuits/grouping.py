"""Which nodes of a circuit belong together: proposals from what feeds them and what they feed.

Nodes are alike as far as their edges are: the cosine of the weights into them, and of those out of
them. Where a run was kept, heads that look at the same tokens and MLPs that write the same are
alike as well; features with the same label are, whatever their edges say. The mean of what is known
is clustered by average linkage (Sokal and Michener 1958), as SciPy does it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.sparse import csr_array
from scipy.spatial.distance import squareform

from microtome.errors import InputError, expect
from microtome.jobs import Job, job_or_default
from microtome.records.circuit import HEAD, IMAGE, INPUT, MLP, OUTPUT, POSITION, TOKEN, Circuit
from microtome.records.trace import Trace

MOST_NODES = 4_000  # each pair of them takes eight bytes, three times over
_NEVER = frozenset({TOKEN, POSITION, INPUT, IMAGE, OUTPUT})


@dataclass(frozen=True, slots=True)
class GroupProposal:
    """Nodes that may belong together; ``likeness`` is the mean over their pairs, 1 for equals."""

    name: str
    nodes: tuple[str, ...]
    likeness: float


def propose_groups(
    circuit: Circuit,
    nodes: Sequence[str] | None = None,
    *,
    trace: Trace | None = None,
    likeness: float = 0.5,
) -> tuple[GroupProposal, ...]:
    """Groups of nodes that are alike, the most influential first.

    Considered are ``nodes`` (ids; all without them), but no embeddings and no outputs. With a
    ``trace`` of the same prompt, attention patterns and what MLPs write count as well, where it
    holds them. ``likeness`` (0 to 1) is the mean that two parts of a group must have. Raises
    InputError for more than 4,000 nodes, and for a likeness that is none.
    """
    expect(circuit, Circuit, "circuit", "a Circuit", "Make one with component_graph.")
    _expect_likeness(likeness)
    return likeness_tree(circuit, nodes, trace=trace).groups(likeness)


@dataclass(frozen=True, slots=True, eq=False)
class LikenessTree:
    """Nodes clustered once, so that another ``likeness`` only cuts the tree elsewhere.

    ``alike`` holds how alike each two of the ``rows`` are, ``tree`` SciPy's linkage of them.
    """

    circuit: Circuit
    rows: Int[np.ndarray, " some"]
    alike: Float[np.ndarray, "some some"]
    tree: Float[np.ndarray, "merge 4"]

    def groups(self, likeness: float) -> tuple[GroupProposal, ...]:
        """The groups that hold together at this likeness, the most influential first."""
        if len(self.rows) < 2:
            return ()
        label = fcluster(self.tree, 1.0 - likeness + 1e-9, "distance")
        found = [np.flatnonzero(label == number) for number in np.unique(label)]
        influence = self.circuit.node_influence
        made = [
            (float(influence[self.rows[some]].sum()), _proposal(self, some))
            for some in found
            if len(some) > 1
        ]
        return tuple(one for _, one in sorted(made, key=lambda pair: -pair[0]))


def likeness_tree(
    circuit: Circuit,
    nodes: Sequence[str] | None = None,
    *,
    trace: Trace | None = None,
    job: Job | None = None,
) -> LikenessTree:
    """What ``propose_groups`` cuts, which takes nearly all of its time.

    Raises InputError for more than 4,000 nodes, and Cancelled when the job is stopped.
    """
    job = job_or_default(job)
    rows = _rows(circuit, nodes)
    if len(rows) > MOST_NODES:
        raise InputError(
            f"{len(rows):,} nodes make too many pairs; at most {MOST_NODES:,} can be compared.",
            "Keep fewer nodes, by the sliders or with prune_by_influence.",
        )
    if len(rows) < 2:
        return LikenessTree(circuit, rows, np.zeros((len(rows), len(rows))), np.zeros((0, 4)))
    alike = likenesses(circuit, rows, trace, job)
    job.check()
    apart = squareform(1.0 - alike, checks=False)  # of each two, without the diagonal
    np.clip(apart, 0.0, 2.0, out=apart)
    tree = linkage(apart, "average")
    job.check()
    return LikenessTree(circuit, rows, alike, tree)


def _expect_likeness(likeness: float) -> None:
    way_out = "Give 0 to 1, for example 0.5."
    expect(likeness, (int, float, np.number), "likeness", "a number from 0 to 1", way_out)
    if not 0 <= likeness <= 1:
        raise InputError(f"The likeness is {likeness}.", way_out)


def _rows(circuit: Circuit, nodes: Sequence[str] | None) -> Int[np.ndarray, " some"]:
    wanted = None if nodes is None else set(nodes)
    kept = [
        row
        for row, (id_, kind) in enumerate(zip(circuit.node_id, circuit.node_kind, strict=True))
        if kind not in _NEVER and (wanted is None or id_ in wanted)
    ]
    return np.array(kept, np.int64)


def likenesses(
    circuit: Circuit,
    rows: Int[np.ndarray, " some"],
    trace: Trace | None = None,
    job: Job | None = None,
) -> Float[np.ndarray, "some some"]:
    """How alike each two nodes are, from -1 to 1; 0 where nothing is known of a pair."""
    job = job_or_default(job)
    total, count = np.zeros((len(rows), len(rows))), np.zeros((len(rows), len(rows)), np.int8)
    names = _neighbours(circuit)
    for here, there in (
        (circuit.edge_target, circuit.edge_source),
        (circuit.edge_source, circuit.edge_target),
    ):
        job.check()
        cosine, known = _cosines(_profiles(circuit, rows, here, names[there]))
        total += cosine
        count += known
    for cosine, known in _activities(circuit, rows, trace):
        job.check()
        total += cosine
        count += known
    alike = np.divide(total, np.maximum(count, 1), out=total)
    alike[_same_label(circuit, rows)] = 1.0
    return alike


def _neighbours(circuit: Circuit) -> Int[np.ndarray, " node"]:
    """A number for what an edge leads to: a node, or a component wherever it sits.

    Heads and MLPs of other positions have other neighbours, of the same components.
    """
    columns = zip(
        circuit.node_kind, circuit.node_layer.tolist(), circuit.node_head.tolist(),
        circuit.node_id, strict=True,
    )  # fmt: skip
    keys = [
        (kind, layer, head) if kind in (HEAD, MLP) else id_ for kind, layer, head, id_ in columns
    ]
    numbers: dict[object, int] = {}
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], np.int64)


def _profiles(
    circuit: Circuit,
    rows: Int[np.ndarray, " some"],
    here: Int[np.ndarray, " edge"],
    there: Int[np.ndarray, " edge"],
) -> csr_array:
    """The weights on one side of each node, by the neighbour and the kind of edge."""
    place = np.full(circuit.n_nodes, -1)
    place[rows] = np.arange(len(rows))
    kept = np.flatnonzero(place[here] >= 0)
    kinds = int(circuit.edge_kind.max(initial=0)) + 1
    column = there[kept] * kinds + circuit.edge_kind[kept]
    weight = circuit.edge_weight[kept].astype(np.float64)
    shape = (len(rows), int(column.max(initial=0)) + 1)
    return csr_array((weight, (place[here[kept]], column)), shape=shape)


def _cosines(
    profiles: csr_array,
) -> tuple[Float[np.ndarray, "some some"], Bool[np.ndarray, "some some"]]:
    length = np.sqrt(np.asarray(profiles.multiply(profiles).sum(axis=1)).ravel())
    there = length > 0
    dots = (profiles @ profiles.T).toarray()
    scale = np.where(there, length, 1.0)
    dots /= scale[:, None]
    dots /= scale
    return dots, np.outer(there, there)


def _activities(
    circuit: Circuit, rows: Int[np.ndarray, " some"], trace: Trace | None
) -> list[tuple[Float[np.ndarray, "some some"], Bool[np.ndarray, "some some"]]]:
    """Where heads look, and what MLPs write, of the nodes that have a position."""
    held: Mapping[str, object] = {} if trace is None else trace.activations
    found = []
    for kind, site in ((HEAD, "pattern"), (MLP, "mlp_out")):
        if trace is None or site not in held:
            continue
        width = len(trace.tokens) if kind == HEAD else int(trace.activations[site].values.shape[-1])
        values = np.zeros((len(rows), width))
        layers: dict[int, Float[np.ndarray, "..."]] = {}  # each is read once: it may be in a file
        for at, row in enumerate(rows.tolist()):
            layer, position = int(circuit.node_layer[row]), int(circuit.node_position[row])
            if circuit.node_kind[row] == kind and position >= 0:
                if layer not in layers:
                    layers[layer] = trace.activation(f"{site}.{layer}")
                layer_values = layers[layer]
                if kind == HEAD:
                    layer_values = layer_values[int(circuit.node_head[row])]
                values[at] = layer_values[position]
        found.append(_cosines(csr_array(values)))
    return found


def _same_label(circuit: Circuit, rows: Int[np.ndarray, " some"]) -> Bool[np.ndarray, "some some"]:
    """Features that somebody has given one label; those of components are their names.

    A feature without a label is like nothing but itself.
    """
    numbers: dict[str, int] = {}
    code = np.array([
        -1 - at if circuit.node_kind[row] in (HEAD, MLP) or not circuit.node_label[row].strip()
        else numbers.setdefault(circuit.node_label[row], len(numbers))
        for at, row in enumerate(rows.tolist())
    ])  # fmt: skip
    return np.asarray(code[:, None] == code[None])


def _proposal(held: LikenessTree, some: Int[np.ndarray, " few"]) -> GroupProposal:
    """The group of these numbers of nodes of the tree, strongest first."""
    circuit = held.circuit
    at = some[np.argsort(-circuit.node_influence[held.rows[some]], kind="stable")]
    rows = held.rows[at]
    pairs = held.alike[np.ix_(at, at)][np.triu_indices(len(at), 1)]
    return GroupProposal(
        _name(circuit, rows), tuple(circuit.node_id[row] for row in rows), float(pairs.mean())
    )


def _name(circuit: Circuit, rows: Int[np.ndarray, " some"]) -> str:
    """The label that most of them share, else the strongest one and how many more."""
    labels: list[str] = [circuit.node_label[row] for row in rows]
    most, count = Counter(labels).most_common(1)[0]
    if 2 * count > len(labels):
        return most
    return f"{labels[0]} and {len(labels) - 1} more"
