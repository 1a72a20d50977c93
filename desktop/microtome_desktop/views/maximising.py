"""One panel as large as the window, and back to where everything was."""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtCore import QByteArray, QObject, Signal
from PySide6.QtWidgets import QApplication, QDockWidget, QMainWindow, QWidget

from microtome_desktop.views.centre import Centre


class Maximising(QObject):
    """Hides all panels but one, and remembers how they were."""

    changed = Signal(str)  # the panel that fills the window, empty when none does

    def __init__(
        self,
        window: QMainWindow,
        docks: Mapping[str, QDockWidget],
        centre: Centre,
        version: int,
    ) -> None:
        super().__init__(window)
        self._window, self._docks, self._version = window, docks, version
        self._centre = centre
        self.name = ""
        self.before: QByteArray | None = None  # the state of the docks until then

    def toggle(self, name: str) -> None:
        """Let a panel fill the window, or put everything back."""
        if self.name:
            self.restore()
        elif name in self._docks or name in self._centre.bodies:
            self._maximise(name)

    def _maximise(self, name: str) -> None:
        self.before, self.name = self._window.saveState(self._version), name
        for other, dock in self._docks.items():
            if other != name:
                dock.hide()
        if name in self._docks:
            dock = self._docks[name]
            dock.setFloating(False)
            dock.show()
            self._centre.hide()
        elif name in self._centre.cards:
            self._centre.show_card(name)
            self._centre.show_strips(on=False)
        self.changed.emit(name)

    def restore(self) -> None:
        """Put everything back, if a panel fills the window."""
        before, self.before = self.before, None
        if before is None:
            return
        self.name = ""
        self._centre.show_strips(on=True)
        self._centre.show()
        self._window.restoreState(before, self._version)
        self.changed.emit("")

    def panel_in_use(self) -> str:
        """The panel that has the keyboard, else the one in the middle of the window."""
        held = self.focused()
        return held if held and held not in self._centre.strips else self._centre.front

    def focused(self) -> str:
        """The panel or strip that has the keyboard, empty for none."""
        widget = QApplication.focusWidget()
        places: dict[QWidget, str] = {card: name for name, card in self._centre.cards.items()}
        places |= {body: name for name, body in self._centre.bodies.items()}
        places |= {dock: name for name, dock in self._docks.items()}
        while widget is not None and widget not in places:
            widget = widget.parentWidget()
        return "" if widget is None else places[widget]
