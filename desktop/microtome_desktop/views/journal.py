"""Keeps the log of one start of the program, and notices when the last one ended without a word."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

from PySide6.QtCore import QObject, Slot, qVersion

from microtome.records.model import ModelIdentity
from microtome_desktop.commands.command import CommandId
from microtome_desktop.jobs.autosave_requests import AutoSave
from microtome_desktop.jobs.file_requests import OpenSession, SaveSession
from microtome_desktop.state import log
from microtome_desktop.state.diagnostics import versions
from microtome_desktop.state.notices import Level, Notice
from microtome_desktop.views.start_mark import Crash, StartMark
from microtome_desktop.views.workbench import Workbench


class Journal(QObject):
    """Writes down what a window does. Lives in the GUI thread."""

    def __init__(self, folder: Path, mark: StartMark, bench: Workbench) -> None:
        super().__init__(bench)
        self._mark, self._bench = mark, bench
        self._handler = log.start(folder)
        told = ", ".join(" ".join(line.split()) for line in versions(qVersion(), "")[:-1])
        log.event(f"Started as process {os.getpid()}: {told.replace('HDF5 …, ', '')}")
        crashes = mark.crashes()
        if crashes:
            bench.desk.diagnostics.crash = crashes[0].text
            log.event(f"The last start ended without a word, as process {crashes[0].pid}")
            bench.desk.notices.post(_notice(crashes[0]))
        workspace = bench.desk.workspace
        workspace.model_changed.connect(self._on_model)
        workspace.path_changed.connect(self._on_path)
        bench.runner.finished.connect(self._on_finished)

    def _on_model(self, model: ModelIdentity | None) -> None:
        if model is None:
            log.event("No model is open any more")
        else:
            log.event(f"Model loaded: {model.name}, {model.dtype} on {model.device}")

    def _on_path(self, path: Path | None) -> None:
        self._mark.hold("" if path is None else path.name)

    @Slot(object)
    def _on_finished(self, request: object) -> None:
        if isinstance(request, OpenSession):
            log.event(f"Session opened: {request.path.name}")
        elif isinstance(request, SaveSession):
            log.event(f"Session saved: {request.path.name}")
        elif isinstance(request, AutoSave):
            name = "a session without a file" if request.path is None else request.path.name
            log.event(f"Unsaved changes kept: {name}")

    def end(self) -> None:
        """The window ends in order."""
        log.event("Ended in order")
        log.stop(self._handler)


def _notice(crash: Crash) -> Notice:
    try:
        when = f"{datetime.fromisoformat(crash.started):%d %B at %H:%M}"
    except ValueError:
        when = "an unknown time"
    held = f", with {crash.session} open" if crash.session else ""
    return Notice(
        Level.WARNING,
        "Microtome ended without a word the last time",
        f"That window was started on {when}{held}.",
        "What it had kept is offered by itself. Copy diagnostics if you want to report it.",
        offer=CommandId.COPY_DIAGNOSTICS,
    )
