"""The status bar: what runs, how long it takes, and the way to stop it."""

from __future__ import annotations

import sys
from pathlib import Path

from PySide6.QtCore import QTimer, Slot
from PySide6.QtWidgets import QLabel, QProgressBar, QPushButton, QStatusBar, QWidget

from microtome.jobs import Progress
from microtome_desktop import palette as colours
from microtome_desktop.jobs.request import Request
from microtome_desktop.jobs.runner import JobRunner
from microtome_desktop.presenters.sizes import bytes_text
from microtome_desktop.presenters.work import progress_text
from microtome_desktop.state.desk import Desk
from microtome_desktop.state.made_by import model_name
from microtome_desktop.views.markup import take_markup

_MEMORY_EVERY_MS = 2_000


class JobStatus(QWidget):
    """Fills a status bar and keeps it current."""

    def __init__(self, bar: QStatusBar, desk: Desk, runner: JobRunner) -> None:
        super().__init__(bar)
        self.hide()
        self._desk, self._runner = desk, runner
        self.state = QLabel("Starting…")
        take_markup(self.state)
        self.work = QLabel()
        self.progress = QProgressBar(textVisible=False, maximum=1000)
        self.progress.setFixedWidth(150)
        self.stop = QPushButton("Stop")
        self.stop.setObjectName("stop_job")
        self.machine = QLabel()
        bar.setSizeGripEnabled(False)
        bar.addWidget(self.state, 1)
        for widget in (self.work, self.progress, self.stop, self.machine):
            bar.addPermanentWidget(widget)
        self.stop.clicked.connect(runner.cancel_visible)
        runner.changed.connect(self._update)
        runner.progressed.connect(self._on_progress)
        desk.workspace.model_changed.connect(self._on_state)
        desk.workspace.session_replaced.connect(self._on_state)
        desk.workspace.part_changed.connect(self._on_state)
        desk.workspace.dirty_changed.connect(self._on_state)
        desk.workspace.path_changed.connect(self._on_state)
        desk.library.changed.connect(self._on_library)
        self._memory = QTimer(self, interval=_MEMORY_EVERY_MS)
        self._memory.timeout.connect(self._show_machine)
        self._memory.start()
        self._update()
        self._show_machine()

    def use_keys(self, keys: str) -> None:
        """Tell by which keys one stops as well."""
        self.stop.setToolTip(f"Stop what is running ({keys})" if keys else "Stop what is running")

    def _on_state(self, what: object) -> None:
        self.show_state()

    def _on_library(self, shelf: object, changed: frozenset[str]) -> None:
        self.show_state()
        self._show_machine()

    @Slot()
    def _update(self) -> None:
        under_way = self._runner.under_way
        busy = bool(under_way)
        for widget in (self.progress, self.stop):
            widget.setVisible(busy)
        if busy:
            more = f" and {len(under_way) - 1} more" if len(under_way) > 1 else ""
            self.work.setText(f"{under_way[0].title}{more}")
        else:
            stopping = self._runner.stopping
            self.work.setText("Stopped; the last step still ends by itself" if stopping else "")
            self.progress.setValue(0)
        self.show_state()

    @Slot(object, object)
    def _on_progress(self, request: Request, progress: Progress) -> None:
        self.progress.setValue(round(1000 * progress.fraction))
        self.work.setText(progress_text(progress))

    def show_state(self) -> None:
        """Say what the window works on, in the colours of the theme."""
        text, colour = self._state()
        self.state.setText(f'<span style="color:{colour}">\N{BLACK CIRCLE}</span>&nbsp; {text}')

    def _state(self) -> tuple[str, str]:
        workspace = self._desk.workspace
        session, model = workspace.session, workspace.model
        if self._runner.under_way:
            return "Working", colours.ACCENT
        if session is not None and workspace.offline:
            return f"Offline review \N{MIDDLE DOT} {_plain(model_name(session))}", colours.WARM
        if model is None:
            return "No model", colours.WARM
        parts = ["Ready", _plain(model.name)]
        if session is not None and session.metric:
            value = f"{float(session.metric['value']):.3g}"
            parts.append(f"{_plain(str(session.metric['name']))} = {value}")
        if workspace.path is not None:
            parts.append(_plain(workspace.path.name) + (", changed" if workspace.dirty else ""))
        return " \N{MIDDLE DOT} ".join(parts), colours.GOOD

    def _show_machine(self) -> None:
        model, machine = self._desk.workspace.model, self._desk.library.shelf.machine
        threads = f"{machine.threads} thread{'' if machine.threads == 1 else 's'}"
        parts = [threads if model is None else f"{model.device.upper()} {threads}"]
        used = resident_bytes()
        if used:
            parts.append(bytes_text(used))
        self.machine.setText(" \N{MIDDLE DOT} ".join(parts))
        self.machine.setToolTip("Where the model runs, and the memory of this window")


def resident_bytes() -> int:
    """Memory of this process in bytes, 0 where the system does not tell cheaply."""
    if sys.platform != "linux":
        return 0
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * 4096


def _plain(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")
