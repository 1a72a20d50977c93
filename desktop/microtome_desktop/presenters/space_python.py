"""The Python that makes what the feature space draws: tokens, features or images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from microtome.records.session import Session
from microtome_desktop.presenters.as_python import Lines, lines_of, space_lines
from microtome_desktop.presenters.feature_python import dictionary_line, direction_lines
from microtome_desktop.presenters.space import Active, Space, projection_of


def drawn_lines(session: Session, site: str, drawing: Space) -> Lines | str:
    """``values`` [point, component] of what is drawn."""
    if drawing.features:
        return direction_lines(session, site)
    found = projection_of(session, site)
    if drawing.images and found is not None:
        return _image_lines(session, found.params, drawing.active)
    points = int((drawing.prompts >= 0).sum())
    return space_lines(session, site, points == 0, points)


def _image_lines(session: Session, told: Mapping[str, Any], active: Active | None) -> Lines | str:
    layer, per, images = (str(told[key]) for key in ("unit_layer", "per", "images"))
    return lines_of(
        session, f"images = mt.load_image_set({images!r})",
        f"space = mt.image_space(model, {layer!r}, images, per={per!r}, own=question.prompt)",
        'values = space.array("points")', *_active_lines(active),
    )  # fmt: skip


def _active_lines(active: Active | None) -> Lines:
    """``colours`` [point]: what the points are coloured by."""
    if active is None:
        return ()
    told = active.params
    call = "mt.point_activity(model, space, {}, images, own=question.prompt)".format
    if not told["fingerprint"]:
        return (
            f"active = {call(repr(told['layer']))}",
            f'colours = active.array("activity")[:, {active.number}]',
        )
    return (
        dictionary_line(str(told["fingerprint"]), str(told["dictionary"])),
        f"active = {call('dictionary')}",
        f'mine = active.array("entry_feature") == {active.number}',
        'colours = dict(zip(*(active.array(f"entry_{x}")[mine] for x in ("point", "value"))))',
    )
