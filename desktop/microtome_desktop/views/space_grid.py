"""Several views of the feature space side by side, turned together or each by itself."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from PySide6.QtCore import QPoint, Signal
from PySide6.QtGui import QContextMenuEvent
from PySide6.QtWidgets import QGridLayout, QWidget

from microtome_desktop.presenters.point_groups import Pick
from microtome_desktop.views.space_pane import SpacePane
from microtome_desktop.views.space_picking import Tool
from microtome_desktop.views.space_view import SpaceView

MOST_VIEWS = 4


class PaneGrid(QWidget):
    """One to four views. One of them is worked in: player and exports are about it."""

    active_changed = Signal()
    counted = Signal(int)
    tool_changed = Signal(object)  # Tool
    site_chosen = Signal(object)  # SpacePane
    project_asked = Signal(object)
    hovered = Signal(object, int)  # SpacePane, row of the point
    clicked = Signal(object, int)
    opened = Signal(object, int)  # twice pressed
    left = Signal()
    menu_asked = Signal(object, int, QPoint)  # SpacePane, row of the point, where on the screen
    caught = Signal(object, object, object)  # SpacePane, rows of the points, Pick

    def __init__(self, make_view: Callable[[], SpaceView]) -> None:
        super().__init__()
        self._make_view = make_view
        self.linked = True
        self.tool = Tool.TURN
        self.panes: list[SpacePane] = []
        self._under: tuple[SpacePane, int] | None = None
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(6)
        self.active = self.add()

    def add(self) -> SpacePane:
        """One more view, which looks from where the first one looks."""
        pane = SpacePane(self._make_view())
        pane.used.connect(self.work_in)
        pane.site_chosen.connect(self.site_chosen)
        pane.project_asked.connect(self.project_asked)
        pane.close_asked.connect(self.close_pane)
        pane.opened.connect(self._on_opened)
        pane.left.connect(self.left)
        pane.view.hovered.connect(partial(self._on_hover, pane))
        pane.view.clicked.connect(partial(self._on_click, pane))
        pane.view.looked.connect(partial(self._on_looked, pane))
        for tool in (pane.pick, pane.keys):
            tool.caught.connect(partial(self._on_caught, pane))
        pane.pick.dropped.connect(partial(self.use_tool, Tool.TURN))
        pane.pick.use(self.tool)
        self.panes.append(pane)
        if len(self.panes) > 1:
            pane.view.look(self.panes[0].view.camera())
            self.work_in(pane)
            self._arrange()
        else:
            self._grid.addWidget(pane, 0, 0)
        return pane

    def close_pane(self, pane: SpacePane) -> None:
        """One view less; the last one stays."""
        if len(self.panes) > 1:
            self.panes.remove(pane)
            self._grid.removeWidget(pane)
            pane.hide()
            pane.deleteLater()
            if self.active is pane:
                self.work_in(self.panes[0])
            self._arrange()

    def _arrange(self) -> None:
        count = len(self.panes)
        for number, pane in enumerate(self.panes):
            # Side by side, and two by two from the third on.
            place = (0, number) if count <= 2 else divmod(number, 2)
            self._grid.addWidget(pane, *place)
            pane.close_button.setVisible(count > 1)
            pane.mark_active(on=count > 1 and pane is self.active)
            pane.fit_head()
        self.counted.emit(count)

    def work_in(self, pane: SpacePane) -> None:
        """Let player, colours and exports be about this view."""
        if pane is not self.active:
            self.active = pane
            for each in self.panes:
                each.mark_active(on=len(self.panes) > 1 and each is pane)
            self.active_changed.emit()

    def use_tool(self, tool: Tool) -> None:
        """Catch points with this, in every view."""
        self.tool = tool
        for pane in self.panes:
            pane.pick.use(tool)
        self.tool_changed.emit(tool)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """Ask for what can be done to the point under the cursor, or to that of the keys."""
        row = self.active.keys.row
        if event.reason() == QContextMenuEvent.Reason.Keyboard:
            if row is not None:
                self.menu_asked.emit(self.active, row, self.active.keys.place_of(row))
        elif self._under is not None and self._under[0] in self.panes and self._under[1] >= 0:
            self.menu_asked.emit(*self._under, event.globalPos())

    def _on_hover(self, pane: SpacePane, point: int) -> None:
        self._under = (pane, point)
        self.hovered.emit(pane, point)

    def _on_click(self, pane: SpacePane, point: int) -> None:
        self.clicked.emit(pane, point)

    def _on_opened(self, pane: SpacePane) -> None:
        if self._under is not None and self._under[0] is pane and self._under[1] >= 0:
            self.opened.emit(*self._under)

    def _on_caught(self, pane: SpacePane, rows: np.ndarray, pick: Pick) -> None:
        self.caught.emit(pane, rows, pick)

    def _on_looked(self, pane: SpacePane) -> None:
        if self.linked:
            for other in self.panes:
                if other is not pane:
                    other.view.look(pane.view.camera())
