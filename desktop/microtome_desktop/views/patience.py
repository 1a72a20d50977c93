"""Asks before something kills work that the user waits for, and waits for it when told to."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject, Slot
from PySide6.QtWidgets import QMessageBox, QWidget

from microtome_desktop.jobs.request import Request
from microtome_desktop.jobs.runner import JobRunner
from microtome_desktop.presenters.work import at_stake_text
from microtome_desktop.state.work import Piece


class Patience(QObject):
    """Stands between a wish that ends jobs and the runner; one wish can wait at a time."""

    def __init__(self, window: QWidget, runner: JobRunner) -> None:
        super().__init__(window)
        self._window, self._runner = window, runner
        self._waiting: tuple[frozenset[int], Callable[[], None]] | None = None
        runner.changed.connect(self._on_changed)

    def ask(self, request: Request) -> None:
        """Ask the runner, after the user where it would kill what they wait for."""

        def go() -> None:
            self._runner.ask(request)

        # What kills nothing takes nothing from a wish that waits, either.
        if not request.asks_first or self._settled(self._runner.at_stake(request), "go on", go):
            go()

    def may_close(self) -> bool:
        """Whether the window may close now; it closes by itself after what it waits for."""
        return self._settled(self._runner.at_stake(), "close", self._close)

    def _close(self) -> None:
        self._window.close()

    def _settled(self, stake: tuple[Piece, ...], act: str, then: Callable[[], None]) -> bool:
        self._waiting = None
        if not stake:
            return True
        box = QMessageBox(self._window)
        box.setObjectName("at_stake")
        box.setIcon(QMessageBox.Icon.Question)
        box.setText(at_stake_text(stake))
        box.setInformativeText("It would be stopped. What is on screen already stays.")
        stop = box.addButton(f"Stop it and {act}", QMessageBox.ButtonRole.DestructiveRole)
        wait = box.addButton("Wait for it", QMessageBox.ButtonRole.AcceptRole)
        box.addButton(QMessageBox.StandardButton.Cancel)
        box.setDefaultButton(wait)
        box.exec()
        chosen = box.clickedButton()
        box.deleteLater()
        if chosen is stop:
            for piece in stake:
                self._runner.cancel_one(piece.number)
        elif chosen is wait:
            self._waiting = frozenset(piece.number for piece in stake), then
            self._on_changed()  # it may have ended while the question stood
        return chosen is stop

    @Slot()
    def _on_changed(self) -> None:
        """Do what waited, once nothing of what it waited for is under way."""
        if self._waiting is None:
            return
        numbers, then = self._waiting
        if not any(self._runner.waits_for(number) for number in numbers):
            self._waiting = None
            self._runner.turns.ask((self, "then"), then)
