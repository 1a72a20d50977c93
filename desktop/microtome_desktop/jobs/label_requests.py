"""Reading a file of labels, where the window does not wait for it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from microtome.jobs import Job
from microtome_desktop.jobs.engine import Engine
from microtome_desktop.jobs.request import Request, Thread
from microtome_desktop.state.desk import Desk
from microtome_desktop.state.features import with_labels
from microtome_desktop.state.label_files import read_labels


@dataclass(frozen=True, slots=True)
class ReadLabels(Request):
    """Take the labels of a file, as one step to undo."""

    thread: ClassVar[Thread] = Thread.IO
    slot: ClassVar[str] = "labels"
    about_session: ClassVar[bool] = True
    restless: ClassVar[str] = "A file is read in one step."

    path: Path
    fingerprint: str
    n_features: int

    @property
    def title(self) -> str:
        """What is being done, for the status bar."""
        return f"Reading {self.path.name}"

    def perform(self, engine: Engine, job: Job) -> dict[int, str]:
        """The labels. Raises InputError."""
        return read_labels(self.path, self.n_features)

    def deliver(self, desk: Desk, result: dict[int, str]) -> None:
        """Put them among the names."""
        names = with_labels(desk.book.marks.names, self.fingerprint, result)
        many = len(result)
        desk.book.mark(f"Import {many:,} label{'s' * (many != 1)}", names=names)
        desk.notices.info(f"{many:,} label{'s' * (many != 1)} of {self.path.name}")
