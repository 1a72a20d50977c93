"""Units of a model that sees as nodes of the circuit on screen."""

from __future__ import annotations

from microtome.errors import InputError
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
    return _unit(circuit, circuit.row(node)) is not None


def _unit(circuit: Circuit, row: int) -> Unit | None:
    """The unit of a row; None for other nodes, and where a file calls a unit by another id."""
    if circuit.node_kind[row] not in UNITS:
        return None
    try:
        return Unit.parse(circuit.node_id[row])
    except InputError:
        return None


def unit_text(circuit: Circuit, row: int) -> str:
    """Which of its layer a unit is, to stand behind its kind; empty for other nodes."""
    unit = _unit(circuit, row)
    return "" if unit is None else f" {unit.index} of {unit.layer}, all its places together"
