"""What the commands of the patching panel do."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject

from microtome.records.session import Session
from microtome_desktop.commands.command import CommandId
from microtome_desktop.state.desk import Desk
from microtome_desktop.state.sweeps import sweeps_in
from microtome_desktop.views.main_window import MainWindow

if TYPE_CHECKING:
    # Plots come with their panels, one at a turn.
    from microtome_desktop.views.panel import Panel
    from microtome_desktop.views.patching_panel import PatchingPanel


class PatchingCommands(QObject):
    """Hands each command on to the panel; there is none before the window is full."""

    def __init__(self, window: MainWindow, desk: Desk, panels: dict[str, Panel]) -> None:
        super().__init__(window)
        self._window, self._desk, self._panels = window, desk, panels
        desk.workspace.session_replaced.connect(self._on_session)

    def table(self) -> dict[CommandId, Callable[[], None]]:
        """What each command does."""
        return {
            CommandId.SWEEP: self._act(self._sweep),
            CommandId.TRACE_CAUSES: self._act(lambda panel: panel.asking.trace_causes()),
            CommandId.SWEEP_EDIT: self._act(self._edit),
        }

    def _on_session(self, session: Session | None) -> None:
        """Of a session that is a sweep and no circuit, show the sweep."""
        if session is not None and session.circuit is None and sweeps_in(session):
            self._front()

    def _front(self) -> None:
        self._window.show_panel("patching")

    def _sweep(self, panel: PatchingPanel) -> None:
        panel.run()
        if reason := panel.why_not:
            self._desk.notices.warn("The sweep cannot be made yet", reason)

    def _edit(self, panel: PatchingPanel) -> None:
        if reason := panel.make_edits():
            self._desk.notices.warn("No edit was made", reason)

    def _act(self, act: Callable[[PatchingPanel], None]) -> Callable[[], None]:
        def run() -> None:
            from microtome_desktop.views.patching_panel import PatchingPanel

            panel = self._panels.get("patching")
            if isinstance(panel, PatchingPanel):
                self._front()
                act(panel)

        return run
