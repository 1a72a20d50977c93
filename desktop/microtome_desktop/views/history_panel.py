"""The list of runs: reopen one, or compare it with the one on screen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from PySide6.QtCore import QSignalBlocker, Qt
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from microtome.records.session import Session
from microtome_desktop.presenters import as_python, exports
from microtome_desktop.presenters.circuit_text import signed
from microtome_desktop.presenters.comparison import changed_text, prompt_text, title
from microtome_desktop.state.exports import Table
from microtome_desktop.state.history import Past
from microtome_desktop.views.comparison_window import ComparisonWindow
from microtome_desktop.views.graph_comparison import ConsensusWindow
from microtome_desktop.views.panel import Panel, PanelContext
from microtome_desktop.views.reopening import reopen_run

_END = 8  # letters of a pair's prompt that are shown
_UUID = Qt.ItemDataRole.UserRole


class HistoryPanel(Panel):
    """Every run of this window, the newest on top; the one on screen is marked."""

    name = "history"
    title = "History"
    icon = "mdi6.history"

    def __init__(self, context: PanelContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self.list = QTreeWidget()
        self.list.setObjectName("history_list")
        self.list.setAccessibleName("runs")
        self.list.setColumnCount(2)
        self.list.setHeaderLabels(["run", "metric"])
        self.list.setRootIsDecorated(False)
        # Prompts that are compared often begin alike.
        self.list.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.list.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.list.header().setStretchLastSection(False)
        self.list.header().setSectionResizeMode(0, self.list.header().ResizeMode.Stretch)
        self.list.setColumnWidth(1, 64)
        self.note = QLabel()
        self.note.setObjectName("dim")
        self.note.setWordWrap(True)
        self.reopen, self.compare = QPushButton("Reopen"), QPushButton("Compare")
        self.consensus = QPushButton("Consensus")
        self.reopen.setToolTip("Show this run again (double click)")
        self.compare.setToolTip(
            "Compare this run with the one on screen, or the two that are chosen (Ctrl and click)"
        )
        self.consensus.setToolTip(
            "How many of the chosen runs have each node and edge (Ctrl or Shift and click)"
        )
        buttons = QHBoxLayout()
        buttons.addWidget(self.reopen)
        buttons.addWidget(self.compare)
        buttons.addWidget(self.consensus)
        column = QVBoxLayout(self)
        column.setContentsMargins(10, 8, 10, 8)
        column.addWidget(self.list, 1)
        column.addWidget(self.note)
        column.addLayout(buttons)
        self.list.itemActivated.connect(self._on_reopen)
        self.list.itemSelectionChanged.connect(self._on_current)
        self.reopen.clicked.connect(self._on_reopen)
        self.compare.clicked.connect(self._on_compare)
        self.consensus.clicked.connect(self._on_consensus)
        context.history.changed.connect(self._on_history)
        self._fill()

    def exported_table(self) -> Callable[[], Table] | str:
        """The runs and their metrics."""
        runs = self.context.history.runs
        return partial(exports.runs_table, runs) if runs else exports.NO_RUN

    def exported_lines(self) -> tuple[str, ...] | str:
        """Every run again."""
        return as_python.runs_lines(self.context.history.runs)

    def _on_history(self) -> None:
        self.context.later((self, "fill"), self._fill)

    def _fill(self) -> None:
        shown = self.context.workspace.session
        chosen = self._chosen()
        with QSignalBlocker(self.list):
            self.list.clear()
            for run in reversed(self.context.history.runs):
                item = _item(run, shown is not None and run.session.uuid == shown.uuid)
                self.list.addTopLevelItem(item)
                item.setSelected(run.session.uuid in chosen)
        dropped = self.context.history.dropped
        told = f"{dropped} older run{'s were' if dropped != 1 else ' was'} let go for memory."
        self.note.setText(told if dropped else "")
        self.note.setVisible(bool(dropped))
        self._on_current()

    def _chosen(self) -> tuple[str, ...]:
        """The runs that are chosen, the oldest first."""
        items = (self.list.topLevelItem(row) for row in range(self.list.topLevelItemCount()))
        chosen = [item for item in items if item is not None and item.isSelected()]
        return tuple(str(item.data(0, _UUID)) for item in reversed(chosen))

    @property
    def _compared(self) -> tuple[str, ...]:
        """The two runs that would be compared, the one on screen last; none otherwise."""
        shown, chosen = self.context.workspace.session, self._chosen()
        if len(chosen) == 1 and shown is not None and chosen[0] != shown.uuid:
            return (chosen[0], shown.uuid)
        return chosen if len(chosen) == 2 else ()

    def _on_current(self, *_: object) -> None:
        shown, chosen = self.context.workspace.session, self._chosen()
        other = len(chosen) == 1 and (shown is None or chosen[0] != shown.uuid)
        self.reopen.setEnabled(other)
        self.compare.setEnabled(bool(self._compared))
        self.consensus.setEnabled(len(chosen) > 1)

    def _on_reopen(self, *_: object) -> None:
        run = self.context.history.find(next(iter(self._chosen()), ""))
        shown = self.context.workspace.session
        if run is None or (shown is not None and shown.uuid == run.session.uuid):
            return
        reopen_run(self.context, run)

    def _on_compare(self) -> None:
        runs = self._sessions(self._compared)
        if len(runs) == 2:
            ComparisonWindow(runs[0], runs[1], self.context, self.window()).show()

    def _on_consensus(self) -> None:
        runs = self._sessions(self._chosen())
        if len(runs) > 1:
            ConsensusWindow(self.context, runs, self.window()).show()

    def _sessions(self, uuids: Sequence[str]) -> list[Session]:
        found = (self.context.history.find(uuid) for uuid in uuids)
        return [run.session for run in found if run is not None]


def _item(run: Past, on_screen: bool) -> QTreeWidgetItem:
    session = run.session
    value = session.metric.get("value")
    mark = "\N{BLACK RIGHT-POINTING SMALL TRIANGLE} " if on_screen else ""
    measured = "" if value is None else signed(float(value))
    changed = changed_text(session)
    prompt = prompt_text(session)
    if changed:  # what tells pairs apart comes first, and leaves room for the end of the prompt
        end = f"…{prompt[-_END:].strip()}" if len(prompt) > _END else prompt
        prompt = f"{changed} · {end}"
    item = QTreeWidgetItem([f"{mark}{run.number}  {prompt}", measured])
    item.setData(0, _UUID, session.uuid)
    name = session.metric.get("name", "no metric")
    where = f"\nin {run.path.name}" if run.path is not None else ""
    item.setToolTip(0, f"{title(session)}\n{name}{where}")
    item.setTextAlignment(1, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
    return item
