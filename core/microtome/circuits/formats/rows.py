"""Circuits as rows: what readers build columns from, and writers take them apart into."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray

from microtome.errors import GraphError
from microtome.records.circuit import Circuit

SIGN = "positive: the clean content raises the metric"


@dataclass(frozen=True, slots=True)
class NodeRow:
    """One node; the fields mean what the columns of a circuit mean."""

    id: str
    kind: str
    layer: int = -1
    position: int = -1
    head: int = -1
    feature: int = -1
    label: str = ""
    score: float = 0.0
    influence: float = 0.0
    bias: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class EdgeColumns:
    """Edges as columns; rows of nodes at their ends."""

    source: Int[np.ndarray, " edge"]
    target: Int[np.ndarray, " edge"]
    kind: Int[np.ndarray, " edge"]
    weight: Float[np.ndarray, " edge"]
    influence: Float[np.ndarray, " edge"]


def node_rows(circuit: Circuit) -> Iterator[NodeRow]:
    """The nodes of a circuit, one by one."""
    columns = (
        circuit.node_id, circuit.node_kind, circuit.node_layer.tolist(),
        circuit.node_position.tolist(), circuit.node_head.tolist(), circuit.node_feature.tolist(),
        circuit.node_label, circuit.node_score.tolist(), circuit.node_influence.tolist(),
        circuit.node_bias.tolist(),
    )  # fmt: skip
    return (NodeRow(*row) for row in zip(*columns, strict=True))


def made_circuit(nodes: Sequence[NodeRow], edges: EdgeColumns, metadata: dict[str, Any]) -> Circuit:
    """The circuit of rows, in the smallest types that lose nothing.

    Adds to the metadata what every graph from a file has: the sign, whether it is ``cyclic``, and
    ``notes``. Raises GraphError for numbers that no circuit holds.
    """
    cyclic, notes = _cycles(len(nodes), edges)
    told = {"sign": SIGN, **metadata, "cyclic": cyclic}
    told["notes"] = list(dict.fromkeys([*metadata.get("notes", ()), *notes]))
    numbers = ("layer", "position", "head", "feature")
    reals = ("score", "influence", "bias")
    try:
        columns: dict[str, Any] = {
            f"node_{name}": np.array([getattr(row, name) for row in nodes], np.int32)
            for name in numbers
        }
    except OverflowError as error:
        raise GraphError("A node has a layer, position, head or feature over 2³¹.") from error
    columns |= {
        f"node_{name}": smallest(np.array([getattr(row, name) for row in nodes], np.float64))
        for name in reals
    }
    columns |= {
        f"node_{name}": tuple(getattr(row, name) for row in nodes)
        for name in ("id", "kind", "label")
    }
    return Circuit(
        **columns,
        edge_source=edges.source.astype(np.int32),
        edge_target=edges.target.astype(np.int32),
        edge_kind=edges.kind.astype(np.int8),
        edge_weight=smallest(edges.weight),
        edge_influence=edges.influence.astype(np.float32),
        metadata=told,
    )


def smallest(values: NDArray[Any]) -> NDArray[Any]:
    """The numbers as float32 where that is exact, else as they are."""
    with np.errstate(over="ignore"):
        short = values.astype(np.float32)
    return short if np.array_equal(short, values) else values


def _cycles(nodes: int, edges: EdgeColumns) -> tuple[bool, list[str]]:
    """Whether edges lead back to where they came from, and what to say of it."""
    own = int((edges.source == edges.target).sum())
    notes = [f"{counted(own, 'edge')} from a node to itself."] if own else []
    on_cycles = nodes - len_acyclic(nodes, edges.source, edges.target)
    if on_cycles:
        notes.append(f"{counted(on_cycles, 'node')} on cycles: no order from input to output.")
    return bool(own or on_cycles), notes


def len_acyclic(
    nodes: int, source: Int[np.ndarray, " edge"], target: Int[np.ndarray, " edge"]
) -> int:
    """How many nodes lie on no cycle of two or more."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not nodes:
        return 0
    weights = np.ones(len(source), np.int8)
    links = coo_array((weights, (source, target)), shape=(nodes, nodes)).tocsr()
    _, part = connected_components(links, connection="strong")
    sizes: Int[np.ndarray, " part"] = np.bincount(part)
    alone: Bool[np.ndarray, " node"] = sizes[part] == 1
    return int(alone.sum())


def counted(count: int, noun: str) -> str:
    """``1 edge``, ``2 edges``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def with_own(row: NodeRow, own: Any) -> NodeRow:
    """The row with fields that a file of ours says beside the published ones.

    Raises GraphError for fields that are none.
    """
    if not own:
        return row
    kinds = {name: type(getattr(row, name)) for name in NodeRow.__slots__}
    fits = isinstance(own, dict) and all(
        name in kinds
        and (type(value) is kinds[name] or (kinds[name] is float and type(value) is int))
        for name, value in own.items()
    )
    if not fits:
        raise GraphError(f"The node {row.id} has the own fields {str(own)[:80]}.")
    return replace(row, **own)
