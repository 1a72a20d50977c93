"""Swaps that flip the answer: what may be swapped, the prompts, and who carries the change."""

from __future__ import annotations

import re
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QPushButton, QSpinBox, QVBoxLayout, QWidget

from microtome.errors import InputError
from microtome.records.adversarial import Adversarial
from microtome_desktop import palette as colours
from microtome_desktop.jobs.suite_requests import SWAPS_SLOT
from microtome_desktop.presenters.suites import carriers_text, noted, swaps_text
from microtome_desktop.views.choice_table import ChoiceTable
from microtome_desktop.views.elided import ElidedLabel, TwoLines
from microtome_desktop.views.text_flow import EmptyState

_ROW = 21  # pixels
_MOST = 5
_COLUMNS = (
    ("swaps", "Where, and which token for which; choose a row to take it as the corrupt prompt"),
    ("margin", "Logit of the answer minus that of the wrong or the best other token"),
    ("p(answer)", "Probability of the answer"),
    ("says", "The most probable token"),
)  # fmt: skip
_WIDTHS = (66, 78, 92)


class SwapPage(QWidget):
    """Settings and a button; a row for each prompt, which can be chosen."""

    slot = SWAPS_SLOT
    asked = Signal()
    chosen = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self.button = QPushButton("Search")
        self.button.setObjectName("swap_run")
        self.swaps = QSpinBox()
        self.words, self.positions = QLineEdit(), QLineEdit()
        self.said = ElidedLabel()
        self.table = ChoiceTable(
            "swap_table", "swapped prompts", _COLUMNS, row_height=_ROW, widths=_WIDTHS
        )
        self.carriers = TwoLines()
        self._dress()
        line = QHBoxLayout()
        line.setSpacing(6)
        for part, stretch in ((self.button, 0), (self.swaps, 0), (self.words, 3),
                              (self.positions, 2)):  # fmt: skip
            line.addWidget(part, stretch)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 4, 0, 0)
        column.setSpacing(3)
        column.addLayout(line)
        column.addWidget(self.said)
        self.empty = EmptyState()
        column.addWidget(self.table, 1)
        column.addWidget(self.empty, 1)
        column.addWidget(self.carriers)
        self.button.clicked.connect(self.asked)
        self.words.returnPressed.connect(self.asked)
        self.positions.returnPressed.connect(self.asked)
        self.table.chosen.connect(self.chosen)

    def _dress(self) -> None:
        self.swaps.setObjectName("swap_count")
        self.swaps.setAccessibleName("swaps at most")
        self.swaps.setToolTip("At most so many tokens are swapped; as few as it takes")
        self.swaps.setRange(1, _MOST)
        self.swaps.setPrefix("swaps ≤ ")
        self.swaps.setProperty("plain", True)
        self.swaps.setButtonSymbols(QSpinBox.ButtonSymbols.NoButtons)
        self.swaps.lineEdit().setTextMargins(7, 0, 0, 0)
        self.swaps.setMinimumWidth(86)
        for field, name, told, tip in (
            (self.words, "swap_words", "any word", "Words that may be put in, with commas between"),
            (self.positions, "swap_positions", "anywhere", "Positions that may be swapped: 2, 5"),
        ):
            field.setObjectName(name)
            field.setAccessibleName(tip)
            field.setPlaceholderText(told)
            field.setToolTip(tip)
            field.setClearButtonEnabled(True)

    def view_state(self) -> dict[str, Any]:
        """What is typed, as plain JSON."""
        return {
            "count": self.swaps.value(), "words": self.words.text(), "at": self.positions.text()
        }  # fmt: skip

    def restore_view(self, held: dict[str, Any]) -> None:
        """Type it again, ignoring what is not understood."""
        count, words, at = (held.get(name) for name in ("count", "words", "at"))
        if isinstance(count, int):
            self.swaps.setValue(count)
        if isinstance(words, str):
            self.words.setText(words)
        if isinstance(at, str):
            self.positions.setText(at)

    def typed_words(self) -> tuple[str, ...]:
        """The words that may be put in, none for any."""
        return tuple(word for word in re.split(r"[,\s]+", self.words.text().strip()) if word)

    def typed_positions(self) -> tuple[int, ...]:
        """The positions that may be swapped, none for any. Raises InputError for what is none."""
        parts = [part for part in re.split(r"[,\s]+", self.positions.text().strip()) if part]
        try:
            return tuple(int(part) for part in parts)
        except ValueError:
            raise InputError(
                f"{self.positions.text()!r} are no positions.", "Write for example 2, 5."
            ) from None

    def show_found(self, found: Adversarial | None, note: str = "") -> None:
        """Show the prompts that were found."""
        said = noted(swaps_text(found), note)
        self.said.setText("" if found is None else said)
        self.empty.setVisible(found is None)
        self.empty.tell("No swaps yet", said)
        carried = carriers_text(found)
        self.carriers.setText(carried)
        self.carriers.setToolTip(carried)
        self.carriers.setVisible(bool(carried))
        rows = [] if found is None else found.rows()
        self.table.setVisible(bool(rows))
        self.table.set_rows(len(rows))
        for number, row in enumerate(rows):
            tone = colours.WARM if row["flipped"] else colours.TEXT
            margin = f"{row['margin']:+.2f}".replace("-", "\N{MINUS SIGN}")
            cells = (
                (row["swaps"], tone),
                (margin, tone),
                (f"{row['probability']:.3f}", colours.TEXT_DIM),
                (row["said"], colours.TEXT),
            )
            self.table.write(number, cells, (row["prompt"],) * len(cells))
