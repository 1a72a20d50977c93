"""Why commands cannot run now: what many rows of the table of commands need.

Each answers with an empty text when there is what is needed.
"""

from __future__ import annotations

from microtome_desktop.commands.command import Situation
from microtome_desktop.state.made_by import needs_model


def needs_session(now: Situation) -> str:
    """Needs anything on screen."""
    held = now.desk.workspace.session is not None
    return "" if held else "There is nothing yet: run a prompt or an image first."


def needs_any_model(now: Situation) -> str:
    """Needs a model that is loaded, whatever is on screen."""
    if now.desk.workspace.model is not None:
        return ""
    loading = now.desk.library.shelf.loading
    return f"{loading} is still being loaded." if loading else "Needs a model: open or attach one."


def needs_its_model(now: Situation) -> str:
    """Needs a session, and the model that made it."""
    return needs_session(now) or offline(now)


def offline(now: Situation) -> str:
    """Needs the session's model where there is a session."""
    workspace = now.desk.workspace
    if workspace.session is not None and workspace.offline:
        return needs_model(workspace.session)
    return ""
