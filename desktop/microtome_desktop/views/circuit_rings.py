"""The rings and badges around nodes of the circuit: what is selected, found, pinned, noted."""

from __future__ import annotations

from collections.abc import Iterable

from microtome.records.circuit import Circuit
from microtome.records.marks import Marks
from microtome_desktop import palette as colours
from microtome_desktop.presenters.circuit import kin
from microtome_desktop.presenters.circuit_focus import edge_row
from microtome_desktop.presenters.edited_nodes import edited_features, edited_nodes
from microtome_desktop.state.selection import Selected
from microtome_desktop.views.labels import Badge, Ring


def rings_of(
    circuit: Circuit, selected: Selected, found: Iterable[str], node: int | None
) -> tuple[Ring, ...]:
    """Rings around kin, what was found, what else is selected, and the ends of an edge."""
    relatives = kin(circuit, selected.layer, selected.head)
    rings = [Ring(row, 2.0, 1.0, colours.TEXT_DIM) for row in relatives if row != node]
    rows = {name: row for row, name in enumerate(circuit.node_id)}
    rings += [Ring(rows[n], 2.5, 1.2, colours.WARM) for n in found if n in rows]
    rings += [Ring(rows[n], 3.0, 2.0, colours.ACCENT) for n in selected.others if n in rows]
    edge = edge_row(circuit, selected.edge)
    if edge is not None:
        ends = (int(circuit.edge_source[edge]), int(circuit.edge_target[edge]))
        rings += [Ring(row, 3.0, 1.5, colours.ACCENT) for row in ends if row != node]
    return tuple(rings)


def badges_of(circuit: Circuit, marks: Marks) -> tuple[Badge, ...]:
    """Badges of what is edited, pinned, or has a note."""
    rows = {name: row for row, name in enumerate(circuit.node_id)}
    pinned = [Badge(rows[n], colours.WARM) for n in marks.pins if n in rows]
    notes = [Badge(rows[n.target], colours.ACCENT, left=True)
             for n in marks.notes if n.target in rows]  # fmt: skip
    rows_edited = (*edited_nodes(circuit, marks.edits),
                   *edited_features(circuit, marks.feature_edits))  # fmt: skip
    edited = [Badge(row, colours.BAD, cross=True) for row in rows_edited]
    return (*edited, *pinned, *notes)
