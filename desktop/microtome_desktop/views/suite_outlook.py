"""Beside the button of each page of the suite panel: what its question will take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QObject, QTimer
from PySide6.QtWidgets import QLabel, QWidget

from microtome_desktop.jobs.suite_outlook import ForeseeSuite
from microtome_desktop.presenters.sweep_choice import seconds_text
from microtome_desktop.state.suites import SuiteOutlook, Wish, outlook_key
from microtome_desktop.views.panel import PanelContext

_REST = 300  # milliseconds without a change


def outlook_label() -> QLabel:
    """Where a page shows it."""
    label = QLabel()
    label.setObjectName("dim")
    label.setAccessibleName("what it takes")
    return label


class SuiteOutlooks(QObject):
    """Asks for the outlook of the page in front once it has not been changed for a moment.

    ``asked`` gives that page's wish and label, or None where nothing can be asked.
    """

    def __init__(
        self, panel: QWidget, context: PanelContext, asked: Callable[[], tuple[Wish, QLabel] | None]
    ) -> None:
        super().__init__(panel)
        self._panel, self._context, self._asked = panel, context, asked
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(_REST)
        self._soon.timeout.connect(self._foresee)
        context.workspace.prepared.arrived.connect(self._on_prepared)

    def look(self, *_: Any) -> None:
        """Something that is asked for may have changed."""
        self._show()
        self._soon.start()

    def _held(self, wish: Wish) -> SuiteOutlook | None:
        held = self._context.workspace.prepared.get(outlook_key(wish))
        return held if isinstance(held, SuiteOutlook) else None

    def _foresee(self) -> None:
        workspace, asked = self._context.workspace, self._asked()
        if asked is None or not self._panel.isVisible():
            return
        wish, _ = asked
        if self._held(wish) is None and workspace.prepared.wants(outlook_key(wish)):
            self._context.ask(ForeseeSuite(wish))  # type: ignore[arg-type]  # of three kinds

    def _on_prepared(self, key: object) -> None:
        asked = self._asked()
        if asked is not None and key == outlook_key(asked[0]):
            self._show()

    def _show(self) -> None:
        asked = self._asked()
        if asked is None:
            return
        wish, label = asked
        held = self._held(wish)
        if held is None or held.problem:
            label.setText("")
            label.setToolTip("" if held is None else held.problem)
            return
        label.setText(f"about {seconds_text(held.seconds)}")
        label.setToolTip(f"{held.runs:,} runs of a prompt, by one that was timed")
