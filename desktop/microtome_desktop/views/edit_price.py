"""What the edits cost: every task of the model, without and with them."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QSpinBox, QVBoxLayout, QWidget

from microtome_desktop import palette as colours
from microtome_desktop.presenters.price import PriceLine
from microtome_desktop.views.elided import ElidedLabel
from microtome_desktop.views.plain_table import PlainTable

_ARROW = "\N{RIGHTWARDS ARROW}"
_UNKNOWN = "\N{MIDDLE DOT}"
_COLUMNS = (
    ("task", "A prompt set of the model"),
    (
        "right %",
        "Pairs whose answer is above the wrong answer, without and with the edits",
    ),
    (
        "top %",
        "Pairs whose answer is the most probable token, without and with the edits",
    ),
    ("logit diff.", "Mean logit of the answer minus that of the wrong answer, without and with"),
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
        said = "Every task without and with the edits"
        self.table = PlainTable(
            "price_table", said, _COLUMNS, row_height=_ROW_HEIGHT, widths=_WIDTHS
        )
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
        self.table.write(number, texts, (f"{line.title}: {known}",) * len(texts))


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
