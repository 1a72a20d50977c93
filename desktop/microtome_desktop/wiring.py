"""The composition root: opens the window, or draws it into a picture."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import (
    QCoreApplication,
    QEvent,
    QEventLoop,
    QObject,
    QSettings,
    QSize,
    QStandardPaths,
    QTimer,
    Signal,
    Slot,
)
from PySide6.QtGui import QPixmap

from microtome_desktop.application import ErrorNet, draw_without_screen, make_application
from microtome_desktop.screen import has_screen, why_no_screen
from microtome_desktop.views.fonts import text_font
from microtome_desktop.views.main_window import MainWindow
from microtome_desktop.views.start_mark import StartMark

if TYPE_CHECKING:
    # The first frame is painted before this is imported.
    from microtome_desktop.views.journal import Journal
    from microtome_desktop.views.workbench import Workbench

# Tests, and whoever wants a second set of settings, name another file here.
SETTINGS_VARIABLE = "MICROTOME_SETTINGS"
_PICTURE_SIZE = QSize(1760, 1080)
_NESTED = 8  # layouts within layouts
_RENDER_PATIENCE_MS = 60_000
# Longer than any panel waits before it refines what it drew.
_SETTLE_MS = 400


def settings_store() -> QSettings:
    """The ini file of the settings, in the user's configuration folder."""
    given = os.environ.get(SETTINGS_VARIABLE)
    if given:
        return QSettings(given, QSettings.Format.IniFormat)
    folder = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.AppConfigLocation)
    return QSettings(str(Path(folder) / "microtome.ini"), QSettings.Format.IniFormat)


def state_folder() -> Path:
    """Where unsaved sessions outlive a crash, and the log lies."""
    return Path(QStandardPaths.writableLocation(QStandardPaths.StandardLocation.StateLocation))


def _theme(store: QSettings) -> str:
    """The theme that was chosen, read before the settings are: the first frame is drawn in it."""
    held = store.value("window/theme", "dark")
    return held if held in {"light", "system"} else "dark"


def _scale(store: QSettings) -> None:
    """Make text and controls as large as was chosen; Qt reads this when the application starts."""
    held = str(store.value("window/zoom", "100"))
    if held.isdigit() and held != "100":
        os.environ.setdefault("QT_SCALE_FACTOR", str(int(held) / 100))


class Opening(QObject):
    """A window on its way: the shell first, all the rest after the first frame.

    Without a ``store`` nothing is remembered, and nothing that was remembered is used.
    ``settled`` comes when every panel is there and nothing is under way.
    """

    settled = Signal()

    def __init__(self, path: Path | None, store: QSettings | None) -> None:
        super().__init__()
        self.net = ErrorNet()
        self.window = MainWindow()
        self.workbench: Workbench | None = None
        self._path, self._store = path, store
        self._mark: StartMark | None = None
        self._journal: Journal | None = None
        if store is not None:
            self._mark = StartMark(state_folder())
            self._mark.begin()
            geometry, state = store.value("layout/geometry"), store.value("layout/state")
            self.window.restore_layout(geometry, state)
        self._settling = QTimer(self, singleShot=True, interval=_SETTLE_MS)
        self._settling.timeout.connect(self._on_settling)
        self.window.painted.connect(self.furnish)

    @Slot()
    def furnish(self) -> None:
        """Bring in everything behind the shell; once."""
        from microtome_desktop.state.settings import MemoryStore
        from microtome_desktop.views.workbench import Workbench

        if self.workbench is None:
            kept = None if self._store is None else state_folder()
            self.workbench = Workbench(self.window, self._store or MemoryStore(), kept)
            self.net.caught.connect(self.workbench.report)
            self.workbench.ready.connect(self._settling.start)
            self._keep_journal(self.workbench)
            self.workbench.start(self._path)

    def _keep_journal(self, bench: Workbench) -> None:
        if self._mark is not None:
            from microtome_desktop.views.journal import Journal

            self._journal = Journal(state_folder(), self._mark, bench)

    def settle(self) -> None:
        """Emit ``settled`` once everything is at rest again."""
        self._settling.start()

    @Slot()
    def _on_settling(self) -> None:
        bench = self.workbench
        if bench is not None and bench.runner.idle and not bench.updating:
            self.settled.emit()
        else:
            self._settling.start()

    def close(self) -> bool:
        """End the threads and take the net away; False when a thread did not end."""
        ended = self.workbench.shut_down() if self.workbench is not None else True
        if self._store is not None:
            self._store.sync()
        if self._mark is not None:
            self._mark.end()
        if self._journal is not None:
            self._journal.end()
        self.net.remove()
        return ended


def open_window(path: Path | None = None, quit_after: float | None = None) -> int:
    """Open the window, with a session to review if one is given; returns when it is closed.

    After ``quit_after`` seconds it closes by itself and asks nothing.
    Raises InputError where there is no screen.
    """
    from microtome.errors import InputError
    from microtome.triage.kinds import KINDS
    from microtome.triage.server import prepare

    if not has_screen():
        raise InputError(
            f"There is no screen here: {why_no_screen()}.",
            "Use microtome run, info and render, or log in with a screen.",
        )
    if path is not None:
        prepare(KINDS["session"].check)  # reads the file while the window comes up
    store = settings_store()
    _scale(store)
    application = make_application(sys.argv[:1], _theme(store))
    application.setFont(text_font())
    opening = Opening(path, store)
    opening.window.show()
    if quit_after is not None:
        QTimer.singleShot(round(1000 * quit_after), application, QCoreApplication.exit)
    status = application.exec()
    if not opening.close():
        # A worker sits in one long call of a library: nothing in it is worth waiting for,
        # and a thread that is destroyed while it runs aborts the process.
        os._exit(status)
    return status


def render(session: Path, out: Path) -> None:
    """Draw the window with a session into a PNG, also where there is no screen.

    Raises what opening the session raises, and StorageError when the picture cannot be written.
    """
    from microtome_desktop.jobs.export_requests import as_png, write

    write(Path(out), as_png(_render(Path(session)).toImage()))


def _lay_out() -> None:
    """Have every layout know of the others: one that is nested asks the next one by an event."""
    for _ in range(_NESTED):
        QCoreApplication.sendPostedEvents(None, int(QEvent.Type.LayoutRequest.value))


def _wait_for(opening: Opening) -> None:
    """Let a window work until it is settled, or patience ends."""
    waiting, patience = QEventLoop(), QTimer(singleShot=True, interval=_RENDER_PATIENCE_MS)
    opening.settled.connect(waiting.quit)
    patience.timeout.connect(waiting.quit)
    patience.start()
    waiting.exec()
    opening.settled.disconnect(waiting.quit)


def _render(path: Path) -> QPixmap:
    """The window with a session in it, drawn once all panels are there."""
    from microtome.errors import SessionError
    from microtome.session.reader import open_session
    from microtome_desktop.views.circuit import CircuitPanel

    open_session(path)  # a file that cannot be opened is refused before there is a window
    if not has_screen():
        draw_without_screen()
    application = make_application(sys.argv[:1])
    application.setFont(text_font())
    opening = Opening(path, None)
    opening.window.resize(_PICTURE_SIZE)
    opening.window.reset_layout()  # the first sizes were those of this machine's screen
    opening.window.show()
    _wait_for(opening)
    bench = opening.workbench
    shown = bench is not None and bench.desk.workspace.session is not None
    _lay_out()
    if bench is not None and shown:
        # What got another size only now is drawn for it a moment later.
        opening.settle()
        _wait_for(opening)
        circuit = bench.furnishing.panels["circuit"]
        if isinstance(circuit, CircuitPanel):
            circuit.finish_drawing()
    picture = opening.window.grab()
    opening.close()
    opening.window.close()
    if not shown:
        raise SessionError(
            f"{path.name} was not on screen within {_RENDER_PATIENCE_MS // 1000} seconds.",
            "Try again when the machine is less busy.",
        )
    return picture
