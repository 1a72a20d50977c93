"""Opening an adapter: its two files, and the word that its code may run."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QGridLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from microtome_desktop.jobs.adapter_requests import LoadAdapter
from microtome_desktop.presenters.adapters import consent_text, named, problem_of
from microtome_desktop.state.desk import Desk
from microtome_desktop.views.patience import Patience

_NOTE = (
    "An adapter is a small Python file that builds a PyTorch module and says how large its images "
    "are and what its outputs are called; the weights come from a safetensors file. The "
    "documentation tells how to write one."
)
_RECENT = "Adapters that were opened before\N{HORIZONTAL ELLIPSIS}"


class AdapterDialog(QDialog):
    """Asks for the files and for consent. Nothing of the file runs before *Run and open*.

    The word counts for this one time: it is asked for again whenever the adapter is opened.
    """

    def __init__(self, desk: Desk, patience: Patience, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("adapter")
        self.setWindowTitle("Open adapter")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._desk, self._patience = desk, patience
        self.recent = QComboBox()
        self.recent.setObjectName("adapter_recent")
        self.recent.setAccessibleName("adapters that were opened before")
        self.adapter, self.weights = QLineEdit(), QLineEdit()
        self.consent, self.allowed, self.problem = QLabel(), QCheckBox(), QLabel()
        self.allowed.setObjectName("adapter_allowed")
        self.allowed.setText("I know this file and let it run")
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self.go = self.buttons.addButton("Run and open", QDialogButtonBox.ButtonRole.AcceptRole)
        self._fill()
        self._lay_out()
        for field in (self.adapter, self.weights):
            field.textChanged.connect(self._on_typed)
        self.recent.activated.connect(self._on_recent)
        self.allowed.toggled.connect(self._show)
        self.buttons.accepted.connect(self._on_go)
        self.buttons.rejected.connect(self.close)
        self._show()

    def _fill(self) -> None:
        self.recent.addItem(_RECENT)
        for adapter, weights in self._desk.settings.adapters:
            self.recent.addItem(named(adapter, weights), (adapter, weights))
        self.recent.setVisible(self.recent.count() > 1)

    def _lay_out(self) -> None:
        grid = QGridLayout()
        lines = (
            ("Adapter", self.adapter, "my_net.py"),
            ("Weights", self.weights, "my_net.safetensors"),
        )
        for row, (title, field, example) in enumerate(lines):
            label, choose = QLabel(title), QPushButton("Choose\N{HORIZONTAL ELLIPSIS}")
            label.setBuddy(field)
            field.setPlaceholderText(example)
            field.setAccessibleName(f"path of the {title.lower()}")
            field.setObjectName(f"adapter_{title.lower()}")
            choose.setObjectName(f"choose_{title.lower()}")
            choose.setAutoDefault(False)
            choose.clicked.connect((self._on_adapter, self._on_weights)[row])
            for at, part in enumerate((label, field, choose)):
                grid.addWidget(part, row, at)
        note = QLabel(_NOTE)
        note.setObjectName("dim")
        self.problem.setObjectName("bad")
        for label in (note, self.consent, self.problem):
            label.setWordWrap(True)
            label.setTextFormat(Qt.TextFormat.PlainText)
        self.consent.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.go.setObjectName("primary")
        for button in self.buttons.buttons():
            if isinstance(button, QPushButton):
                button.setAutoDefault(False)
        column = QVBoxLayout(self)
        column.setSpacing(10)
        column.addWidget(note)
        column.addWidget(self.recent)
        column.addLayout(grid)
        column.addWidget(self.consent)
        column.addWidget(self.allowed)
        column.addWidget(self.problem)
        column.addStretch(1)
        column.addWidget(self.buttons)
        self.resize(640, 340)

    def _on_recent(self, row: int) -> None:
        held = self.recent.itemData(row)
        if held:
            self.adapter.setText(held[0])
            self.weights.setText(held[1])

    def _on_adapter(self) -> None:
        self._choose(self.adapter, "Choose the adapter", "Python (*.py)")

    def _on_weights(self) -> None:
        self._choose(self.weights, "Choose the weights", "safetensors (*.safetensors)")

    def _choose(self, field: QLineEdit, title: str, what: str) -> None:
        chosen, _ = QFileDialog.getOpenFileName(self, title, self._desk.settings.folder, what)
        if chosen:
            self._desk.settings.folder = str(Path(chosen).parent)
            field.setText(chosen)

    def _on_typed(self) -> None:
        self.allowed.setChecked(False)  # the word was for another file
        self._show()

    def _show(self) -> None:
        adapter, weights = self.adapter.text().strip(), self.weights.text().strip()
        problem = problem_of(adapter, weights)
        self.consent.setText(consent_text(adapter) if adapter and not problem else "")
        self.allowed.setEnabled(bool(adapter) and bool(weights) and not problem)
        self.problem.setText(problem)
        self.problem.setVisible(bool(problem))
        self.go.setEnabled(self.allowed.isEnabled() and self.allowed.isChecked())

    def _on_go(self) -> None:
        adapter, weights = (Path(field.text().strip()) for field in (self.adapter, self.weights))
        self._patience.ask(
            LoadAdapter(
                adapter.stem, self._desk.settings.device,
                adapter=str(adapter), weights=str(weights), allowed=True,
            )
        )  # fmt: skip
        self.close()
