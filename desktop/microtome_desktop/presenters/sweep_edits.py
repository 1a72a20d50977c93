"""What cells of a sweep become as edits of the run on screen."""

from __future__ import annotations

from collections.abc import Iterable

from microtome.prompts import Prompt
from microtome.records.edits import EditSpec
from microtome_desktop.presenters.sweep_map import SweepGrid
from microtome_desktop.state.sweeps import MEAN, NEURON, Wish, mean_over

_NO_PAIR = "There is no corrupt prompt that a value could come from: run a pair."
_NO_NEURON = "An edit takes all neurons of a layer together, not one of them."
_NOISE = "Causal tracing restores what noise has changed: there is no noise in the run on screen."
_NO_ORIGIN = "The sweep was not made in a window: its prompts are not known."

Cells = Iterable[tuple[int, int]]


def edits_of_cells(
    grid: SweepGrid, cells: Cells, wish: Wish | None, corrupt: Prompt | None
) -> tuple[EditSpec, ...] | str:
    """An edit for each site among the cells, in order; or, as text, why there is none.

    The value comes from the corrupt prompt, whichever way the sweep went: the run on screen is
    the clean one. Cells of an ablation become ablations.
    """
    if wish is None or wish.row.causal:
        return _NO_ORIGIN if wish is None else _NOISE
    places = _places(grid, cells, wish.row.site)
    if not places:
        return _NO_NEURON if wish.row.by == NEURON else "Click a cell first, or drag over several."
    if wish.ablates:
        return tuple(_ablation(site, tuple(at) or None, wish) for site, at in places.items())
    if corrupt is None:
        return _NO_PAIR
    return tuple(_patch(site, at, grid, corrupt) for site, at in places.items())


def _places(grid: SweepGrid, cells: Cells, site: str) -> dict[str, list[int]]:
    """The columns by the site that they belong to; none where all positions are meant."""
    places: dict[str, list[int]] = {}
    for row, column in cells:
        place = grid.place(row, column)
        if "layer" in place:
            numbers = [place[axis] for axis in ("layer", "head") if axis in place]
            at = places.setdefault(".".join(map(str, (site, *numbers))), [])
            at += [place["position"]] if "position" in place else []
    return places


def _ablation(site: str, positions: tuple[int, ...] | None, wish: Wish) -> EditSpec:
    prompts = mean_over(wish) if wish.mode == MEAN else ()
    return EditSpec(site, wish.mode, positions=positions, prompts=prompts)


def _patch(site: str, columns: list[int], grid: SweepGrid, corrupt: Prompt) -> EditSpec:
    """Positions of the clean run, and where they differ those of the corrupt one."""
    if not columns:
        return EditSpec(site, "patch", prompts=(corrupt,))
    pairs = [grid.in_both(column) for column in columns]
    known = [(clean, other) for clean, other in pairs if clean >= 0 and other >= 0]
    positions, origins = (tuple(side) for side in zip(*known, strict=True)) if known else ((), ())
    origins_differ = positions != origins
    return EditSpec(
        site, "patch", positions=positions, prompts=(corrupt,),
        from_positions=origins if origins_differ else None,
    )  # fmt: skip
