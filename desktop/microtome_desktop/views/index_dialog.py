"""Which text to look through for features, how much of it, and what that takes."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import (
    QCheckBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

import microtome_resources as resources
from microtome_desktop.jobs.feature_requests import ForeseeIndex, Foreseen, IndexFeatures
from microtome_desktop.jobs.runner import JobRunner
from microtome_desktop.jobs.set_requests import IndexSet
from microtome_desktop.presenters.feature_sources import FeatureSource
from microtome_desktop.presenters.sizes import seconds_text
from microtome_desktop.state.desk import Desk
from microtome_desktop.views.choice import Choice

_AMOUNTS = (20_000, 100_000, 1_000_000, 10_000_000)
_USUAL = 100_000
_REST = 200  # milliseconds without a change
_TEXTS = "Texts (*.txt *.md *.jsonl *.json *.parquet *.csv);;All files (*)"


class IndexDialog(QDialog):
    """Asks for the text; does not block the window."""

    def __init__(
        self, desk: Desk, runner: JobRunner, source: FeatureSource, parent: QWidget
    ) -> None:
        super().__init__(parent)
        self.setObjectName("index_dialog")
        self.setWindowTitle("Look through a text")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._desk, self._runner, self._source = desk, runner, source
        self.text = Choice()
        self.text.setObjectName("index_text")
        self.text.setAccessibleName("text")
        self.file, self.folder = QPushButton("File…"), QPushButton("Folder…")
        self.file.setObjectName("index_file")
        self.folder.setObjectName("index_folder")
        self.amount = Choice()
        self.amount.setObjectName("index_amount")
        self.amount.setAccessibleName("tokens")
        self._layers = desk.dictionaries.set_with(source.fingerprint)
        self.whole = QCheckBox(f"For all {len(self._layers)} layers of the set, at once")
        self.whole.setObjectName("index_whole")
        self.whole.setChecked(len(self._layers) > 1)
        self.whole.setVisible(len(self._layers) > 1)
        self.outlook = QLabel()
        self.outlook.setObjectName("dim")
        self.outlook.setWordWrap(True)
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self.go = self.buttons.addButton("Look through", QDialogButtonBox.ButtonRole.AcceptRole)
        self.go.setObjectName("primary")
        self._soon = QTimer(self, singleShot=True, interval=_REST)
        self._fill()
        self._lay_out()
        self._connect()
        self._on_change()

    def _fill(self) -> None:
        model = self._desk.workspace.model
        names = resources.text_names()
        for name in sorted(names, key=lambda each: model is None or each != model.name):
            self.text.addItem(f"What {name} was trained on", name)
        for amount in _AMOUNTS:
            self.amount.addItem(f"up to {amount:,} tokens", amount)
        self.amount.setCurrentIndex(_AMOUNTS.index(_USUAL))

    def _lay_out(self) -> None:
        told = QLabel(f"Where the features of {self._source.name} are on, and how strongly.")
        told.setTextFormat(Qt.TextFormat.PlainText)
        told.setWordWrap(True)
        line = QHBoxLayout()
        line.addWidget(self.text, 1)
        line.addWidget(self.file)
        line.addWidget(self.folder)
        form = QFormLayout()
        form.addRow("Text", line)
        form.addRow("Read", self.amount)
        form.addRow("", self.whole)
        column = QVBoxLayout(self)
        column.setSpacing(10)
        column.addWidget(told)
        column.addLayout(form)
        column.addWidget(self.outlook)
        column.addStretch(1)
        column.addWidget(self.buttons)
        self.resize(520, 210)

    def _connect(self) -> None:
        self.file.clicked.connect(self._on_file)
        self.folder.clicked.connect(self._on_folder)
        for box in (self.text, self.amount):
            box.currentIndexChanged.connect(self._on_change)
        self.whole.toggled.connect(self._show)
        self._soon.timeout.connect(self._foresee)
        self.buttons.accepted.connect(self._on_go)
        self.buttons.rejected.connect(self.close)
        self.finished.connect(self._on_finished)
        self._desk.workspace.prepared.arrived.connect(self._on_prepared)

    def _on_file(self) -> None:
        settings = self._desk.settings
        chosen, _ = QFileDialog.getOpenFileName(self, "A text", settings.folder, _TEXTS)
        self._take(chosen)

    def _on_folder(self) -> None:
        start = self._desk.settings.folder
        self._take(QFileDialog.getExistingDirectory(self, "A folder of texts", start))

    def _take(self, chosen: str) -> None:
        if chosen:
            self._desk.settings.folder = str(Path(chosen).parent)
            self.text.addItem(Path(chosen).name, chosen)
            self.text.setCurrentIndex(self.text.count() - 1)

    def _asked(self) -> ForeseeIndex | None:
        text = self.text.currentData()
        if not text:
            return None
        return ForeseeIndex(self._source.fingerprint, str(text), int(self.amount.currentData()))

    def _on_change(self, *_: object) -> None:
        self._show()
        self._soon.start()

    def _foresee(self) -> None:
        asked = self._asked()
        prepared = self._desk.workspace.prepared
        if asked is not None and prepared.get(asked.key) is None:
            self._runner.ask(asked)

    def _on_prepared(self, key: object) -> None:
        asked = self._asked()
        if asked is not None and key == asked.key:
            self._show()

    def _show(self, *_: object) -> None:
        asked = self._asked()
        held = None if asked is None else self._desk.workspace.prepared.get(asked.key)
        if asked is None:
            told = "Choose a text file or a folder of texts."
        elif not isinstance(held, Foreseen):
            told = "Reading a little of it to see how long it takes…"
        elif held.problem:
            told = held.problem
        else:
            many = len(self._layers) if self.whole.isChecked() else 1
            told = f"At most {seconds_text(many * held.seconds)}."
        self.outlook.setText(told)
        self.outlook.setTextFormat(Qt.TextFormat.PlainText)
        bad = isinstance(held, Foreseen) and bool(held.problem)
        self.go.setEnabled(asked is not None and not bad)

    def _on_go(self) -> None:
        asked = self._asked()
        if asked is not None:
            # The estimate is not waited for: it would only come first.
            self._runner.cancel(ForeseeIndex.slot)
            one = IndexFeatures(asked.fingerprint, self._source.name, asked.text, asked.tokens)
            whole = IndexSet(self._layers, asked.text, asked.tokens)
            self._runner.ask(whole if self.whole.isChecked() else one)
            self.close()

    def _on_finished(self, _result: int) -> None:
        """Nobody waits for an answer any more: closed, or left by Escape, which is no close."""
        self._desk.workspace.prepared.arrived.disconnect(self._on_prepared)
        self._runner.cancel(ForeseeIndex.slot)
