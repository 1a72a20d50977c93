"""What the commands of the Edits menu do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QInputDialog

from microtome_desktop.commands.command import CommandId
from microtome_desktop.state.desk import Desk
from microtome_desktop.state.edit_places import Act, Grounds, selected_places, why_not_act
from microtome_desktop.views.edit_menu import COMMANDS, do_act
from microtome_desktop.views.edits_panel import EditsPanel
from microtome_desktop.views.main_window import MainWindow
from microtome_desktop.views.panel import Panel

_ID = CommandId


class EditCommands(QObject):
    """Edits what is selected, and the list as a whole."""

    def __init__(
        self, window: MainWindow, desk: Desk, panels: dict[str, Panel], say: Callable[[str], None]
    ) -> None:
        super().__init__(window)
        self._window, self._desk, self._panels, self._say = window, desk, panels, say

    def table(self) -> dict[CommandId, Callable[[], None]]:
        """What each command does."""
        acts: dict[CommandId, Callable[[], None]] = {
            wanted: partial(self._act, act) for act, wanted in COMMANDS.items()
        }
        return {
            **acts,
            _ID.ADD_EDIT: self._add,
            _ID.SWITCH_EDITS: self._switch,
            _ID.GENERATE: self._generate,
            _ID.PRICE: self._price,
            _ID.SAVE_EDITS: self._save,
            _ID.CLEAR_EDITS: self._desk.book.clear_edits,
        }

    def _act(self, act: Act) -> None:
        workspace, book = self._desk.workspace, self._desk.book
        grounds = Grounds.of(workspace, self._desk.library)
        places = selected_places(workspace.session, self._desk.selection.current)
        if not why_not_act(grounds, act, places):
            do_act(book, grounds, act, places)
            self._say(book.undo_title)

    @property
    def _panel(self) -> EditsPanel | None:
        """The panel, brought to the front."""
        panel = self._panels.get("edits")
        if not isinstance(panel, EditsPanel):
            return None
        self._window.show_panel("edits")
        return panel

    def _add(self) -> None:
        panel = self._panel
        if panel is not None:
            panel.write()

    def _generate(self) -> None:
        panel = self._panel
        if panel is not None:
            panel.write_text()

    def _price(self) -> None:
        panel = self._panel
        if panel is not None:
            panel.take_price()

    def _switch(self) -> None:
        """All off where any is on, else all on."""
        edits = self._desk.book.marks.edits
        on = not any(spec.on for spec in edits)
        title = "Switch all edits on" if on else "Switch all edits off"
        self._desk.book.mark(title, edits=tuple(replace(spec, on=on) for spec in edits))

    def _save(self) -> None:
        first = f"Edits {len(self._desk.book.marks.edit_sets) + 1}"
        name, given = QInputDialog.getText(
            self._window, "Save the edits", "Name of the set:", text=first
        )
        if given and name.strip():
            self._desk.book.save_edit_set(name.strip())
