"""Opening a model of the hub: its name, what would be fetched and where to, and the word for it."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from microtome_desktop.jobs.hub_requests import DownloadModel, LookUp
from microtome_desktop.jobs.runner import JobRunner
from microtome_desktop.presenters.hub import facts_of, too_large
from microtome_desktop.state.desk import Desk
from microtome_desktop.state.hub import Looked

_NOTE = (
    "Looking it up asks the hub over the network, unless the model is on this computer already. "
    "Nothing is fetched before you press Download."
)


class HubDialog(QDialog):
    """Asks for a hub id, shows the answer, and starts the download. Does not block the window."""

    def __init__(
        self, desk: Desk, runner: JobRunner, load: Callable[[str], None], parent: QWidget
    ) -> None:
        super().__init__(parent)
        self.setObjectName("hub")
        self.setWindowTitle("Open hub id")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._desk, self._runner, self._load = desk, runner, load
        self._shown = Looked()
        self.name = QLineEdit()
        self.name.setObjectName("hub_name")
        self.name.setAccessibleName("name of a model on the hub")
        self.name.setPlaceholderText("owner/model")
        self.ask = QPushButton("Look up")
        self.ask.setObjectName("hub_ask")
        self.facts = QFormLayout()
        self.problem = QLabel()
        self.problem.setObjectName("bad")
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self.go = self.buttons.addButton("Download", QDialogButtonBox.ButtonRole.AcceptRole)
        self.go.setObjectName("primary")
        self._lay_out()
        self.name.textChanged.connect(self._on_typed)
        self.name.returnPressed.connect(self._on_ask)
        self.ask.clicked.connect(self._on_ask)
        self.buttons.accepted.connect(self._on_go)
        self.buttons.rejected.connect(self.close)
        self.finished.connect(self._on_finished)
        desk.hub.changed.connect(self._on_looked)
        self._show()

    def _lay_out(self) -> None:
        asking = QHBoxLayout()
        asking.addWidget(self.name, 1)
        asking.addWidget(self.ask)
        note = QLabel(_NOTE)
        note.setObjectName("dim")
        for label in (note, self.problem):
            label.setWordWrap(True)
            label.setTextFormat(Qt.TextFormat.PlainText)
        for button in (self.ask, *self.buttons.buttons()):
            if isinstance(button, QPushButton):
                button.setAutoDefault(False)  # Return looks up, it does not download
        column = QVBoxLayout(self)
        column.setSpacing(10)
        column.addLayout(asking)
        column.addWidget(note)
        column.addLayout(self.facts)
        column.addWidget(self.problem)
        column.addStretch(1)
        column.addWidget(self.buttons)
        self.resize(580, 300)

    def _on_typed(self) -> None:
        self._shown = Looked()
        self._show()

    def _on_ask(self) -> None:
        name = self.name.text().strip()
        if name:
            self._shown = Looked()
            self._runner.ask(LookUp(name))
            self._show(f"Asking for {name}…")

    def _on_looked(self, looked: Looked) -> None:
        if looked.name == self.name.text().strip():
            self._shown = looked
            self._show()

    def _show(self, waiting: str = "") -> None:
        while self.facts.rowCount():
            self.facts.removeRow(0)
        plan = self._shown.plan
        rows = facts_of(self._shown) if not waiting else (("", waiting),)
        for title, text in rows:
            value = QLabel(text)
            value.setWordWrap(True)
            value.setTextFormat(Qt.TextFormat.PlainText)
            value.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            self.facts.addRow(title, value)
        problem = self._shown.problem or too_large(plan)
        self.problem.setText(problem)
        self.problem.setVisible(bool(problem))
        self.go.setText("Open" if self._shown.here else "Download")
        self.go.setEnabled(not problem and (self._shown.here or plan is not None))
        self.ask.setEnabled(bool(self.name.text().strip()))

    def _on_go(self) -> None:
        plan = self._shown.plan
        if plan is not None:
            self._runner.ask(DownloadModel(plan))
        elif self._shown.here:
            self._load(self._shown.name)
        self.close()

    def _on_finished(self, _result: int) -> None:
        """Nobody waits for an answer any more: closed, or left by Escape, which is no close."""
        self._desk.hub.changed.disconnect(self._on_looked)
        self._runner.cancel(LookUp.slot)
