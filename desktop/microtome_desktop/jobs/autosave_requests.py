"""Saves that nobody asked for, and opening what a window that crashed had kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from microtome.jobs import Job
from microtome.records.session import Session
from microtome_desktop.jobs.engine import Engine
from microtome_desktop.jobs.file_requests import Opened, OpenSession, same_content, show_opened
from microtome_desktop.jobs.request import Request, Thread
from microtome_desktop.state.desk import Desk


@dataclass(frozen=True, slots=True)
class AutoSave(Request):
    """Save a session as it was: to its own file, or to one that is kept for the next start.

    The file is written beside its place and put there whole, as with every save.
    """

    thread: ClassVar[Thread] = Thread.IO
    slot: ClassVar[str] = "autosave"
    replaces: ClassVar[frozenset[str]] = frozenset({"autosave"})
    quiet: ClassVar[bool] = True

    path: Path
    session: Session = field(repr=False)
    include: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """What is being done."""
        return f"Saving {self.path.name} by itself"

    def perform(self, engine: Engine, job: Job) -> Path:
        """The file, complete and on the disk."""
        from microtome.session.writer import save_session

        return save_session(self.path, self.session, include=self.include or None, job=job)

    def deliver(self, desk: Desk, result: Path) -> None:
        """A session whose own file it is has nothing unsaved any more."""
        shown = desk.workspace.session
        own = desk.workspace.path == self.path
        if own and shown is not None and shown.uuid == self.session.uuid:
            desk.workspace.saved(self.path)
            if not same_content(shown, self.session):
                desk.workspace.mark_dirty()


@dataclass(frozen=True, slots=True)
class OpenKept(OpenSession):
    """Open what was kept of a window that crashed; it counts as unsaved."""

    @property
    def title(self) -> str:
        """What is being done, for the status bar."""
        return "Opening what was kept"

    def deliver(self, desk: Desk, result: Opened) -> None:
        """Show it without a file: the user says where it goes."""
        show_opened(desk, result.session, None)
        result.tell(desk, "what was kept")
