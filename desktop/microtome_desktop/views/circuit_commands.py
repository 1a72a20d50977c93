"""What the commands of the Circuit menu do, and undo and redo."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject

from microtome_desktop.commands.command import CommandId
from microtome_desktop.state.desk import Desk
from microtome_desktop.views.circuit import CircuitPanel
from microtome_desktop.views.main_window import MainWindow
from microtome_desktop.views.notes_panel import NotesPanel
from microtome_desktop.views.panel import Panel

_ID = CommandId
_ZOOM = 1.25


class CircuitCommands(QObject):
    """Hands each command on to the panel that does it; there are none before the window is full."""

    def __init__(self, window: MainWindow, desk: Desk, panels: dict[str, Panel]) -> None:
        super().__init__(window)
        self._window, self._desk, self._panels = window, desk, panels

    def table(self) -> dict[CommandId, Callable[[], None]]:
        """What each command does."""
        book = self._desk.book
        return {
            _ID.UNDO: book.undo,
            _ID.REDO: book.redo,
            _ID.NOTE: self._note,
            _ID.PIN: self._act(lambda panel: panel.acts.pin()),
            _ID.RENAME: self._act(lambda panel: panel.acts.rename()),
            _ID.HIDE: self._act(lambda panel: panel.acts.hide()),
            _ID.SHOW_HIDDEN: self._act(lambda panel: panel.acts.show_hidden()),
            _ID.GROUP: self._act(lambda panel: panel.acts.group()),
            _ID.UNGROUP: self._act(lambda panel: panel.acts.ungroup()),
            _ID.PROPOSE_GROUPS: self._act(self._propose),
            _ID.COLLAPSE: self._act(lambda panel: panel.acts.collapse()),
            _ID.SEARCH: self._act(lambda panel: panel.finder.field.open()),
            _ID.FIT: self._act(lambda panel: panel.canvas.fit()),
            _ID.ZOOM_IN: self._act(lambda panel: panel.canvas.zoom(_ZOOM)),
            _ID.ZOOM_OUT: self._act(lambda panel: panel.canvas.zoom(1 / _ZOOM)),
            _ID.COMPACT: self._act(lambda panel: panel.acts.switch_layout()),
            _ID.WEIGHTS: self._act(lambda panel: panel.acts.switch_weights()),
            _ID.SAVE_VIEW: self._act(lambda panel: panel.acts.save_view()),
        }

    def _act(self, act: Callable[[CircuitPanel], None]) -> Callable[[], None]:
        def run() -> None:
            panel = self._panels.get("circuit")
            if isinstance(panel, CircuitPanel):
                act(panel)

        return run

    def _propose(self, panel: CircuitPanel) -> None:
        from microtome_desktop.views.group_proposals import GroupProposals

        if panel.shown is not None:
            GroupProposals(panel.context, panel, self._window).show()

    def _note(self) -> None:
        panel = self._panels.get("notes")
        if isinstance(panel, NotesPanel):
            self._window.show_panel("notes")
            panel.write()
