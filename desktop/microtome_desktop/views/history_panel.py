"""The list of runs: reopen one, or compare it with the one on screen."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from PySide6.QtCore import Qt
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

from microtome_desktop.jobs.examine import select_answer
from microtome_desktop.presenters import as_python, exports
from microtome_desktop.presenters.circuit_text import signed
from microtome_desktop.presenters.comparison import changed_text, prompt_text, title
from microtome_desktop.state.exports import Table
from microtome_desktop.state.history import Past
from microtome_desktop.views.comparison_window import ComparisonWindow
from microtome_desktop.views.panel import Panel, PanelContext

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
        self.list.setColumnCount(2)
        self.list.setHeaderLabels(["run", "metric"])
        self.list.setRootIsDecorated(False)
        # Prompts that are compared often begin alike.
        self.list.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.list.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.list.header().setStretchLastSection(False)
        self.list.header().setSectionResizeMode(0, self.list.header().ResizeMode.Stretch)
        self.list.setColumnWidth(1, 64)
        self.note = QLabel()
        self.note.setObjectName("dim")
        self.note.setWordWrap(True)
        self.reopen, self.compare = QPushButton("Reopen"), QPushButton("Compare")
        self.reopen.setToolTip("Show this run again (double click)")
        self.compare.setToolTip("Compare this run with the one on screen")
        buttons = QHBoxLayout()
        buttons.addWidget(self.reopen)
        buttons.addWidget(self.compare)
        column = QVBoxLayout(self)
        column.setContentsMargins(10, 8, 10, 8)
        column.addWidget(self.list, 1)
        column.addWidget(self.note)
        column.addLayout(buttons)
        self.list.itemActivated.connect(self._on_reopen)
        self.list.currentItemChanged.connect(self._on_current)
        self.reopen.clicked.connect(self._on_reopen)
        self.compare.clicked.connect(self._on_compare)
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
        self.list.clear()
        for run in reversed(self.context.history.runs):
            item = _item(run, shown is not None and run.session.uuid == shown.uuid)
            self.list.addTopLevelItem(item)
            if chosen == run.session.uuid:
                self.list.setCurrentItem(item)
        dropped = self.context.history.dropped
        told = f"{dropped} older run{'s were' if dropped != 1 else ' was'} let go for memory."
        self.note.setText(told if dropped else "")
        self.note.setVisible(bool(dropped))
        self._on_current()

    def _chosen(self) -> str:
        item = self.list.currentItem()
        return "" if item is None else str(item.data(0, _UUID))

    def _on_current(self, *_: object) -> None:
        shown = self.context.workspace.session
        other = bool(self._chosen()) and (shown is None or self._chosen() != shown.uuid)
        self.reopen.setEnabled(other)
        self.compare.setEnabled(other and shown is not None)

    def _on_reopen(self, *_: object) -> None:
        run = self.context.history.find(self._chosen())
        shown = self.context.workspace.session
        if run is None or (shown is not None and shown.uuid == run.session.uuid):
            return
        self.context.selection.clear()
        if run.session.question is not None:
            self.context.draft.fill(run.session.question)
        self.context.history.reopen(run.session.uuid)
        select_answer(self.context)

    def _on_compare(self) -> None:
        run, shown = self.context.history.find(self._chosen()), self.context.workspace.session
        if run is not None and shown is not None:
            ComparisonWindow(run.session, shown, self.window()).show()


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
