"""What cells of a sweep become as edits of the run on screen."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from microtome.prompts import Prompt
from microtome.records.edits import EditSpec
from microtome.records.session import Session
from microtome_desktop.presenters.sweep_map import SweepGrid
from microtome_desktop.state.edit_places import EditPlace
from microtome_desktop.state.sweeps import MEAN, Wish, mean_over

_NO_PAIR = "There is no corrupt prompt that a value could come from: run a pair."
_NOISE = "Causal tracing restores what noise has changed: there is no noise in the run on screen."
_NO_ORIGIN = "This sweep is not of the session's own pair: its cells cannot become edits."

Cells = Iterable[tuple[int, int]]


def edits_of_cells(
    grid: SweepGrid, cells: Cells, wish: Wish | None, corrupt: Prompt | None
) -> tuple[EditSpec, ...] | str:
    """An edit for each site among the cells, in order; or, as text, why there is none.

    The value comes from the corrupt prompt, whichever way the sweep went: the run on screen is
    the clean one. Cells of an ablation become ablations.
    """
    if reason := why_no_cells(wish):
        return reason
    if wish is None:
        return _NO_ORIGIN
    places = _places(grid, cells, wish)
    if not places:
        return "Click a cell first, or drag over several."
    if wish.ablates:
        over = mean_over(wish) if wish.mode == MEAN else ()
        return tuple(
            EditSpec(where.site, wish.mode, tuple(at) or None, over, neuron=where.neuron)
            for where, at in places.items()
        )
    if corrupt is None:
        return _NO_PAIR
    return tuple(_patch(where, at, grid, corrupt) for where, at in places.items())


def why_no_cells(wish: Wish | None) -> str:
    """Why no cell of a sweep can become an edit, empty when they can."""
    if wish is None:
        return _NO_ORIGIN
    return _NOISE if wish.row.causal else ""


def places_of_cells(
    grid: SweepGrid, cells: Cells, wish: Wish, session: Session
) -> tuple[EditPlace, ...]:
    """What a right click on cells is about, in the positions of the run on screen."""
    clean = session.clean
    if clean is None:
        return ()
    found: list[EditPlace] = []
    for where, columns in _places(grid, cells, wish).items():
        known = tuple(at for at in (grid.in_both(c)[0] for c in columns) if at >= 0)
        if any(at >= len(clean.tokens) for at in known) or (columns and not known):
            continue  # of another prompt
        named = "" if where.neuron is None else f", neuron {where.neuron}"
        tokens = ", ".join(f"“{clean.tokens[at].strip()}” ({at})" for at in known)
        title = f"{where.site}{named}" + (f" at {tokens}" if known else "")
        found.append(EditPlace(where.site, title, known or None, where.neuron))
    return tuple(found)


class _Where(NamedTuple):
    """What one edit changes, at some positions or all."""

    site: str
    neuron: int | None = None


def _places(grid: SweepGrid, cells: Cells, wish: Wish) -> dict[_Where, list[int]]:
    """The positions by what is edited there; none where all are meant."""
    places: dict[_Where, list[int]] = {}
    for row, column in cells:
        place = {"layer": wish.layer, **grid.place(row, column)}
        if len(place) > 1 and place["layer"] is not None:
            numbers = [place[axis] for axis in ("layer", "head") if axis in place]
            where = _Where(".".join(map(str, (wish.row.site, *numbers))), place.get("neuron"))
            at, position = places.setdefault(where, []), place.get("position")
            at += [] if position is None else [position]
    return places


def _patch(where: _Where, columns: list[int], grid: SweepGrid, corrupt: Prompt) -> EditSpec:
    """Positions of the clean run, and where they differ those of the corrupt one."""
    if not columns:
        return EditSpec(where.site, "patch", prompts=(corrupt,), neuron=where.neuron)
    pairs = [grid.in_both(column) for column in columns]
    known = [(clean, other) for clean, other in pairs if clean >= 0 and other >= 0]
    positions, origins = (tuple(side) for side in zip(*known, strict=True)) if known else ((), ())
    return EditSpec(
        where.site, "patch", positions=positions, prompts=(corrupt,),
        from_positions=origins if positions != origins else None,
    )  # fmt: skip
