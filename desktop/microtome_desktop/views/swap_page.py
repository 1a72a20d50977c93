"""Swaps that flip the answer: what may be put in, the prompts, and the nodes of the change."""

from __future__ import annotations

import re
from typing import Any

from PySide6.QtCore import QSignalBlocker, Signal
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QSpinBox,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from microtome.errors import InputError
from microtome.records.adversarial import Adversarial
from microtome_desktop import palette as colours
from microtome_desktop.jobs.suite_requests import SWAPS_SLOT
from microtome_desktop.presenters.suites import noted
from microtome_desktop.presenters.swaps import node_cells, swap_cells, swaps_text
from microtome_desktop.state.suites import ANY, TASK, WORDS
from microtome_desktop.views.choice import Choice
from microtome_desktop.views.choice_table import ChoiceTable
from microtome_desktop.views.elided import ElidedLabel
from microtome_desktop.views.text_flow import EmptyState

_ROW = 21  # pixels
_MOST = 5
_COLUMNS = (
    ("swaps", "Where, and which token for which; choose a row to take it as the corrupt prompt"),
    ("says", "The most probable token, before and after"),
    ("margin", "Logit of the answer minus that of the wrong or best other one, before and after"),
    ("change", "By how much the margin changes"),
    ("near", "Cosine of the embeddings of a token and of what takes its place, or their mean"),
)  # fmt: skip
_WIDTHS = (122, 122, 62, 46)
_NODES = (
    ("node", "Choose a row to select the node in the graph and in all plots"),
    ("token", "The token at its position"),
    ("score", "Its part of what the first swap takes from the margin, in logits"),
    ("share", "That part by all that the swap takes"),
)
_NODE_WIDTHS = (110, 80, 70)
_AMONG = {"as in the task": TASK, "these words": WORDS, "any token": ANY}
_TIPS = (
    "What may be put in: what stands at the same place in other prompts of the task above, "
    "words, or any token of the model"
)


class SwapPage(QWidget):
    """Settings and a button; a row for each prompt, which can be chosen."""

    slot = SWAPS_SLOT
    chosen = Signal(int)
    node_chosen = Signal(str)
    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.button = QPushButton("Search")
        self.button.setObjectName("swap_run")
        self.swaps = QSpinBox()
        self.among = Choice()
        self.words, self.positions = QLineEdit(), QLineEdit()
        self.said = ElidedLabel()
        self.table = ChoiceTable(
            "swap_table", "swapped prompts", _COLUMNS, row_height=_ROW, widths=_WIDTHS
        )
        self.nodes = ChoiceTable(
            "swap_nodes", "nodes that carry the change", _NODES,
            row_height=_ROW, widths=_NODE_WIDTHS,
        )  # fmt: skip
        self._names: tuple[str, ...] = ()
        self.lists = QTabWidget()
        self._dress()
        line = QHBoxLayout()
        line.setSpacing(6)
        for part, stretch in ((self.button, 0), (self.swaps, 0), (self.among, 2), (self.words, 3),
                              (self.positions, 2)):  # fmt: skip
            line.addWidget(part, stretch)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 4, 0, 0)
        column.setSpacing(3)
        column.addLayout(line)
        column.addWidget(self.said)
        self.empty = EmptyState()
        column.addWidget(self.lists, 1)
        column.addWidget(self.empty, 1)
        self._on_among()
        self.among.currentIndexChanged.connect(self._on_among)
        self.words.returnPressed.connect(self.button.click)
        self.positions.returnPressed.connect(self.button.click)
        self.table.chosen.connect(self.chosen)
        self.nodes.chosen.connect(self._on_node)

    def _on_among(self, *_: object) -> None:
        self.words.setVisible(self.takes == WORDS)
        self.changed.emit()

    def _on_node(self, row: int) -> None:
        self.node_chosen.emit(self._names[row])

    @property
    def takes(self) -> str:
        """What may be put in."""
        return _AMONG[self.among.currentText()]

    @property
    def on_nodes(self) -> bool:
        """Whether the nodes are in front, not the prompts."""
        return self.lists.currentWidget() is self.nodes

    def mark(self, node: str | None) -> None:
        """Show which node is selected."""
        with QSignalBlocker(self.nodes):
            if node in self._names:
                self.nodes.selectRow(self._names.index(node))
            else:
                self.nodes.clearSelection()

    def _dress(self) -> None:
        self.among.setObjectName("swap_among")
        self.among.setAccessibleName("what may be put in")
        self.among.setToolTip(_TIPS)
        self.among.addItems(list(_AMONG))
        self.lists.setDocumentMode(True)
        self.lists.setObjectName("swap_lists")
        self.lists.addTab(self.table, "Prompts")
        self.lists.addTab(self.nodes, "Carried by")
        self.lists.setTabToolTip(1, "The nodes that carry the change to the first of the prompts")
        self.swaps.setObjectName("swap_count")
        self.swaps.setAccessibleName("swaps at most")
        self.swaps.setToolTip("At most so many tokens are swapped; as few as it takes")
        self.swaps.setRange(1, _MOST)
        self.swaps.setPrefix("swaps ≤ ")
        self.swaps.setProperty("plain", True)
        self.swaps.setButtonSymbols(QSpinBox.ButtonSymbols.NoButtons)
        self.swaps.lineEdit().setTextMargins(7, 0, 0, 0)
        self.swaps.setMinimumWidth(86)
        where = "Positions that may be swapped: 2, 5; else all but those of the answers"
        for field, name, told, tip in (
            (self.words, "swap_words", "words", "Words that may be put in, with commas between"),
            (self.positions, "swap_positions", "all positions but the answers'", where),
        ):
            field.setObjectName(name)
            field.setAccessibleName(tip)
            field.setPlaceholderText(told)
            field.setToolTip(tip)
            field.setClearButtonEnabled(True)

    def view_state(self) -> dict[str, Any]:
        """What is typed, as plain JSON."""
        return {
            "count": self.swaps.value(), "words": self.words.text(), "at": self.positions.text(),
            "among": self.takes, "list": self.lists.currentIndex(),
        }  # fmt: skip

    def restore_view(self, held: dict[str, Any]) -> None:
        """Type it again, ignoring what is not understood."""
        count, words, at = (held.get(name) for name in ("count", "words", "at"))
        among = [text for text, value in _AMONG.items() if value == held.get("among")]
        if among:
            self.among.setCurrentText(among[0])
        if held.get("list") in (0, 1):
            self.lists.setCurrentIndex(held["list"])
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
        self.lists.setVisible(found is not None)
        self._show_prompts(found)
        self._show_nodes(found)

    def _show_prompts(self, found: Adversarial | None) -> None:
        rows = [] if found is None else found.rows()
        cells = [] if found is None else swap_cells(found)
        self.table.set_rows(len(rows))
        for number, (row, (swaps, says, margin, change, near)) in enumerate(
            zip(rows, cells, strict=True)
        ):
            tone = colours.WARM if row["flipped"] else colours.TEXT
            dim = colours.TEXT_DIM
            written = ((swaps, tone), (says, tone), (margin, dim), (change, tone), (near, dim))
            sides = f"{row['probability_before']:.3f} → {row['probability']:.3f}"
            tip = f"{row['prompt']}\np(answer) {sides}"
            self.table.write(number, written, (tip,) * len(written))

    def _show_nodes(self, found: Adversarial | None) -> None:
        cells = [] if found is None else node_cells(found)
        self._names = () if found is None else found.nodes
        self.nodes.set_rows(len(cells))
        for number, (name, token, score, share) in enumerate(cells):
            gives = score.startswith("+")
            tone = colours.EXCITES if gives else colours.INHIBITS
            self.nodes.write(
                number,
                ((name, colours.TEXT), (token, colours.TEXT_DIM), (score, tone), (share, tone)),
            )
