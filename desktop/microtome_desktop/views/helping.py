"""What helps to find one's way: lessons, documentation, keys, settings, the palette, messages."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QUrl
from PySide6.QtGui import QDesktopServices

from microtome_desktop.jobs.diagnostics_request import GatherDiagnostics
from microtome_desktop.jobs.runner import JobRunner
from microtome_desktop.state.desk import Desk
from microtome_desktop.state.diagnostics import Found
from microtome_desktop.views.diagnostics_window import AboutWindow, DiagnosticsWindow
from microtome_desktop.views.dialogs import TextWindow, help_text, messages_text
from microtome_desktop.views.main_window import MainWindow

if TYPE_CHECKING:
    from microtome_desktop.views.finding import Finding

# The pages lie beside the packages in a checkout; an installed window shows its own help.
_DOCS = Path(__file__).resolve().parents[3] / "docs"


class Helping:
    """Opens the windows that tell and find; each when it is first asked for."""

    def __init__(
        self, window: MainWindow, desk: Desk, runner: JobRunner, load_again: Callable[[], None]
    ) -> None:
        self._window, self._desk, self._runner = window, desk, runner
        self._load_again = load_again
        self._finding: Finding | None = None
        desk.diagnostics.changed.connect(self._on_found)

    def show_lessons(self) -> None:
        """Bring the lessons to the front."""
        self._window.show_panel("lessons")

    def start_page(self) -> None:
        """Leave the lesson for the list of all."""
        self._desk.course.leave()
        self.show_lessons()

    def documentation(self) -> None:
        """Open the pages, or the window's own help where there are none."""
        if not (_DOCS.is_dir() and QDesktopServices.openUrl(QUrl.fromLocalFile(str(_DOCS)))):
            TextWindow("Help", help_text(), self._window).show()

    def shortcuts(self) -> None:
        """Show all keys."""
        from microtome_desktop.views.shortcut_sheet import ShortcutSheet

        change = partial(self.show_settings, "shortcuts")
        ShortcutSheet(self._desk.settings, change, self._window).show()

    def show_settings(self, name: str = "") -> None:
        """Open the settings, at one of them if it is named; one window serves all."""
        from microtome_desktop.views.settings_window import SettingsWindow

        window = self._window.findChild(SettingsWindow)
        if window is None:
            window = SettingsWindow(self._desk, self._load_again, self._window)
        window.show()
        window.raise_()
        window.activateWindow()
        if name:
            window.go_to(name)

    def find(self) -> None:
        """Open the palette."""
        if self._finding is None:  # nobody needs it before it is asked for
            from microtome_desktop.views.finding import Finding

            self._finding = Finding(self._window, self._desk, self._runner, self.show_settings)
        self._finding.ask()

    def messages(self) -> None:
        """Show all that was reported."""
        text = messages_text(self._desk.notices.history)
        TextWindow("Messages", text, self._window).show()

    def about(self) -> None:
        """Show the versions."""
        AboutWindow(self.diagnostics, self._window).show()
        self._gather()

    def diagnostics(self) -> None:
        """Show what helps to find a fault, to be copied."""
        DiagnosticsWindow(self._desk.settings, self._window).show()
        self._gather()

    def _gather(self) -> None:
        self._runner.ask(GatherDiagnostics(self._desk.diagnostics.crash))

    def _on_found(self, found: Found) -> None:
        for about in self._window.findChildren(AboutWindow):
            about.show_found(found)
        for diagnostics in self._window.findChildren(DiagnosticsWindow):
            diagnostics.show_found(found)
