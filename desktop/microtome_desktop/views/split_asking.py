"""What is to be compared for how features split: the pair, the text, and how much of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QPushButton, QWidget

import microtome_resources as resources
from microtome_desktop.state.settings import Settings
from microtome_desktop.state.splits import Side, SplitWish
from microtome_desktop.views.choice import Choice

_AMOUNTS = (20_000, 100_000, 1_000_000)
_TEXTS = "Texts (*.txt *.md *.jsonl *.json *.parquet *.csv);;All files (*)"
_FILE = "a file…"


class SplitAsking(QWidget):
    """One line of choices and the button that compares, or stops it."""

    pair_chosen = Signal()
    asked = Signal()

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._settings = settings
        self.pair, self.text, self.amount = Choice(), Choice(), Choice()
        for box, name, said in (
            (self.pair, "split_pair", "dictionaries"),
            (self.text, "split_text", "text"),
            (self.amount, "split_amount", "tokens"),
        ):
            box.setObjectName(name)
            box.setAccessibleName(said)
        self.pair.setToolTip("A small dictionary and a large one of the same site")
        self.text.setToolTip("What is read for where features are on")
        self.compare = QPushButton("Compare")
        self.compare.setObjectName("split_compare")
        for name in resources.text_names():
            self.text.addItem(f"What {name} was trained on", name)
        self.text.addItem(_FILE, None)
        for amount in _AMOUNTS:
            self.amount.addItem(f"{amount:,} tokens", amount)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(6)
        for part, share in ((self.pair, 5), (self.text, 3), (self.amount, 2)):
            row.addWidget(part, share)
        row.addWidget(self.compare)
        self.pair.activated.connect(self.pair_chosen.emit)
        self.text.activated.connect(self._on_text)
        self.compare.clicked.connect(self.asked.emit)

    def offer(self, pairs: Sequence[tuple[Side, Side]]) -> None:
        """Offer pairs; the chosen one stays where it is among them."""
        before = self.chosen()
        with QSignalBlocker(self.pair):
            self.pair.clear()
            for small, large in pairs:
                self.pair.addItem(f"{small.name} \N{RIGHTWARDS ARROW} {large.name}", (small, large))
            self.pair.setPlaceholderText("no two dictionaries of one site")
            self.choose(before)

    def choose(self, pair: tuple[Side, Side] | None) -> None:
        """Choose a pair by its names, the first where there is no such one; tells nothing."""
        names = None if pair is None else tuple(side.name for side in pair)
        rows = range(self.pair.count())
        held = [tuple(side.name for side in self.pair.itemData(row)) for row in rows]
        self.pair.setCurrentIndex(held.index(names) if names in held else min(0, len(held) - 1))

    def chosen(self) -> tuple[Side, Side] | None:
        """The pair, None where none is offered."""
        held = self.pair.currentData()
        return None if held is None else (held[0], held[1])

    def wish(self) -> SplitWish | None:
        """What is to be done."""
        pair, text = self.chosen(), self.text.currentData()
        if pair is None or text is None:
            return None
        return SplitWish(*pair, str(text), int(self.amount.currentData()))

    def _on_text(self, row: int) -> None:
        if self.text.itemText(row) != _FILE:
            return
        chosen, _ = QFileDialog.getOpenFileName(self, "Text", self._settings.folder, _TEXTS)
        if not chosen:
            self.text.setCurrentIndex(0)
            return
        self._settings.folder = str(Path(chosen).parent)
        self.text.insertItem(row, Path(chosen).name, chosen)
        self.text.setItemData(row, chosen, Qt.ItemDataRole.ToolTipRole)
        self.text.setCurrentIndex(row)
