"""What the edits cost: every task of the model, without and with them."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QBrush, QColor
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QPushButton,
    QSpinBox,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from microtome_desktop import palette as colours
from microtome_desktop.presenters.price import PriceLine
from microtome_desktop.views.elided import ElidedLabel
from microtome_desktop.views.fonts import mono_font

_ARROW = "\N{RIGHTWARDS ARROW}"
_UNKNOWN = "\N{MIDDLE DOT}"
_HEADERS = ("task", "right %", "top %", "logit diff.")
_TIPS = (
    "A prompt set of the model",
    "In how many pairs the answer is above the wrong answer, without and with the edits",
    "In how many pairs the answer is the most probable token, without and with the edits",
    "Mean logit of the answer minus that of the wrong answer, without and with the edits",
)
_WIDTHS = (74, 74, 90)  # pixels of the columns behind the first
_ROW_HEIGHT = 20
_NOTED = 0.005  # a change of a share below it reads as none
_MOST = 10_000


class PriceView(QWidget):
    """A button, what the table is of, and a row for each task."""

    asked = Signal(object)  # pairs of each set, None for all

    def __init__(self) -> None:
        super().__init__()
        self.button = QPushButton("Take the price")
        self.limit = QSpinBox()
        self.said = ElidedLabel()
        self.said.setObjectName("dim")
        self.table = QTableWidget(0, len(_HEADERS))
        self._dress()
        line = QHBoxLayout()
        line.setSpacing(6)
        line.addWidget(self.button)
        line.addWidget(self.limit)
        line.addWidget(self.said, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 4, 0, 0)
        column.setSpacing(3)
        column.addLayout(line)
        column.addWidget(self.table, 1)
        self.button.clicked.connect(self.ask)

    def _dress(self) -> None:
        self.limit.setObjectName("price_limit")
        self.limit.setAccessibleName("pairs of each task")
        self.limit.setToolTip("How many pairs of each task are run: fewer are faster")
        self.limit.setRange(0, _MOST)
        self.limit.setSpecialValueText("all pairs")
        self.limit.setSuffix(" pairs")
        self.limit.setProperty("plain", True)
        self.limit.setButtonSymbols(QSpinBox.ButtonSymbols.NoButtons)
        self.limit.lineEdit().setTextMargins(7, 0, 0, 0)
        self.limit.setMinimumWidth(84)
        table = self.table
        table.setObjectName("price_table")
        table.setAccessibleName("Every task without and with the edits")
        for number, (text, tip) in enumerate(zip(_HEADERS, _TIPS, strict=True)):
            head = QTableWidgetItem(text)
            head.setToolTip(tip)
            table.setHorizontalHeaderItem(number, head)
        table.verticalHeader().hide()
        table.verticalHeader().setDefaultSectionSize(_ROW_HEIGHT)
        table.setFont(mono_font(12))
        table.setShowGrid(False)
        table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        table.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        table.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        header = table.horizontalHeader()
        header.setHighlightSections(False)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        for number, width in enumerate(_WIDTHS, start=1):
            table.setColumnWidth(number, width)
        left = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        header.setDefaultAlignment(left)
        table.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)

    def ask(self) -> None:
        """Ask for the price on as many pairs as stand in the field."""
        self.asked.emit(self.limit.value() or None)

    def set_able(self, reason: str) -> None:
        """Whether a price can be asked for; the reason where it cannot."""
        self.button.setEnabled(not reason)
        self.limit.setEnabled(not reason)
        self.button.setToolTip(reason or "Run every task of the model without and with the edits")

    def show_price(self, lines: Sequence[PriceLine], said: str) -> None:
        """Show what is known of each task."""
        self.said.setText(said)
        self.said.setToolTip(said)
        self.table.setVisible(bool(lines))
        self.table.setRowCount(len(lines))
        for number, line in enumerate(lines):
            self._fill(number, line)

    def _fill(self, number: int, line: PriceLine) -> None:
        title = f"{line.title} *" if line.note else line.title
        known = line.note or (f"{line.pairs} pairs" if line.pairs else "not run yet")
        texts = (
            (title, colours.TEXT),
            (_shares(line.right), colours.BAD if line.dear else _tone(line.right)),
            (_shares(line.top), _tone(line.top)),
            (_numbers(line.difference), colours.TEXT_DIM),
        )
        for column, (text, colour) in enumerate(texts):
            item = self.table.item(number, column)
            if item is None:
                item = QTableWidgetItem()
                self.table.setItem(number, column, item)
            item.setText(text)
            item.setForeground(QBrush(QColor(colour)))
            item.setToolTip(f"{line.title}: {known}")


def _tone(share: tuple[float, float] | None) -> str:
    """Dim where nothing changes."""
    return colours.TEXT_DIM if share is None or abs(share[0] - share[1]) < _NOTED else colours.TEXT


def _shares(share: tuple[float, float] | None) -> str:
    if share is None:
        return _UNKNOWN
    before, after = (f"{100 * part:.0f}" for part in share)
    return f"{before} {_ARROW} {after}"


def _numbers(pair: tuple[float, float] | None) -> str:
    if pair is None:
        return _UNKNOWN
    before, after = (f"{part:.1f}".replace("-", "\N{MINUS SIGN}") for part in pair)
    return f"{before} {_ARROW} {after}"
