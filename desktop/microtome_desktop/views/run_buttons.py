"""Buttons of a panel that run a kind of work, and stop it while it is under way."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QPushButton

from microtome_desktop.commands.command import CommandId
from microtome_desktop.state.work import Piece
from microtome_desktop.views.panel import PanelContext


@dataclass(frozen=True, slots=True)
class RunButton:
    """A button, the work that it runs, and what it says before and while that runs."""

    button: QPushButton
    slot: str
    wanted: CommandId
    title: str
    tip: str
    stop_tip: str = "Stop it"


class RunButtons(QObject):
    """All such buttons of a panel; ``show`` when work, session or model have changed.

    They end with the first button: what waits for its turn then is left out.
    """

    def __init__(self, context: PanelContext, *rows: RunButton) -> None:
        super().__init__(rows[0].button)
        self._context, self._rows = context, rows
        for row in rows:
            row.button.clicked.connect(partial(self._press, row))

    def job_of(self, slot: str) -> Piece | None:
        """The job of this kind that is under way."""
        pieces = (p for p in self._context.work.pieces if p.slot == slot and p.under_way)
        return next(pieces, None)

    def _press(self, row: RunButton, *_: object) -> None:
        piece = self.job_of(row.slot)
        if piece is not None:
            self._context.stop(piece.number)
        else:
            self._context.do(row.wanted)

    def show(self) -> None:
        """Say what a press does now, or why nothing."""
        for row in self._rows:
            reason, stops = self._context.why_not(row.wanted), self.job_of(row.slot) is not None
            row.button.setText("Stop" if stops else row.title)
            row.button.setEnabled(stops or not reason)
            row.button.setToolTip(row.stop_tip if stops else reason or row.tip)
