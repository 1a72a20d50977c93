"""What a folder of transcoders holds, told before it is loaded, and the word to use it."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QLabel,
    QVBoxLayout,
    QWidget,
)

from microtome_desktop.jobs.feature_graph_requests import InspectTranscoders, LookedAt
from microtome_desktop.jobs.runner import JobRunner


class TranscodersDialog(QDialog):
    """Looks at a folder; what does not belong to the model is refused by name."""

    def __init__(
        self, folder: str, runner: JobRunner, use: Callable[[str], None], parent: QWidget
    ) -> None:
        super().__init__(parent)
        self.setObjectName("transcoders")
        self.setWindowTitle("Open transcoders")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._folder, self._use, self._gone = folder, use, False
        self.facts = QFormLayout()
        self.said = QLabel("Looking at it …")
        self.said.setWordWrap(True)
        self.said.setTextFormat(Qt.TextFormat.PlainText)
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        role = QDialogButtonBox.ButtonRole.AcceptRole
        self.go = self.buttons.addButton("Make the feature graph", role)
        self.go.setObjectName("primary")
        self.go.setEnabled(False)
        column = QVBoxLayout(self)
        column.setSpacing(10)
        column.addLayout(self.facts)
        column.addWidget(self.said)
        column.addStretch(1)
        column.addWidget(self.buttons)
        self.resize(560, 300)
        self.buttons.accepted.connect(self._on_go)
        self.buttons.rejected.connect(self.close)
        self.finished.connect(self._on_gone)
        self.destroyed.connect(self._on_gone)
        runner.ask(InspectTranscoders(folder, self.show_found))

    def _on_gone(self, *_: object) -> None:
        self._gone = True

    def show_found(self, found: LookedAt) -> None:
        """Show what it is, and what speaks against using it."""
        if self._gone or not self.isVisible():
            return
        for name, value in () if found.file is None else found.file.rows:
            label = QLabel(value)
            label.setTextFormat(Qt.TextFormat.PlainText)
            label.setWordWrap(True)
            self.facts.addRow(name, label)
        self.said.setObjectName("bad" if found.problem else "dim")
        self.said.setText(found.problem or "It belongs to the loaded model.")
        self.said.style().polish(self.said)
        self.go.setEnabled(not found.problem)

    def _on_go(self) -> None:
        self._use(self._folder)
        self.close()
