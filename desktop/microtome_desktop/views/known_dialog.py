"""Asks for the edges of a circuit that is known, pasted or from a file."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from microtome.errors import InputError
from microtome.records.edges import Edges
from microtome_desktop.presenters.discovery_judge import typed_edges
from microtome_desktop.state.settings import Settings
from microtome_desktop.views.fonts import mono_font

_LIMIT = 8 << 20  # bytes of a file
_ADVICE = "The edges of the circuit, one a line: input->a0.h1<q>, a0.h1->m0, m0->logits."


class KnownDialog(QDialog):
    """Holds the typed edges; accepted only when the model has all of them."""

    def __init__(
        self, edges: Edges, held: tuple[str, ...], settings: Settings, parent: QWidget
    ) -> None:
        super().__init__(parent)
        self.setObjectName("known_dialog")
        self.setWindowTitle("Known circuit")
        self._model, self._settings = edges, settings
        self.edges: tuple[str, ...] = held
        self.text = QPlainTextEdit("\n".join(held))
        self.text.setObjectName("known_edges")
        self.text.setAccessibleName("edges of the known circuit, one a line")
        self.text.setTabChangesFocus(True)
        self.text.setFont(mono_font(12))
        self.problem = QLabel()
        self.problem.setObjectName("bad")
        self.problem.setWordWrap(True)
        load = QPushButton("From a file…")
        buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel
        )
        advice = QLabel(_ADVICE)
        advice.setWordWrap(True)
        column = QVBoxLayout(self)
        for part in (advice, self.text, load, self.problem, buttons):
            column.addWidget(part)
        self.resize(420, 360)
        load.clicked.connect(self._on_load)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)

    def accept(self) -> None:
        """Take the edges, or say what is wrong with them."""
        try:
            self.edges = typed_edges(self.text.toPlainText(), self._model)
        except InputError as error:
            self.problem.setText(str(error))
            return
        super().accept()

    def _on_load(self) -> None:
        chosen, _ = QFileDialog.getOpenFileName(
            self, "Open a list of edges", self._settings.folder, "Text (*.txt *.csv)"
        )
        if not chosen:
            return
        path = Path(chosen)
        self._settings.folder = str(path.parent)
        if path.stat().st_size > _LIMIT:
            self.problem.setText(f"{path.name} is too large for a list of edges.")
            return
        self.text.setPlainText(path.read_text(encoding="utf-8", errors="replace"))
