"""Which prompts with answers: all tasks of the model, one of them, or a suite from a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QSignalBlocker, Signal
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QSpinBox, QWidget

from microtome_desktop.state.suites import Data
from microtome_desktop.views.choice import Choice

if TYPE_CHECKING:
    from microtome.prompt_sets import PromptSet

_FILE = "From a file\N{HORIZONTAL ELLIPSIS}"
_ALL = "All tasks of the model"
_MOST = 10_000
_USUAL = 20


class SuiteData(QWidget):
    """A choice and a number; ``changed`` when either differs."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._names: tuple[str, ...] = ()
        self.choice = Choice()
        self.choice.setObjectName("suite_data")
        self.choice.setAccessibleName("prompts with answers")
        self.limit = QSpinBox()
        self.limit.setObjectName("suite_limit")
        self.limit.setAccessibleName("cases of each task")
        self.limit.setToolTip("How many cases of each task, from its beginning: fewer are faster")
        self.limit.setRange(0, _MOST)
        self.limit.setSpecialValueText("all cases")
        self.limit.setSuffix(" cases each")
        self.limit.setValue(_USUAL)
        self.limit.setProperty("plain", True)
        self.limit.setButtonSymbols(QSpinBox.ButtonSymbols.NoButtons)
        self.limit.lineEdit().setTextMargins(7, 0, 0, 0)
        self.limit.setMinimumWidth(104)
        line = QHBoxLayout(self)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(6)
        line.addWidget(self.choice, 1)
        line.addWidget(self.limit)
        self.choice.activated.connect(self._on_choice)
        self.limit.valueChanged.connect(self._on_change)
        self.offer(())

    def offer(self, sets: Sequence[PromptSet]) -> None:
        """Offer these tasks, keeping the choice where it is still there."""
        held = self.data()
        self._names = tuple(one.name for one in sets)
        with QSignalBlocker(self.choice):
            self.choice.clear()
            if sets:
                self.choice.addItem(_ALL, self._names)
            for one in sets:
                self.choice.addItem(one.title, (one.name,))
            self.choice.addItem(_FILE, None)
        if held.sources and self._row(held.sources) < 0 and Path(held.sources[0]).is_absolute():
            self._add_file(held.sources[0])
        self._choose(held.sources)

    def data(self) -> Data:
        """What is chosen; no source where nothing is."""
        sources = self.choice.currentData()
        return Data(tuple(sources or ()), self.limit.value() or None)

    def show_data(self, data: Data) -> None:
        """Choose as it was asked."""
        with QSignalBlocker(self.limit):
            self.limit.setValue(data.limit or 0)
        if len(data.sources) == 1 and self._row(data.sources) < 0:
            self._add_file(data.sources[0])
        self._choose(data.sources)

    def _row(self, sources: tuple[str, ...]) -> int:
        rows = range(self.choice.count())
        return next((row for row in rows if tuple(self.choice.itemData(row) or ()) == sources), -1)

    def _choose(self, sources: tuple[str, ...]) -> None:
        self.choice.setCurrentIndex(max(0, self._row(sources) if sources else 0))

    def _add_file(self, path: str) -> None:
        with QSignalBlocker(self.choice):
            self.choice.insertItem(self.choice.count() - 1, Path(path).name, (path,))

    def _on_choice(self, index: int) -> None:
        if self.choice.itemText(index) == _FILE:
            kinds = "Suites and prompt sets (*.json)"
            path, _ = QFileDialog.getOpenFileName(self, "Prompts with answers", "", kinds)
            if path and self._row((path,)) < 0:
                self._add_file(path)
            self._choose((path,) if path else ())
        self.changed.emit()

    def _on_change(self, _value: int) -> None:
        self.changed.emit()
