"""Which unit is shown over the image, and the layers and units to choose from."""

from __future__ import annotations

from microtome.errors import InputError
from microtome.records.analysis import Analysis
from microtome.records.seen import SightOutline
from microtome.records.session import Session
from microtome.records.units import Unit
from microtome_desktop.presenters.seeing import patch_grid
from microtome_desktop.presenters.unit_heatmap import best_unit
from microtome_desktop.state.seeing import image_of
from microtome_desktop.state.units import unit_layers


def shows_units(session: Session | None) -> bool:
    """Whether the run is of an image that the model reads whole, so that no head looks at it."""
    if session is None or session.clean is None or image_of(session) is None:
        return False
    return patch_grid(session.clean.tokens) is None


def layer_names(session: Session, outline: SightOutline | None) -> tuple[str, ...]:
    """The layers of the model, or of its circuit until they are known."""
    if outline is not None and outline.layers:
        return tuple(layer.name for layer in outline.layers)
    return () if session.circuit is None else unit_layers(session.circuit)


def chosen_unit(
    session: Session, outline: SightOutline | None, selected: str | None
) -> Unit | None:
    """The selected unit; without one that of the circuit that adds most, of layers with places."""
    if selected is not None:
        try:
            return Unit.parse(selected)
        except InputError:
            return None
    if session.circuit is None or outline is None:
        return None
    best = best_unit(session.circuit, tuple(layer.name for layer in outline.mapped))
    return None if best is None else Unit.parse(best)


def without_places(maps: Analysis, unit: Unit) -> str:
    """What is said of a unit that has one number for the whole image; empty for others."""
    values = maps.array(unit.layer)
    if values.ndim != 1 or unit.index >= len(values):
        return ""
    number = f"{float(values[unit.index]):.3g}".replace("-", "\N{MINUS SIGN}")
    return f"{unit} has no places: it is {number} for the whole image. Choose another layer."


def unit_names(
    session: Session, outline: SightOutline | None, unit: Unit | None
) -> tuple[str, ...]:
    """The units of the chosen one's layer, and what each adds where the circuit has it."""
    layer = None if unit is None or outline is None else outline.layer(unit.layer)
    if layer is None:
        return ()
    circuit = session.circuit
    adds = {} if circuit is None else dict(zip(circuit.node_id, circuit.node_score, strict=True))
    names = []
    for index in range(layer.n_units):
        added = adds.get(str(Unit(layer.name, index)))
        number = "" if added is None else f"{float(added):+.3f}".replace("-", "\N{MINUS SIGN}")
        text = f" \N{MIDDLE DOT} adds {number}" if number else ""
        names.append(f"{layer.kind.capitalize()} {index}{text}")
    return tuple(names)
