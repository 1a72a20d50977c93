"""The menu of a feature's card: its numbers, words and examples as a table."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from PySide6.QtWidgets import QFileDialog, QMenu, QToolButton, QWidget

from microtome_desktop.jobs.export_requests import CopyTable, SaveTable
from microtome_desktop.state.exports import Table
from microtome_desktop.views.icons import icon
from microtome_desktop.views.panel import PanelContext

_KINDS = {"csv": "Table as CSV (*.csv)", "json": "Table as JSON (*.json)"}


class CardExport(QMenu):
    """Asks ``make`` for the table when something is chosen; None where no card is shown."""

    def __init__(
        self,
        context: PanelContext,
        button: QToolButton,
        make: Callable[[], Callable[[], Table] | None],
        parent: QWidget,
    ) -> None:
        super().__init__(parent)
        self.setObjectName("export_card")
        self._context, self._make = context, make
        button.setIcon(icon("mdi6.dots-horizontal"))
        button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        button.setMenu(self)
        copy = self.addAction(icon("mdi6.table"), "Copy the card")
        copy.triggered.connect(self._on_copy)
        for ending in _KINDS:
            action = self.addAction(icon("mdi6.code-json"), f"Save the card as {ending.upper()}…")
            action.triggered.connect(partial(self._on_save, ending))

    def _on_copy(self) -> None:
        made = self._make()
        if made is not None:
            self._context.ask(CopyTable("the card", made))

    def _on_save(self, ending: str) -> None:
        made, settings = self._make(), self._context.settings
        if made is None:
            return
        suggested = str(Path(settings.folder or Path.home()) / f"feature.{ending}")
        chosen, _ = QFileDialog.getSaveFileName(
            self.parentWidget(), "Save the card", suggested, _KINDS[ending]
        )
        if chosen:
            path = Path(chosen)
            settings.folder = str(path.parent)
            path = path if path.suffix else path.with_suffix(f".{ending}")
            self._context.ask(SaveTable(path, made))
