"""Reading a file of labels, where the window does not wait for it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from microtome.jobs import Job
from microtome.records.analysis import Analysis
from microtome.records.feature_labels import labels_analysis
from microtome_desktop.jobs.engine import Engine
from microtome_desktop.jobs.request import Request, Thread
from microtome_desktop.state.desk import Desk
from microtome_desktop.state.label_files import labels_of_file


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

    def perform(self, engine: Engine, job: Job) -> Analysis:
        """The labels. Raises InputError."""
        found = labels_of_file(self.path, self.fingerprint, self.n_features)
        return labels_analysis(found)

    def deliver(self, desk: Desk, result: Analysis) -> None:
        """Put them beside what the session holds."""
        many = result.arrays["feature"].values.shape[0]
        told = f"{many:,} label{'s' * (many != 1)}"
        desk.book.put_results(f"Import {told}", {result.id: result})
        desk.notices.info(f"{told} of {self.path.name}")
