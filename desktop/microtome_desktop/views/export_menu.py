"""The menu behind the three dots of a panel: picture, drawing, table and lines of Python."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from PySide6.QtCore import QObject
from PySide6.QtGui import QAction, QGuiApplication
from PySide6.QtWidgets import QFileDialog, QMenu, QToolButton

from microtome_desktop.jobs.export_requests import (
    CopyTable,
    SaveDrawing,
    SavePicture,
    SaveTable,
)
from microtome_desktop.jobs.runner import JobRunner
from microtome_desktop.presenters.provenance import as_text, why_nothing
from microtome_desktop.state.desk import Desk
from microtome_desktop.views.icons import icon
from microtome_desktop.views.main_window import MainWindow
from microtome_desktop.views.panel import Panel
from microtome_desktop.views.panel_picture import document_of, drawing_of, picture_of
from microtome_desktop.views.panels import Panels
from microtome_desktop.views.provenance_window import figures_of, tell
from microtome_desktop.views.token_strip import TokenStrip

_KINDS = {
    "png": "PNG picture", "svg": "SVG drawing", "pdf": "PDF page",
    "csv": "Table as CSV", "json": "Table as JSON",
}  # fmt: skip


class ExportMenu(QMenu):
    """What one panel can hand out. What it cannot is disabled and says why."""

    def __init__(
        self,
        name: str,
        panels: Mapping[str, Panel],
        desk: Desk,
        runner: JobRunner,
        button: QToolButton,
    ) -> None:
        super().__init__(button)
        self.setObjectName(f"export_{name}")
        self.setToolTipsVisible(True)
        # By name: a menu that held its panel would keep it beyond the window.
        self._name, self._panels, self._desk, self._runner = name, panels, desk, runner
        self.copy_picture = self._entry(
            "Copy picture", "mdi6.image-outline", "The panel as a picture", self._on_copy_picture
        )
        self.copy_table = self._entry(
            "Copy table", "mdi6.table", "Its numbers, tab separated", self._on_copy_table
        )
        self.copy_python = self._entry(
            "Copy as Python", "mdi6.language-python",
            "The lines that repeat what is shown", self._on_copy_python,
        )  # fmt: skip
        self.tell_made = self._entry(
            "What made this…", "mdi6.certificate-outline",
            "Method, model, seed, settings and versions", self._on_tell_made,
        )  # fmt: skip
        self.addSeparator()
        self.save_png = self._entry(
            "Save as PNG…", "mdi6.file-image-outline", "At twice the resolution of the screen",
            self._on_save_png,
        )  # fmt: skip
        self.save_svg = self._entry(
            "Save as SVG…", "mdi6.vector-curve", "Lines and text that stay sharp", self._on_save_svg
        )
        self.save_pdf = self._entry(
            "Save as PDF…", "mdi6.file-pdf-box", "The same on a page of its size", self._on_save_pdf
        )
        self.save_csv = self._entry(
            "Save as CSV…", "mdi6.file-delimited-outline", "Its numbers at full precision",
            self._on_save_csv,
        )  # fmt: skip
        self.save_json = self._entry(
            "Save as JSON…", "mdi6.code-json", "The same, an object for each row",
            self._on_save_json,
        )  # fmt: skip
        self._tips = {action: action.toolTip() for action in self.actions()}
        self.aboutToShow.connect(self.look)

    @property
    def _panel(self) -> Panel:
        return self._panels[self._name]

    def _entry(self, text: str, picture: str, tip: str, act: Callable[[], None]) -> QAction:
        action = self.addAction(icon(picture), text)
        action.setToolTip(tip)
        action.triggered.connect(act)
        return action

    def look(self) -> None:
        """Enable what the panel can hand out now."""
        told = figures_of(self._panel) or why_nothing(self._name, self._desk.workspace.session)
        for action, held in (
            (self.copy_table, self._panel.exported_table()),
            (self.save_csv, self._panel.exported_table()),
            (self.save_json, self._panel.exported_table()),
            (self.copy_python, self._panel.exported_lines()),
            (self.tell_made, told),
        ):
            why = held if isinstance(held, str) else ""
            action.setEnabled(not why)
            action.setToolTip(why or self._tips[action])

    def _on_copy_picture(self) -> None:
        QGuiApplication.clipboard().setImage(picture_of(self._panel))
        self._tell("A picture")

    def _on_copy_table(self) -> None:
        make = self._panel.exported_table()
        if not isinstance(make, str):
            self._runner.ask(CopyTable(self._panel.title, make))

    def _on_copy_python(self) -> None:
        lines = self._panel.exported_lines()
        if not isinstance(lines, str):
            QGuiApplication.clipboard().setText("\n".join(lines) + "\n")
            self._tell("The Python")

    def _on_tell_made(self) -> None:
        tell(self._panel, self._panel.window())

    def _told(self) -> str:
        return as_text(figures_of(self._panel))

    def _on_save_png(self) -> None:
        path = self._ask("png")
        if path is not None:
            self._runner.ask(SavePicture(path, picture_of(self._panel), self._told()))

    def _on_save_svg(self) -> None:
        path = self._ask("svg")
        if path is not None:
            self._runner.ask(SaveDrawing(path, drawing_of(self._panel, told=self._told())))

    def _on_save_pdf(self) -> None:
        path = self._ask("pdf")
        if path is not None:
            self._runner.ask(SaveDrawing(path, document_of(self._panel, told=self._told())))

    def _on_save_csv(self) -> None:
        self._save_table("csv")

    def _on_save_json(self) -> None:
        self._save_table("json")

    def _save_table(self, ending: str) -> None:
        make = self._panel.exported_table()
        path = None if isinstance(make, str) else self._ask(ending)
        if path is not None and not isinstance(make, str):
            self._runner.ask(SaveTable(path, make, figures_of(self._panel)))

    def _ask(self, ending: str) -> Path | None:
        """Where to save, None when the user thinks better of it."""
        settings = self._desk.settings
        suggested = Path(settings.folder or Path.home()) / f"{self._panel.name}.{ending}"
        kind = f"{_KINDS[ending]} (*.{ending})"
        title = f"Save {self._panel.title}"
        chosen, _ = QFileDialog.getSaveFileName(self._panel, title, str(suggested), kind)
        if not chosen:
            return None
        path = Path(chosen)
        settings.folder = str(path.parent)
        return path if path.suffix else path.with_suffix(f".{ending}")

    def _tell(self, what: str) -> None:
        self._desk.notices.info(f"{what} of {self._panel.title} is on the clipboard")


class ExportMenus(QObject):
    """Gives every panel its menu, and the clipboard what a worker made for it."""

    def __init__(self, window: MainWindow, desk: Desk, runner: JobRunner, panels: Panels) -> None:
        super().__init__(window)
        self.menus: dict[str, ExportMenu] = {}
        self._desk = desk
        for name in panels.names:
            strip = panels[name] if name not in window.cards else None  # it has no title bar
            button = (strip if isinstance(strip, TokenStrip) else window.cards[name].bar).export
            button.setIcon(icon("mdi6.dots-horizontal"))
            button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
            self.menus[name] = menu = ExportMenu(name, panels, desk, runner, button)
            button.setMenu(menu)
        desk.clip.offered.connect(self._on_text)

    def retire(self) -> None:
        """Take the menus away, for others that belong to other panels."""
        self._desk.clip.offered.disconnect(self._on_text)
        for menu in self.menus.values():
            menu.deleteLater()
        self.menus.clear()
        self.deleteLater()

    def _on_text(self, text: str) -> None:
        QGuiApplication.clipboard().setText(text)
