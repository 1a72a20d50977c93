"""The page that judges a circuit: is it complete, minimal, stable, and is it the known one?"""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from microtome_desktop import palette as colours
from microtome_desktop.presenters.discovery_judge import KnownRow, Verdict
from microtome_desktop.views.plain_table import PlainTable

_ROW, _HEADER, _MOST_ROWS = 20, 28, 9
_NARROW = 340  # pixels
_NODES = (
    ("node", "A head or an MLP of the circuit"),
    ("worth", "The most that faithfulness falls when it goes too, whatever was taken out before"),
)
_DRAWS = (
    ("without", "The nodes that were taken out of both"),
    ("circuit", "What the circuit keeps of the behaviour then"),
    ("model", "What the whole model keeps then"),
    ("gap", "Their distance: 0 where the circuit is complete"),
)
_KNOWN = (
    ("circuit", "A ticked circuit"),
    ("edges", "Area under the ROC curve of its edges: 1 where all known ones score highest"),
    ("nodes", "The same of its nodes, each by its strongest out-edge"),
)
_NOT_YET = "Judging takes nodes out of the circuit and out of the model, and halves the data."


class JudgeView(QWidget):
    """Two buttons, three sentences, and the tables behind them."""

    asked = Signal()
    known_asked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.button = QPushButton("Judge this circuit")
        self.button.setObjectName("judge")
        self.known_button = QPushButton("Known circuit…")
        self.known_button.setObjectName("known")
        self.known_button.setToolTip("Compare with edges that are known to be the circuit")
        self.said = QLabel(_NOT_YET)
        self.said.setObjectName("dim")
        self.said.setWordWrap(True)
        self.nodes = PlainTable("judged_nodes", "worth of each node", _NODES, row_height=_ROW,
                                widths=(54,))  # fmt: skip
        self.draws = PlainTable("judged_draws", "completeness", _DRAWS, row_height=_ROW,
                                widths=(54, 54, 54))  # fmt: skip
        self.known = PlainTable("known_table", "known circuit", _KNOWN, row_height=_ROW,
                                widths=(60, 60))  # fmt: skip
        self._lay_out()
        self.button.clicked.connect(self.asked)
        self.known_button.clicked.connect(self.known_asked)

    def _lay_out(self) -> None:
        line = self._line = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        line.addWidget(self.button)
        line.addWidget(self.known_button)
        line.addStretch(1)
        tables = self._tables = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        top = Qt.AlignmentFlag.AlignTop
        tables.addWidget(self.nodes, 2)
        tables.addWidget(self.draws, 4)
        for table in (self.nodes, self.draws):
            tables.setAlignment(table, top)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 4, 8, 0)
        column.setSpacing(5)
        column.addLayout(line)
        column.addWidget(self.said)
        column.addLayout(tables)
        column.addWidget(self.known)
        column.addStretch()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """In a narrow panel one table stands below the other."""
        super().resizeEvent(event)
        way, top = QBoxLayout.Direction, Qt.AlignmentFlag.AlignTop
        narrow = self.width() < _NARROW
        for row in (self._line, self._tables):
            row.setDirection(way.TopToBottom if narrow else way.LeftToRight)
        for table in (self.nodes, self.draws):  # aligned to the top it would not take the width
            self._tables.setAlignment(table, Qt.AlignmentFlag(0) if narrow else top)

    def set_able(self, reason: str, *, running: bool) -> None:
        """Whether the circuit can be judged; the reason where it cannot."""
        self.button.setText("Stop" if running else "Judge this circuit")
        self.button.setEnabled(running or not reason)
        self.button.setToolTip(reason or "Completeness, minimality and stability at this size")

    def tell(self, verdict: Verdict | None, known: Sequence[KnownRow]) -> None:
        """Show what is known of the circuit at this size."""
        text = _NOT_YET
        if verdict is not None:
            text = f"{verdict.complete}\n{verdict.minimal}\n{verdict.stable}"
        self.said.setText(text)
        for table in (self.nodes, self.draws):
            table.setVisible(verdict is not None)
        if verdict is not None:
            _fill(self.nodes, [(name, (worth,)) for name, worth in verdict.nodes])
            _fill(self.draws, [(row[0], row[1:]) for row in verdict.draws])
        self.known.setVisible(bool(known))
        _fill(self.known, [(row.title, (row.edge_auc, row.node_auc)) for row in known])


def _fill(table: PlainTable, rows: Sequence[tuple[str, Sequence[float]]]) -> None:
    table.setRowCount(len(rows))
    table.setFixedHeight(_HEADER + max(1, min(len(rows), _MOST_ROWS)) * _ROW)
    for number, (name, values) in enumerate(rows):
        texts = ["…" if isnan(v) else f"{v:.3f}".replace("-", "\N{MINUS SIGN}") for v in values]
        cells = [(name, colours.TEXT), *((text, colours.TEXT_DIM) for text in texts)]
        table.write(number, cells, [name] * len(cells))
