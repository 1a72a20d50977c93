"""Parts of the node card: numbers, a real ablation with its result, a titled table."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from microtome_desktop import palette as colours
from microtome_desktop.presenters.node_card import Verification
from microtome_desktop.views.elided import ElidedLabel
from microtome_desktop.views.fonts import mono_font, text_font
from microtome_desktop.views.node_card_effect import EffectBars
from microtome_desktop.views.node_card_tables import Cell, CellTable


class Stats(QWidget):
    """Numbers in a row, each over its name."""

    def __init__(self) -> None:
        super().__init__()
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._values: dict[str, QLabel] = {}

    def value(self, name: str) -> str:
        """What stands over a name."""
        return self._values[name].text()

    def tell(self, numbers: tuple[tuple[str, str, str], ...]) -> None:
        """Show name, value and meaning of each number."""
        for name, value, meaning in numbers:
            if name not in self._values:
                self._values[name] = self._add(name, meaning)
            lowers = value.startswith("\N{MINUS SIGN}")
            self._values[name].setText(value)
            self._values[name].setStyleSheet(
                f"color: {colours.INHIBITS if lowers else colours.TEXT};"
            )

    def _add(self, name: str, meaning: str) -> QLabel:
        block, value, caption = QWidget(), QLabel(), QLabel(name)
        block.setToolTip(meaning)
        value.setFont(mono_font(15))
        caption.setFont(text_font(11))
        caption.setStyleSheet(f"color: {colours.TEXT_DIM};")
        column = QVBoxLayout(block)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(value)
        column.addWidget(caption)
        self._row.addWidget(block, 1)
        return value


class Check(QFrame):
    """A button that verifies by a real run, and what the run gave."""

    def __init__(self, action: str) -> None:
        super().__init__()
        self.caption = ElidedLabel()
        self.button = QPushButton(action)
        self.bars = EffectBars()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 2, 0, 2)
        column.setSpacing(4)
        self._buttons = QHBoxLayout()
        self._buttons.setSpacing(6)
        self._buttons.addWidget(self.button, 1)
        column.addWidget(self.caption)
        column.addLayout(self._buttons)
        column.addWidget(self.bars)

    def beside(self, button: QPushButton) -> None:
        """Another thing to ask about the same."""
        self._buttons.addWidget(button, 1)

    def tell(self, caption: str, found: Verification | None, enabled: bool) -> None:
        """Name what is verified, show the result if there is one, allow another run."""
        self.caption.setText(caption)
        self.caption.setVisible(bool(caption))
        self.bars.tell(found)
        self.button.setEnabled(enabled)


class Section(QWidget):
    """A table under a tab, whose heading tells the number of rows."""

    def __init__(self, title: str, columns: tuple[str, ...], name: str, measure: str) -> None:
        super().__init__()
        self.title = self.heading = title  # the heading tells the number of rows too
        self.caption = QLabel()
        self.caption.setTextFormat(Qt.TextFormat.PlainText)
        self.caption.setWordWrap(True)
        self.caption.setFont(text_font(11))
        self.table = CellTable(columns, name, sorted_by=columns.index(measure))
        self.table.setMinimumHeight(112)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 4, 0, 0)
        column.setSpacing(3)
        for part in (self.caption, self.table):
            column.addWidget(part)

    def tell(self, rows: Sequence[tuple[Cell, ...]], caption: str = "") -> None:
        """Show other rows."""
        self.heading = f"{self.title}  {len(rows)}"
        self.caption.setText(caption)
        self.caption.setVisible(bool(caption))
        self.table.set_rows(rows)
