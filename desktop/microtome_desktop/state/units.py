"""Units of a model that sees as nodes of the circuit on screen."""

from __future__ import annotations

from microtome.records.circuit import OUTPUT, UNIT_LAYERS, UNITS, Circuit
from microtome.records.units import Unit


def unit_layers(circuit: Circuit) -> tuple[str, ...]:
    """The layers that the rows of a circuit of units are; none of another circuit."""
    held = circuit.metadata.get(UNIT_LAYERS)
    if not isinstance(held, list | tuple):
        return ()
    named = tuple(str(name) for name in held)
    inner = [kind != OUTPUT for kind in circuit.node_kind]  # the metric lies above all layers
    return named if int(circuit.node_layer[inner].max(initial=-1)) < len(named) else ()


def is_unit(circuit: Circuit, node: str | None) -> bool:
    """Whether a node is a unit of a model that sees, whose id is the unit's."""
    if node is None or node not in circuit.node_id:
        return False
    return circuit.node_kind[circuit.row(node)] in UNITS


def unit_text(circuit: Circuit, row: int) -> str:
    """Which of its layer a unit is, to stand behind its kind; empty for other nodes."""
    if circuit.node_kind[row] not in UNITS:
        return ""
    unit = Unit.parse(circuit.node_id[row])
    return f" {unit.index} of {unit.layer}, all its places together"
