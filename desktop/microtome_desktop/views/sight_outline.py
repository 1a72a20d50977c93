"""What a view of a model that sees knows of its layers and classes, and how it comes by that."""

from __future__ import annotations

from microtome.records.seen import SightOutline
from microtome_desktop.jobs.seeing_requests import OutlineSight
from microtome_desktop.state.seeing import outline_key, outline_of
from microtome_desktop.views.panel import PanelContext


def sight_outline(context: PanelContext, *, ask: bool) -> SightOutline | None:
    """Layers and classes: of the model, or of the session's results where there is none.

    None while they are not known. With ``ask`` they are asked for once, and ``prepared`` tells
    when they have come; views that nobody sees ask for nothing.
    """
    workspace = context.workspace
    model = workspace.model
    if workspace.offline or model is None:
        return outline_of(workspace.session)
    if not model.sees:
        return None
    key = outline_key(model.fingerprint)
    held = workspace.prepared.get(key)
    if held is None and ask and workspace.prepared.wants(key):
        context.ask(OutlineSight(model.fingerprint))
    return held if isinstance(held, SightOutline) else None
