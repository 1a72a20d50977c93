"""Shows a run of the history again, with its prompt in the fields above."""

from __future__ import annotations

from microtome_desktop.jobs.examine import select_answer
from microtome_desktop.state.history import Past
from microtome_desktop.views.panel import PanelContext


def reopen_run(context: PanelContext, run: Past) -> None:
    """Bring a run back on screen as it was left."""
    context.selection.clear()
    context.draft.follow(run.session)
    context.history.reopen(run.session.uuid)
    select_answer(context)
