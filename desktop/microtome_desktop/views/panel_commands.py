"""From panel to panel by the keyboard, and what the buttons of their title bars do."""

from __future__ import annotations

from collections.abc import Callable
from weakref import WeakValueDictionary

from PySide6.QtCore import QObject, QPoint, Qt
from PySide6.QtWidgets import QApplication, QToolButton, QWidget

from microtome_desktop.commands.command import CommandId
from microtome_desktop.views.card import CardDock
from microtome_desktop.views.main_window import MainWindow
from microtome_desktop.views.panel_table import PLACES

_LINE = 12  # pixels: parts whose tops are closer stand side by side


class PanelCommands(QObject):
    """Acts on the panel that has the keyboard, else on the one in the middle of the window."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window = window
        # Where the keyboard was in each panel, as long as that is there.
        self._last: WeakValueDictionary[str, QWidget] = WeakValueDictionary()
        application = QApplication.instance()
        if isinstance(application, QApplication):
            application.focusChanged.connect(self._on_focus)

    def table(self) -> dict[CommandId, Callable[[], None]]:
        """What each command does."""
        return {
            CommandId.NEXT_PANEL: lambda: self.step(1),
            CommandId.PREVIOUS_PANEL: lambda: self.step(-1),
            CommandId.FLOAT_PANEL: self._float,
            CommandId.HIDE_PANEL: self._hide,
            CommandId.EXPORT_PANEL: self._export,
            CommandId.MAXIMISE: self._window.maximise,
        }

    @property
    def in_view(self) -> tuple[str, ...]:
        """The panels that are on screen and take the keyboard, from left to right."""
        bodies = self._window.bodies
        names = [place.name for place in PLACES if place.name in bodies]
        shown = [name for name in names if not bodies[name].visibleRegion().isEmpty()]
        return tuple(name for name in shown if _reached(bodies[name]))

    def step(self, by: int) -> None:
        """Give the keyboard to the panel after (before) the one that has it."""
        names = self.in_view
        if not names:
            return
        held = self._window.maximising.focused()
        at = names.index(held) + by if held in names else 0 if by > 0 else -1
        self.enter(names[at % len(names)])

    def enter(self, name: str) -> None:
        """Put the keyboard where it last was in a panel, or on the first that takes it."""
        body = self._window.bodies[name]
        found, last = _reached(body), self._last.get(name)
        if not found:
            return
        body.window().activateWindow()
        target = last if last in found else min(found, key=lambda part: _place(part, body))
        target.setFocus(Qt.FocusReason.ShortcutFocusReason)

    def _on_focus(self, _before: QWidget | None, now: QWidget | None) -> None:
        name = "" if now is None else self._window.maximising.focused()
        if name and now is not None:
            self._last[name] = now

    def _float(self) -> None:
        dock = self._window.docks.get(self._window.maximising.panel_in_use())
        if dock is not None:
            dock.bar.float_clicked.emit()
            self._keep(dock)

    def _keep(self, dock: CardDock) -> None:
        """Leave the keyboard in a dock that became, or was, a window of its own."""
        name = next(name for name, held in self._window.docks.items() if held is dock)
        self.enter(name)

    def _hide(self) -> None:
        dock = self._window.docks.get(self._window.maximising.panel_in_use())
        if dock is not None:
            dock.bar.close_clicked.emit()

    def _export(self) -> None:
        held = self._window.maximising
        button = self._export_button(held.focused() or held.panel_in_use())
        if button is not None and button.menu() is not None:
            button.menu().popup(button.mapToGlobal(button.rect().bottomLeft()))

    def _export_button(self, name: str) -> QToolButton | None:
        if name in self._window.cards:
            return self._window.cards[name].bar.export
        strip = self._window.bodies[name]
        return next((b for b in strip.findChildren(QToolButton) if b.menu() is not None), None)


def _reached(body: QWidget) -> list[QWidget]:
    """What Tab reaches in a panel."""
    tab = Qt.FocusPolicy.TabFocus
    return [
        part
        for part in body.findChildren(QWidget)
        if part.focusPolicy() & tab and part.isVisible() and part.isEnabled()
    ]


def _place(part: QWidget, body: QWidget) -> tuple[int, int]:
    """Where one reads it: line by line, from the left."""
    at = part.mapTo(body, QPoint())
    return at.y() // _LINE, at.x()
