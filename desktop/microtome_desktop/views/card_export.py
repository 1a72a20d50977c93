"""The menu of a feature's card: all of it as a picture or a page, and what it says as a table."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QFileDialog, QMenu, QToolButton, QWidget

from microtome_desktop.jobs.export_requests import CopyTable, SaveDrawing, SavePicture, SaveTable
from microtome_desktop.presenters.provenance import as_text, made_by
from microtome_desktop.state.exports import Table
from microtome_desktop.views.icons import icon
from microtome_desktop.views.panel import PanelContext
from microtome_desktop.views.panel_picture import document_of, drawing_of, picture_of

_KINDS = {
    "png": "PNG picture (*.png)", "svg": "SVG drawing (*.svg)", "pdf": "PDF page (*.pdf)",
    "csv": "Table as CSV (*.csv)", "json": "Table as JSON (*.json)",
}  # fmt: skip
_ICONS = {
    "png": "mdi6.file-image-outline", "svg": "mdi6.vector-curve", "pdf": "mdi6.file-pdf-box",
    "csv": "mdi6.file-delimited-outline", "json": "mdi6.code-json",
}  # fmt: skip
_TITLE = "Feature"


class CardExport(QMenu):
    """Draws ``view`` from top to bottom, also what is scrolled out of sight.

    ``make`` gives the table when something is chosen; None where no card is shown.
    """

    def __init__(
        self,
        context: PanelContext,
        button: QToolButton,
        view: QWidget,
        make: Callable[[], Callable[[], Table] | None],
    ) -> None:
        super().__init__(view)
        self.setObjectName("export_card")
        self._context, self._view, self._make = context, view, make
        button.setIcon(icon("mdi6.dots-horizontal"))
        button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        button.setMenu(self)
        picture = self.addAction(icon("mdi6.image-outline"), "Copy the card as a picture")
        picture.triggered.connect(self._on_copy_picture)
        copy = self.addAction(icon("mdi6.table"), "Copy the card as a table")
        copy.triggered.connect(self._on_copy)
        self.addSeparator()
        for ending in _KINDS:
            action = self.addAction(icon(_ICONS[ending]), f"Save the card as {ending.upper()}…")
            action.triggered.connect(partial(self._on_save, ending))

    def _on_copy_picture(self) -> None:
        if self._make() is not None:
            QGuiApplication.clipboard().setImage(picture_of(self._view))

    def _on_copy(self) -> None:
        made = self._make()
        if made is not None:
            self._context.ask(CopyTable("the card", made))

    def _on_save(self, ending: str) -> None:
        made = self._make()
        path = None if made is None else self._path(ending)
        if made is None or path is None:
            return
        figures = made_by("features", self._context.workspace.session, ())
        if ending == "png":
            self._context.ask(SavePicture(path, picture_of(self._view), as_text(figures)))
        elif ending in {"svg", "pdf"}:
            draw = drawing_of if ending == "svg" else document_of
            self._context.ask(SaveDrawing(path, draw(self._view, _TITLE, as_text(figures))))
        else:
            self._context.ask(SaveTable(path, made, figures))

    def _path(self, ending: str) -> Path | None:
        """Where to save, None when the user thinks better of it."""
        settings = self._context.settings
        suggested = str(Path(settings.folder or Path.home()) / f"feature.{ending}")
        chosen, _ = QFileDialog.getSaveFileName(
            self._view, "Save the card", suggested, _KINDS[ending]
        )
        if not chosen:
            return None
        path = Path(chosen)
        settings.folder = str(path.parent)
        return path if path.suffix else path.with_suffix(f".{ending}")
