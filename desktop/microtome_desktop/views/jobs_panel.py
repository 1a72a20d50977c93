"""The job panel: what runs and how long it will take, what has ended and how long it took."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QBrush, QColor, QGuiApplication, QShowEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from microtome_desktop import palette as colours
from microtome_desktop.presenters import exports
from microtome_desktop.presenters.sizes import seconds_text
from microtome_desktop.presenters.work import detail_text, pause_reason, state_text
from microtome_desktop.state.exports import Table
from microtome_desktop.state.work import Outcome, Piece
from microtome_desktop.views.panel import Panel, PanelContext

_NUMBER = Qt.ItemDataRole.UserRole
_TICK_MS = 500
_PAUSE_TIP = "Let the job rest at its next step; it keeps what it has found"
_INKS = {  # by the name of its colour: the theme may change
    Outcome.WAITING: "TEXT_DIM",
    Outcome.RUNNING: "ACCENT",
    Outcome.PAUSED: "WARM",
    Outcome.DONE: "GOOD",
    Outcome.FAILED: "BAD",
    Outcome.STOPPED: "WARM",
}


class JobsPanel(Panel):
    """A line a job, the newest on top; the chosen one can rest, go on and be stopped."""

    name = "jobs"
    title = "Jobs"
    icon = "mdi6.progress-clock"

    def __init__(self, context: PanelContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self.list = QTreeWidget()
        self.list.setObjectName("jobs_list")
        self.list.setAccessibleName("jobs")
        self.list.setColumnCount(3)
        self.list.setHeaderLabels(["job", "state", "time"])
        self.list.setRootIsDecorated(False)
        self.list.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        header = self.list.header()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.list.setColumnWidth(1, 74)
        self.list.setColumnWidth(2, 58)
        self.detail = QLabel()
        self.detail.setObjectName("dim")
        self.detail.setWordWrap(True)
        self.detail.setTextFormat(Qt.TextFormat.PlainText)
        self.detail.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.pause = QPushButton("Pause")
        self.pause.setObjectName("pause_one")
        self.copy = QPushButton("Copy details")
        self.copy.setObjectName("copy_details")
        self.copy.setToolTip("Put all that is known of the failure on the clipboard")
        self.stop = QPushButton("Stop this job")
        self.stop.setObjectName("stop_one")
        self.stop.setToolTip("Its result is dropped; what cannot be interrupted ends by itself")
        column = QVBoxLayout(self)
        column.setContentsMargins(10, 8, 10, 8)
        column.addWidget(self.list, 1)
        column.addWidget(self.detail)
        buttons = QHBoxLayout()
        for button in (self.pause, self.stop, self.copy):
            buttons.addWidget(button, 1)
        column.addLayout(buttons)
        self._tick = QTimer(self, interval=_TICK_MS)
        self._tick.timeout.connect(self._fill)
        self.list.currentItemChanged.connect(self._tell)
        self.stop.clicked.connect(self._on_stop)
        self.pause.clicked.connect(self._on_pause)
        self.copy.clicked.connect(self._on_copy)
        context.work.changed.connect(self._on_work)
        self._fill()

    def exported_table(self) -> Callable[[], Table] | str:
        """The jobs with their times."""
        pieces = self.context.work.pieces
        return partial(exports.jobs_table, pieces, time.monotonic()) if pieces else "No job yet."

    def exported_lines(self) -> tuple[str, ...] | str:
        """None: the past does not come back."""
        return "Times that were measured once cannot be repeated."

    def _on_work(self) -> None:
        self.context.later((self, "fill"), self._fill)

    def _fill(self) -> None:
        pieces = self.context.work.pieces
        if any(piece.under_way for piece in pieces) and self.isVisible():
            self._tick.start()
        else:
            self._tick.stop()
        if not self.isVisible():
            return
        now, chosen = time.monotonic(), self._chosen()
        newest = list(reversed(pieces))
        while self.list.topLevelItemCount() > len(newest):
            self.list.takeTopLevelItem(self.list.topLevelItemCount() - 1)
        while self.list.topLevelItemCount() < len(newest):
            self.list.addTopLevelItem(QTreeWidgetItem())
        for row, piece in enumerate(newest):
            item = self.list.topLevelItem(row)
            if item is not None:
                _show(item, piece, now)
                if piece.number == chosen:
                    self.list.setCurrentItem(item)
        self._tell()

    def showEvent(self, event: QShowEvent) -> None:
        """List what has happened meanwhile."""
        super().showEvent(event)
        self._fill()

    def _chosen(self) -> int:
        item = self.list.currentItem()
        return -1 if item is None else int(item.data(0, _NUMBER))

    def _piece(self) -> Piece | None:
        chosen = self._chosen()
        return next((p for p in self.context.work.pieces if p.number == chosen), None)

    def _tell(self, *_: object) -> None:
        piece = self._piece()
        self.stop.setEnabled(piece is not None and piece.under_way)
        reason, paused = pause_reason(piece), piece is not None and piece.outcome is Outcome.PAUSED
        self.pause.setText("Go on" if paused else "Pause")
        self.pause.setEnabled(not reason)
        self.pause.setToolTip(reason or ("Let the job go on" if paused else _PAUSE_TIP))
        self.copy.setVisible(piece is not None and bool(piece.details))
        self.detail.setText("" if piece is None else detail_text(piece))
        self.detail.setVisible(bool(self.detail.text()))

    def _on_stop(self) -> None:
        piece = self._piece()
        if piece is not None:
            self.context.stop(piece.number)

    def _on_pause(self) -> None:
        piece = self._piece()
        if piece is not None:
            paused = piece.outcome is Outcome.PAUSED
            (self.context.resume if paused else self.context.pause)(piece.number)

    def _on_copy(self) -> None:
        piece = self._piece()
        if piece is not None:
            QGuiApplication.clipboard().setText(piece.details)


def _show(item: QTreeWidgetItem, piece: Piece, now: float) -> None:
    spent = "" if piece.began is None else seconds_text(piece.seconds(now))
    for column, text in enumerate((piece.title, state_text(piece), spent)):
        item.setText(column, text)
    item.setData(0, _NUMBER, piece.number)
    item.setToolTip(0, piece.title)
    item.setForeground(1, QBrush(QColor(getattr(colours, _INKS[piece.outcome]))))
