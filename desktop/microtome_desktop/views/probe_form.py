"""Which prompts are labelled how, and where the concept is looked for."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import (
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from microtome.analysis.labelled import EXAMPLES
from microtome_desktop.presenters.probes import typed_text
from microtome_desktop.state.probings import ProbeWish
from microtome_desktop.state.settings import Settings
from microtome_desktop.views.fonts import mono_font
from microtome_desktop.views.form_fields import choice, spin

_HINT = (
    "A line for each prompt:\n\nsingular | The key to the cabinets\nplural | The keys to the "
    "cabinet\n\nA third part names what belongs together, as the two of a pair:\n\n"
    "singular | The key to the cabinets | 1"
)
_FILES = "Labelled prompts (*.txt *.csv *.tsv *.json *.jsonl);;All files (*)"
_TIP = Qt.ItemDataRole.ToolTipRole


class ProbeForm(QWidget):
    """Fields under each other; ``changed`` when any of them is, ``source_wanted`` to read one."""

    changed = Signal()
    source_wanted = Signal(str)

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._settings = settings
        self.example = choice("probe_example", "example", ("An example\N{HORIZONTAL ELLIPSIS}",))
        for one in EXAMPLES:
            self.example.addItem(one.title, one.name)
        self.file = QPushButton("File\N{HORIZONTAL ELLIPSIS}")
        self.file.setObjectName("probe_file")
        self.file.setToolTip("Labelled prompts of a text, CSV or JSON file")
        self.prompts = QPlainTextEdit()
        self.prompts.setObjectName("probe_prompts")
        self.prompts.setAccessibleName("labelled prompts")
        self.prompts.setPlaceholderText(_HINT)
        self.prompts.setFont(mono_font(11))
        self.prompts.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.prompts.setTabChangesFocus(True)
        self.counted = QLabel()
        self.counted.setObjectName("dim")
        self.counted.setWordWrap(True)
        self.counted.setTextFormat(Qt.TextFormat.PlainText)
        self.kind = choice("probe_kind", "site", ())
        self.position = spin("probe_position", "token that is read: -1 is the last, 0 the first",
                             -4096, 4095, -1)  # fmt: skip
        self.folds = spin("probe_folds", "folds of the cross-validation", 2, 50, 5)
        self.seed = spin("probe_seed", "seed", 0, 2**31 - 1, 0)
        self._lay_out()
        self._connect()
        self._say()

    def _lay_out(self) -> None:
        above = QHBoxLayout()
        above.addWidget(self.example, 1)
        above.addWidget(self.file)
        numbers = QHBoxLayout()
        for box in (self.position, self.folds, self.seed):
            box.setMinimumWidth(48)
            numbers.addWidget(box, 1)
        form = QFormLayout()
        form.setContentsMargins(0, 0, 0, 0)
        form.setVerticalSpacing(4)
        form.addRow("Site", self.kind)
        form.addRow("Token, folds, seed", numbers)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addLayout(above)
        column.addWidget(self.prompts, 1)
        column.addWidget(self.counted)
        column.addLayout(form)

    def _connect(self) -> None:
        self.example.activated.connect(self._on_example)
        self.file.clicked.connect(self._on_file)
        self.prompts.textChanged.connect(self._on_change)
        self.kind.currentIndexChanged.connect(self._on_change)
        for box in (self.position, self.folds, self.seed):
            box.valueChanged.connect(self._on_change)

    def offer(self, kinds: tuple[tuple[str, str], ...]) -> None:
        """The kinds of site that the model has; what is chosen stays."""
        before = self.kind.currentData()
        with QSignalBlocker(self.kind):
            self.kind.clear()
            for name, title in kinds:
                self.kind.addItem(name if name != kinds[0][0] else title, name)
                self.kind.setItemData(self.kind.count() - 1, title, _TIP)
            self.kind.setCurrentIndex(max(0, self.kind.findData(before)))

    def wish(self) -> ProbeWish:
        """What the fields ask for."""
        return ProbeWish(
            self.prompts.toPlainText(), str(self.kind.currentData() or "resid"),
            self.position.value(), self.folds.value(), self.seed.value(),
        )  # fmt: skip

    def show_wish(self, wish: ProbeWish) -> None:
        """Set the fields."""
        self.prompts.setPlainText(wish.text)
        self.kind.setCurrentIndex(max(0, self.kind.findData(wish.kind)))
        for box, value in ((self.position, wish.position), (self.folds, wish.folds),
                           (self.seed, wish.seed)):  # fmt: skip
            box.setValue(value)

    @property
    def readable(self) -> bool:
        """Whether there are lines, and all of them are labelled prompts."""
        return typed_text(self.prompts.toPlainText())[1]

    def _on_change(self, *_: object) -> None:
        self._say()
        self.changed.emit()

    def _say(self) -> None:
        self.counted.setText(typed_text(self.prompts.toPlainText())[0])

    def _on_example(self, row: int) -> None:
        if self.example.itemData(row):
            self.source_wanted.emit(str(self.example.itemData(row)))

    def _on_file(self) -> None:
        chosen, _ = QFileDialog.getOpenFileName(
            self, "Labelled prompts", self._settings.folder, _FILES
        )
        if chosen:
            self._settings.folder = str(Path(chosen).parent)
            self.source_wanted.emit(chosen)
