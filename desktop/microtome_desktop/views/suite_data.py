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
_USUAL = 5  # of each of a dozen tasks: what can go is then found in seconds


class SuiteData(QWidget):
    """A choice and a number; ``changed`` when either differs."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._of = ""  # the model of tasks that are not on offer
        self._held: tuple[str, ...] = ()  # what was chosen before a file is looked for
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

    def offer(self, sets: Sequence[PromptSet], of: str = "") -> None:
        """Offer these tasks. What is chosen stays, as a row of its own where they lack it.

        ``of`` is the model that a list of tasks is told to be of which is not on offer.
        """
        held = self.data().sources
        self._of = of
        with QSignalBlocker(self.choice):
            self.choice.clear()
            if sets:
                self.choice.addItem(_ALL, tuple(one.name for one in sets))
            for one in sets:
                self.choice.addItem(_titled(one), (one.name,))
            self.choice.addItem(_FILE, None)
            self._choose(held)

    def follow(self) -> None:
        """Choose all tasks of the model that is there, as nobody has chosen yet."""
        self.choice.setCurrentIndex(0)

    @property
    def follows(self) -> bool:
        """Whether all tasks of the model are chosen, or nothing is."""
        return not self.data().sources or self.choice.currentText() == _ALL

    def data(self) -> Data:
        """What is chosen; no source where nothing is."""
        sources = self.choice.currentData()
        return Data(tuple(sources or ()), self.limit.value() or None)

    def show_data(self, data: Data) -> None:
        """Choose as it was asked."""
        with QSignalBlocker(self.limit):
            self.limit.setValue(data.limit or 0)
            self._tell_limit()
        self._choose(data.sources)

    def _row(self, sources: tuple[str, ...]) -> int:
        rows = range(self.choice.count())
        return next((row for row in rows if tuple(self.choice.itemData(row) or ()) == sources), -1)

    def _choose(self, sources: tuple[str, ...]) -> None:
        """Choose sources, never others in their place: what is not on offer gets a row."""
        if sources and self._row(sources) < 0:
            with QSignalBlocker(self.choice):
                self.choice.insertItem(self.choice.count() - 1, self._title(sources), sources)
        self.choice.setCurrentIndex(self._row(sources) if sources else 0)
        self._held = sources

    def _title(self, sources: tuple[str, ...]) -> str:
        of = f" of {self._of}" if self._of else ""
        if len(sources) > 1:
            return f"{len(sources)} tasks{of}"
        path = Path(sources[0])
        return path.name if path.is_absolute() else f"{sources[0]}{of}"

    def _on_choice(self, index: int) -> None:
        if self.choice.itemText(index) == _FILE:
            kinds = "Suites and prompt sets (*.json)"
            path, _ = QFileDialog.getOpenFileName(self, "Prompts with answers", "", kinds)
            self._choose((path,) if path else self._held)
        self._held = self.data().sources
        self.changed.emit()

    def _on_change(self, _value: int) -> None:
        self._tell_limit()
        self.changed.emit()

    def _tell_limit(self) -> None:
        self.limit.setSuffix(" case each" if self.limit.value() == 1 else " cases each")


def _titled(one: PromptSet) -> str:
    # Slices call a task by its name.
    return one.title if one.title == one.name else f"{one.title} ({one.name})"
