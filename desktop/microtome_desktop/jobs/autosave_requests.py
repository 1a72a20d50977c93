"""Saves that nobody asked for, and opening what a window that crashed had kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from microtome.errors import StorageError
from microtome.jobs import Job
from microtome.records.session import Session
from microtome_desktop.jobs.engine import Engine
from microtome_desktop.jobs.file_requests import Opened, OpenSession, show_opened
from microtome_desktop.jobs.request import Request, Thread
from microtome_desktop.state.desk import Desk

if TYPE_CHECKING:
    from microtome.session.unsaved import Unsaved


@dataclass(frozen=True, slots=True)
class AutoSave(Request):
    """Keep a session for after a crash: beside its own file, or in one for the next start.

    What the user saved stays as it was saved.
    """

    thread: ClassVar[Thread] = Thread.IO
    slot: ClassVar[str] = "autosave"
    replaces: ClassVar[frozenset[str]] = frozenset({"autosave"})
    quiet: ClassVar[bool] = True

    path: Path | None  # the session's own
    kept: Path | None  # for a session whose own file cannot take the changes
    session: Session = field(repr=False)
    include: tuple[str, ...] = ()
    again: bool = False  # it failed before

    @property
    def title(self) -> str:
        """What is being done."""
        return "Keeping what is unsaved"

    @property
    def fails_quietly(self) -> bool:
        """All but the first time."""
        return self.again

    def perform(self, engine: Engine, job: Job) -> None:
        """It is on the disk, beside the file or in another one."""
        include = self.include or None
        try:
            own = self.path
            if own is not None and engine.files.own.keep(own, self.session, include, job):
                return
        except StorageError:  # another window has it, or nothing may be written there
            if self.kept is None:
                raise
        if self.kept is not None:
            engine.files.kept.save(self.kept, self.session, include, job)


@dataclass(frozen=True, slots=True)
class OpenKept(OpenSession):
    """Open what was kept of a window that crashed; it counts as unsaved."""

    @property
    def title(self) -> str:
        """What is being done, for the status bar."""
        return "Opening what was kept"

    @property
    def edits(self) -> bool:
        """No: the user says where it goes."""
        return False

    def deliver(self, desk: Desk, result: Opened | Unsaved) -> None:
        """Show it without a file: the user says where it goes."""
        if not isinstance(result, Opened):
            return
        show_opened(desk, result.session, None)
        result.tell(desk, "what was kept")


@dataclass(frozen=True, slots=True)
class LookForUnsaved(Request):
    """Look for changes that a crash left beside sessions that were open last."""

    thread: ClassVar[Thread] = Thread.IO
    slot: ClassVar[str] = "unsaved"
    quiet: ClassVar[bool] = True

    paths: tuple[Path, ...]

    @property
    def title(self) -> str:
        """What is being done."""
        return "Looking for unsaved changes"

    def perform(self, engine: Engine, job: Job) -> list[Unsaved]:
        """What was found."""
        from microtome.session.log import log_of
        from microtome.session.unsaved import unsaved

        # Most have no log beside them, and then HDF5 is not needed to say so.
        logged = (path for path in self.paths if log_of(path).exists())
        return [found for path in logged if (found := unsaved(path)) is not None]

    def deliver(self, desk: Desk, result: list[Unsaved]) -> None:
        """Ask about each."""
        for found in result:
            desk.unsaved.put(found)
