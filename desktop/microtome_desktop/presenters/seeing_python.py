"""The lines of Python that repeat what the panels See and Units show."""

from __future__ import annotations

from pathlib import Path

from microtome.records.analysis import Analysis
from microtome.records.session import Session
from microtome.records.units import Unit
from microtome_desktop.presenters.as_python import Lines, loading
from microtome_desktop.presenters.seeing import ACTIVITY, ATTENTION, ATTRIBUTION
from microtome_desktop.state.seeing import AttributionWish

_UNSAVED = "session.h5"  # where it would be saved


def _start(session: Session, path: Path | None) -> Lines:
    """The model, and the image of the session's file: pixels are no line of Python."""
    return (
        "import microtome as mt",
        "",
        loading(session)[0],
        f"image = mt.open_session({str(path or _UNSAVED)!r}).clean.image",
    )


def see_lines(
    session: Session, path: Path | None, mode: str, layer: str, wish: AttributionWish
) -> Lines:
    """``values`` [unit, row, column] of a layer, or [row, column] of an attribution map."""
    start = _start(session, path)
    if mode == ATTRIBUTION:
        given = [f"{wish.score.answer}", f"method={wish.method!r}"]
        given += [] if wish.score.wrong is None else [f"wrong={wish.score.wrong}"]
        given += [f"baseline={wish.baseline!r}"] if wish.baseline != "grey" else []
        given += [] if wish.layer is None else [f"layer={wish.layer!r}"]
        called = f"mt.attribution_map(model, image, {', '.join(given)})"
        return (*start, f"found = {called}", 'values = found.array("map")')
    if mode == ACTIVITY:
        return (
            *start,
            f"found = mt.image_maps(model, image, [{layer!r}])",
            f"values = found.array({layer!r})",
        )
    if mode == ATTENTION:
        return (
            *start,
            "found = mt.attention_rollout(mt.trace(model, image))",
            'values = found.array("rollout")',
        )
    return (
        *start,
        "found = mt.patch_lens(mt.trace(model, image))",
        'values = found.array("probability")',
    )


def unit_lines(session: Session, held: Analysis | None, layer: str, images: str) -> Lines:
    """``table`` of the units of a layer, and ``card`` of the unit that is shown."""
    lines = [
        "import microtome as mt",
        "",
        loading(session)[0],
        f"images = mt.load_image_set({images!r})",
        f"reading = mt.read_layer(model, {layer!r}, images)",
        f"table = mt.unit_table(model, {layer!r}, images, reading=reading)",
        'values = table.array("by_class")',
    ]
    if held is not None:
        unit = Unit.parse(str(held.params["unit"]))
        lines.append(f"card = mt.unit_card(model, {str(unit)!r}, images, reading=reading)")
    return tuple(lines)
