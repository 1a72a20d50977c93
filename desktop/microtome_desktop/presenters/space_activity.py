"""Image points coloured by what the selected unit, or a feature of a dictionary, does there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from microtome.prompts import ImageInput
from microtome.records.analysis import Analysis
from microtome.records.point_activity import PointActivity, point_activity_id
from microtome.records.seen import LayerOutline
from microtome.records.session import Session
from microtome.records.units import Unit
from microtome_desktop.presenters.lesions import units_selected
from microtome_desktop.presenters.space import Active, Space, keys
from microtome_desktop.presenters.space_colours import ColourBy, measured
from microtome_desktop.state.selection import Selected

_NONE = {ColourBy.UNIT: "no unit is selected", ColourBy.FEATURE: "no feature is selected"}


@dataclass(frozen=True, slots=True)
class Asked:
    """One unit or feature: a number in a layer, or in the dictionary of a fingerprint."""

    reads: str
    number: int
    by: ColourBy

    def kept(self) -> list[Any]:
        """As a session keeps it."""
        return [self.reads, self.number, str(self.by)]

    @classmethod
    def of(cls, held: object) -> Asked | None:
        """What a session kept; None for anything else, as the file may be a stranger's."""
        match held:
            case [str(reads), int(number), str(by)] if by in map(str, _NONE) and number >= 0:
                return cls(reads, number, ColourBy(by))
        return None


def asked_for(
    selected: Selected, by: ColourBy, layers: Sequence[LayerOutline], before: Asked | None
) -> Asked | None:
    """The unit or feature that is selected; else the one ``before``, else none.

    ``layers`` are those of the model, where they are known.
    """
    if by is ColourBy.FEATURE and selected.feature is not None:
        return Asked(*selected.feature, by)
    if by is ColourBy.UNIT:
        names = {one.name for one in layers}
        chosen = (one for one in units_selected(selected) if not names or one.layer in names)
        unit = next(chosen, None)
        if unit is not None:
            return Asked(unit.layer, unit.index, by)
    return before if before is not None and before.by is by else None


def activity_in(session: Session, space: Analysis, reads: str, own: ImageInput | None) \
        -> Analysis | None:  # fmt: skip
    """What a layer or dictionary does at the points of a space, as it is now; None without."""
    found = session.analyses.get(point_activity_id(str(space.params["site"]), reads))
    if found is None:
        return None
    digest = own.digest if own is not None and space.params.get("own_points") else ""
    sizes = {one.arrays["point_prompt"].values.shape for one in (space, found)}
    same = all(found.params.get(key) == space.params.get(key) for key in ("digest", "per"))
    return found if same and len(sizes) == 1 and found.params.get("own") == digest else None


def active_points(
    drawing: Space, by: ColourBy, asked: Asked | None, held: PointActivity | None, lacking: str
) -> Space:
    """The drawing coloured by what is asked; grey, with the reason, where that is not known."""
    values = np.full(len(drawing.points), np.nan)
    active, named = None, lacking
    if asked is not None and held is not None:
        order = np.argsort(keys(held.prompt, held.position), kind="stable")
        values[drawing.by_key] = held.of(asked.number)[order]
        named = told(asked, held.analysis.params)
        active = Active(named, asked.number, values, held.analysis.params)
    tints, legend = measured(values, by)
    return replace(
        drawing, colours=tints.astype(np.float32), legend=(("", named), *legend), by=by,
        caption=f"{named} \N{MIDDLE DOT} {drawing.caption}", active=active,
    )  # fmt: skip


def nothing_selected(by: ColourBy) -> str:
    """What is said while there is nothing to colour by."""
    return _NONE[by]


def told(asked: Asked, params: Mapping[str, Any]) -> str:
    """A unit as it is written, a feature with the name of its dictionary."""
    if asked.by is ColourBy.UNIT:
        return str(Unit(asked.reads, asked.number))
    return f"{params['dictionary']} #{asked.number}"
