"""Paths that are marked on the circuit: from selected nodes to what the engine patches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from microtome.errors import InputError
from microtome.records.analysis import Analysis
from microtome.records.circuit import HEAD, MLP, OUTPUT, POSITION, TOKEN, Circuit, EdgeKind
from microtome.records.edges import INPUT, LOGITS
from microtome.records.paths import PATHS, Path, Step
from microtome_desktop.state.foreign import UNREADABLE

_SIDES = {EdgeKind.QUERY: "q", EdgeKind.KEY: "k", EdgeKind.VALUE: "v"}
_ARROW = " \N{RIGHTWARDS ARROW} "


def marked_path(circuit: Circuit, nodes: Sequence[str]) -> tuple[Path, tuple[str, ...]]:
    """The path through the selected nodes up to the metric, and all nodes on it.

    From the last of them on it follows what carries most; from one node alone it is that way.
    Every step reads by all sides that the circuit has an edge for.
    Raises InputError for nodes that are no nodes of a model, and where two do not hang together.
    """
    for name in nodes:
        if name not in circuit.node_id or circuit.node_kind[circuit.row(name)] not in _KINDS:
            raise InputError(
                f"{name} is not one node of the model.", "Take groups apart, and choose nodes."
            )
    rows = sorted({circuit.row(name) for name in nodes}, key=lambda row: _depth(circuit, row))
    rows = [*rows, *_onward(circuit, rows[-1])]
    if len(rows) < 2:
        raise InputError("The metric alone is no path.", "Choose a node below it.")
    steps = [_step(circuit, rows[0], "")]
    for before, after in pairwise(rows):
        steps.append(_step(circuit, after, _sides(circuit, before, after)))
    return Path(tuple(steps)), tuple(circuit.node_id[row] for row in rows)


_KINDS = (INPUT, TOKEN, POSITION, HEAD, MLP, OUTPUT)


def _depth(circuit: Circuit, row: int) -> tuple[int, int]:
    kind, layer = circuit.node_kind[row], int(circuit.node_layer[row])
    return (1 << 30, 0) if kind == OUTPUT else (layer, int(kind == MLP))


def _onward(circuit: Circuit, row: int) -> Iterator[int]:
    """From a node on along the edges of the largest weight, up to the metric."""
    while circuit.node_kind[row] != OUTPUT:
        edges = np.flatnonzero(circuit.edge_source == row)
        if not len(edges):
            name = circuit.node_label[row]
            raise InputError(
                f"No edge of the circuit leads on from {name}.", "Choose a node that feeds another."
            )
        row = int(circuit.edge_target[edges[np.abs(circuit.edge_weight[edges]).argmax()]])
        yield row


def _sides(circuit: Circuit, before: int, after: int) -> str:
    edges = np.flatnonzero((circuit.edge_source == before) & (circuit.edge_target == after))
    if not len(edges):
        names = (circuit.node_label[row] for row in (before, after))
        raise InputError(
            f"{_ARROW.join(names)} is no edge of the circuit.",
            "Choose nodes that hang together, one behind the other.",
        )
    kinds = set(circuit.edge_kind[edges].tolist())
    return "".join(side for kind, side in _SIDES.items() if kind in kinds)


def _step(circuit: Circuit, row: int, sides: str) -> Step:
    kind, layer = circuit.node_kind[row], int(circuit.node_layer[row])
    place = int(circuit.node_position[row])
    at = place if place >= 0 else None  # a circuit of a task has no positions
    if kind == OUTPUT:
        return Step(LOGITS)
    if kind == HEAD:
        return Step(f"a{layer}.h{int(circuit.node_head[row])}", sides, at)
    return Step(f"m{layer}" if kind == MLP else INPUT, "", at)


# ---------------------------------------------------------------- what was found


@dataclass(frozen=True, slots=True)
class PathRow:
    """One patched path: its text, what it carries of the metric, and its share of all."""

    path: str
    effect: float
    share: float


def path_rows(analyses: Mapping[str, Analysis]) -> tuple[PathRow, ...]:
    """All paths of a session that were patched, those that carry most first.

    Records that cannot be read are left out: ``unread_paths`` tells of them.
    """
    records = [_rows_of(one) or () for one in analyses.values() if one.kind == PATHS]
    found = [row for rows in records for row in rows]
    return tuple(sorted(found, key=lambda row: -abs(row.effect)))


def _rows_of(analysis: Analysis) -> tuple[PathRow, ...] | None:
    """The rows of one record; None where another version wrote it, or it is damaged."""
    try:
        columns = (analysis.array(name).tolist() for name in ("paths", "effect", "share"))
        rows = zip(*columns, strict=True)
        return tuple(
            PathRow(str(path), float(effect), float(share)) for path, effect, share in rows
        )
    except UNREADABLE:
        return None


def unread_paths(analyses: Mapping[str, Analysis]) -> str:
    """Which records of paths cannot be read, and the way out; empty when all can."""
    lost = [one.title for one in analyses.values() if one.kind == PATHS and _rows_of(one) is None]
    if not lost:
        return ""
    return f"Cannot be read, and left out: {', '.join(lost)}. Patch the path again."


def rows_through(
    analyses: Mapping[str, Analysis], circuit: Circuit, node: str
) -> tuple[PathRow, ...]:
    """The patched paths that go through a node of the circuit; none for a group."""
    if node not in circuit.node_id or circuit.node_kind[circuit.row(node)] not in _KINDS:
        return ()
    own = _step(circuit, circuit.row(node), "")
    return tuple(row for row in path_rows(analyses) if any(_same(step, own) for step in _of(row)))


def _of(row: PathRow) -> tuple[Step, ...]:
    try:
        return Path.of(row.path).steps
    except InputError:  # of a file
        return ()


def _same(step: Step, own: Step) -> bool:
    return step.node == own.node and (step.at is None or own.at is None or step.at == own.at)
