"""Puts the panels into the shell, one at a time, so that the window stays free meanwhile."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QCoreApplication, QEvent, QObject, Qt, QTimer, Signal, Slot
from PySide6.QtWidgets import QScrollArea

from microtome.records.session import Session
from microtome_desktop import palette as colours
from microtome_desktop.commands.command import CommandId
from microtome_desktop.commands.table import COMMANDS
from microtome_desktop.views.banner import BANNERS
from microtome_desktop.views.focus_ring import FocusRings
from microtome_desktop.views.icons import icon
from microtome_desktop.views.main_window import MainWindow
from microtome_desktop.views.panel import Panel, PanelContext
from microtome_desktop.views.panel_table import PLACES, Place
from microtome_desktop.views.panels import Panels
from microtome_desktop.views.spoken import install, name_areas


class Furnishing(QObject):
    """Makes a panel at each turn of the event loop; ``done`` when all are there.

    Late ones are left for when their place is first shown, or for who asks ``panels`` for them.
    """

    done = Signal()

    def __init__(self, window: MainWindow, context: PanelContext) -> None:
        super().__init__(window)
        install()
        self.rings = FocusRings(window)
        self._window, self._context = window, context
        self.panels = Panels(self._make_late)
        self._left = [place for place in PLACES if not place.late]
        self._views: dict[str, Any] = {}  # how sessions have panels that are not made yet
        self._watch()
        self.banners = {kind.name: kind(context) for kind in BANNERS}
        for row, banner in enumerate(self.banners.values()):
            window.centre.column.insertWidget(row, banner)
        self._set_icons()

    @property
    def waiting(self) -> int:
        """How many panels are still to be made."""
        return len(self._left)

    def view_states(self) -> dict[str, Any]:
        """How the panels are set, by name; one that is not made yet is as a session had it."""
        return self._views | {name: panel.view_state() for name, panel in self.panels.items()}

    def start(self) -> None:
        """Make the first panel at the next turn."""
        QTimer.singleShot(0, self._step)

    def finish(self) -> None:
        """Make all that are left now, late ones too."""
        while self._left:
            self._make(self._left.pop(0))
        for name in sorted(self.panels.late):
            self.panels[name]
        self._end()

    def renew(self, dressed: Callable[[], None]) -> None:
        """Make every panel anew, as each was set: another theme draws with other colours.

        ``dressed`` puts the theme on when the old panels are gone, which nobody sees dressed.
        """
        held = {name: panel.view_state() for name, panel in self.panels.items()}
        late = frozenset(self.panels.late)
        self.panels.clear()
        for body in self._window.bodies.values():
            body.release()
        # The old panels listen until they are gone, and they are parts of cycles.
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        gc.collect()
        dressed()
        self._left = [place for place in PLACES if place.name in held]
        self._set_icons()
        while self._left:
            place = self._left.pop(0)
            self._make(place)
            self.panels[place.name].restore_view(held[place.name])
        self.panels.late |= late
        self.done.emit()

    def _step(self) -> None:
        if self._left:
            self._make(self._left.pop(0))
            QTimer.singleShot(0, self._step)
        else:
            self._end()

    def _end(self) -> None:
        self.done.emit()
        # A card that was in front before there was anybody to hear of it.
        for name in sorted(self.panels.late):
            if self._window.bodies[name].isVisible():
                self.panels[name]

    def _watch(self) -> None:
        for place in PLACES:
            if place.late:
                self.panels.late.add(place.name)
                self._window.bodies[place.name].bare.connect(self._on_bare)
        self._context.workspace.session_replaced.connect(self._on_session)

    def _on_session(self, session: Session | None) -> None:
        found = {} if session is None else session.view
        self._views |= {n: v for n, v in found.items() if n in self.panels.late}

    @Slot()
    def _on_bare(self) -> None:
        for name, body in self._window.bodies.items():
            if body is self.sender():
                self.panels.get(name)

    def _make_late(self, name: str) -> None:
        self._make(next(place for place in PLACES if place.name == name))
        held = self._views.pop(name, None)
        if isinstance(held, dict):
            self.panels[name].restore_view(held)

    def _make(self, place: Place) -> None:
        panel = place.load()(self._context)
        self.panels[place.name] = panel
        held = scrolling(panel) if place.scrolls else panel
        name_areas(held, place.title)
        self._window.bodies[place.name].hold(held)

    def _set_icons(self) -> None:
        for banner in self.banners.values():
            banner.set_sign()
        larger, smaller = icon("mdi6.arrow-expand"), icon("mdi6.arrow-collapse")
        floating, close = icon("mdi6.dock-window"), icon("mdi6.close")
        for place in PLACES:
            if place.name in self._window.cards:
                bar = self._window.cards[place.name].bar
                bar.set_icons(icon(place.icon), larger, smaller, floating, close)
        for row in COMMANDS:
            colour = colours.GOOD if row.id is CommandId.RUN else colours.TEXT_DIM
            self._window.actions_table.actions[row.id].setIcon(icon(row.icon, colour))


def scrolling(panel: Panel) -> QScrollArea:
    """The panel behind a scroll bar, for one that may be higher than its place."""
    area = QScrollArea()
    area.setWidgetResizable(True)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setWidget(panel)
    area.viewport().setAutoFillBackground(False)
    panel.setAutoFillBackground(False)
    return area
