"""A request for what helps to find a fault: it reads files, and asks HDF5 for its version."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from microtome.jobs import Job
from microtome_desktop.jobs.engine import Engine
from microtome_desktop.jobs.request import Request, Thread
from microtome_desktop.state import log
from microtome_desktop.state.desk import Desk
from microtome_desktop.state.diagnostics import LINES, Found


@dataclass(frozen=True, slots=True)
class GatherDiagnostics(Request):
    """The end of the log and the version of HDF5."""

    thread: ClassVar[Thread] = Thread.IO
    slot: ClassVar[str] = "diagnostics"
    replaces: ClassVar[frozenset[str]] = frozenset({"diagnostics"})
    quiet: ClassVar[bool] = True
    crash: str = ""

    @property
    def title(self) -> str:
        """What is being done."""
        return "Gathering diagnostics"

    def perform(self, engine: Engine, job: Job) -> Found:
        """Read the log; no session is opened."""
        from microtome.session.libraries import hdf5_version

        return Found(hdf5_version(), log.last_lines(LINES), self.crash)

    def deliver(self, desk: Desk, result: Found) -> None:
        """Hand it to the windows that show it."""
        desk.diagnostics.put(result)
