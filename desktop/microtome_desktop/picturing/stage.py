"""The real window with nobody at it: what a scene needs to be set, and to wait until it stands."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

from PySide6.QtCore import QCoreApplication, QEvent, QEventLoop, QObject, QPoint
from PySide6.QtGui import QColor, QImage
from PySide6.QtWidgets import QApplication, QDialog, QWidget

from microtome.prompts import Question
from microtome_desktop import palette as colours
from microtome_desktop.commands.command import CommandId
from microtome_desktop.jobs.request import Request
from microtome_desktop.views.panel import Panel
from microtome_desktop.views.workbench import Workbench

Part = TypeVar("Part", bound=QObject)

_PATIENCE_S = 120.0
# Longer than any panel waits before it refines what it drew.
_STILL_S = 0.25
_FLAGS = QWidget.RenderFlag.DrawWindowBackground | QWidget.RenderFlag.DrawChildren


class Stage:
    """Sets scenes by the commands, fields and lists that a user has."""

    def __init__(self, workbench: Workbench) -> None:
        self.workbench = workbench
        self.window, self.desk = workbench.window, workbench.desk

    def panel(self, name: str) -> Panel:
        """A panel as it is now; another theme has other panels."""
        return self.workbench.furnishing.panels[name]

    def part(self, kind: type[Part], name: str) -> Part:
        """The part of the window that has this name.

        Raises LookupError when there is none.
        """
        found = self.window.findChild(kind, name)
        if found is None:
            raise LookupError(f"The window has no {kind.__name__} called {name}.")
        return found

    def do(self, wanted: CommandId) -> None:
        """Run a command, and wait for what comes of it."""
        self.window.actions_table.trigger(wanted)
        self.rest()

    def ask(self, request: Request) -> None:
        """Have a request done, and wait for what comes of it."""
        self.workbench.runner.ask(request)
        self.rest()

    def run(self, question: Question) -> None:
        """Put a question to the model that is loaded."""
        self.desk.draft.fill(question)
        self.rest()
        self.do(CommandId.RUN)

    def load(self, name: str) -> None:
        """Load a model, unless it is loaded."""
        held = self.desk.workspace.model
        if held is None or held.name != name:
            self.workbench.handlers.load(name)
            self.until(lambda: self._loaded(name))
            self.rest()

    def _loaded(self, name: str) -> bool:
        held = self.desk.workspace.model
        return held is not None and held.name == name

    def select(self, **fields: Any) -> None:
        """Select something, and nothing else."""
        self.desk.selection.clear()
        self.desk.selection.update(**fields)
        self.rest()

    def front(self, name: str) -> None:
        """Bring a panel to the front of its tabs."""
        self.window.show_panel(name)
        self.rest()

    def dialog(self) -> QDialog:
        """The dialog that is open.

        Raises LookupError when there is none.
        """
        shown = [each for each in self.window.findChildren(QDialog) if each.isVisible()]
        if not shown:
            raise LookupError("No dialog is open.")
        return shown[-1]

    def card(self, name: str) -> QWidget:
        """A panel with its title bar."""
        return self.window.cards.get(name, self.window.bodies[name])

    def clear(self) -> None:
        """Take away what lies over the window."""
        for toast in list(self.workbench.toasts.shown):
            toast.close()
        for dialog in self.window.findChildren(QDialog):
            dialog.close()
        self.rest()

    def until(self, condition: Callable[[], bool]) -> None:
        """Let the window work until something has come about.

        Raises TimeoutError after two minutes.
        """
        end = time.monotonic() + _PATIENCE_S
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError("The window did not come to rest within two minutes.")
            QCoreApplication.processEvents(QEventLoop.ProcessEventsFlag.AllEvents, 20)
            # Outside of exec nobody else does: tab bars that docks have left would stay on screen.
            QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)

    def rest(self) -> None:
        """Wait until nothing is under way and everything is drawn."""
        runner, still = self.workbench.runner, time.monotonic()

        def settled() -> bool:
            nonlocal still
            if not runner.idle or not runner.turns.idle or self.workbench.updating:
                still = time.monotonic()
                return False  # however late this thread gets its turn
            return time.monotonic() - still > _STILL_S

        self.until(settled)


def picture(widget: QWidget, ratio: int) -> QImage:
    """A widget with ``ratio`` pixels for each of the screen, without a see-through edge."""
    image = QImage(widget.size() * ratio, QImage.Format.Format_RGB32)
    image.setDevicePixelRatio(ratio)
    for _ in range(2):  # some parts draw again for the finer grid, once they have seen it
        image.fill(QColor(colours.WINDOW))
        widget.render(image, QPoint(), widget.rect(), _FLAGS)
        for part in (widget, *widget.findChildren(QWidget)):
            finish = getattr(part, "finish_drawing", None)
            if finish is not None:
                finish()
        QApplication.processEvents()
    return image
