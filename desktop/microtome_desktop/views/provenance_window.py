"""The window that tells what produced the figures of a panel, to be read and copied."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from PySide6.QtCore import QObject
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QDialogButtonBox, QPushButton, QWidget

from microtome.records.provenance import Provenance
from microtome_desktop.commands.command import CommandId
from microtome_desktop.presenters.provenance import as_text, made_by, why_nothing
from microtome_desktop.state.desk import Desk
from microtome_desktop.views.dialogs import TextWindow
from microtome_desktop.views.main_window import MainWindow
from microtome_desktop.views.panel import Panel


class ProvenanceWindow(TextWindow):
    """A paragraph for each figure of a panel."""

    def __init__(self, title: str, text: str, parent: QWidget) -> None:
        super().__init__(f"What made {title}", text, parent)
        self.setObjectName("provenance")
        self.copy = QPushButton("Copy")
        self.copy.clicked.connect(self._copy)
        self.buttons.addButton(self.copy, QDialogButtonBox.ButtonRole.ActionRole)
        self.resize(860, 560)

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self.text.toPlainText())
        self.copy.setText("Copied")


def figures_of(panel: Panel) -> tuple[Provenance, ...]:
    """What produced what a panel shows now."""
    return made_by(panel.name, panel.context.workspace.session, panel.shown_ids())


def tell(panel: Panel, parent: QWidget) -> str:
    """Open the window on a panel; why there is nothing to tell, empty when there is."""
    figures = figures_of(panel)
    if not figures:
        return why_nothing(panel.name, panel.context.workspace.session)
    ProvenanceWindow(panel.title, as_text(figures), parent).show()
    return ""


class ProvenanceCommands(QObject):
    """Tells what made the figures of the panel that is in use."""

    def __init__(self, window: MainWindow, desk: Desk, panels: Mapping[str, Panel]) -> None:
        super().__init__(window)
        self._window, self._desk, self._panels = window, desk, panels

    def table(self) -> dict[CommandId, Callable[[], None]]:
        """What the command does."""
        return {CommandId.WHAT_MADE_THIS: self.tell}

    def tell(self) -> None:
        """Open the window, or say why there is nothing."""
        panel = self._panels.get(self._window.maximising.panel_in_use())
        if panel is not None and (reason := tell(panel, self._window)):
            self._desk.notices.info(f"{panel.title} has nothing to tell", reason)
