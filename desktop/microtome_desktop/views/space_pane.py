"""One view of the feature space: its site, its drawing and what is said of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int
from PySide6.QtCore import QEvent, QObject, Signal
from PySide6.QtGui import QMouseEvent, QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QToolButton, QVBoxLayout, QWidget

from microtome_desktop import palette as colours
from microtome_desktop.jobs.requests import space_needs
from microtome_desktop.presenters.sizes import bytes_text
from microtome_desktop.presenters.space import Space
from microtome_desktop.presenters.space_steps import same_points
from microtome_desktop.views.choice import Choice
from microtome_desktop.views.elided import ElidedLabel
from microtome_desktop.views.icons import icon
from microtome_desktop.views.panel import PanelContext
from microtome_desktop.views.space_keys import PointKeys
from microtome_desktop.views.space_picking import PickTool
from microtome_desktop.views.space_view import SpaceView
from microtome_desktop.views.spoken import tell

_PROJECTING = "Project this site over the prompt set"
_AROUND_NAME = 44  # pixels of the choice beside its text


def projecting_tip(context: PanelContext, site: str | None) -> str:
    """What the button does, and what it takes of memory."""
    points = context.settings.points
    if site is not None and " " in site:  # directions of features, which are no site
        return _PROJECTING
    held = site and space_needs(site, points, context.workspace, context.library)
    return f"{_PROJECTING}: takes about {bytes_text(held)} of memory" if held else _PROJECTING


class SpacePane(QWidget):
    """Shows one site. Its choice lies over a corner of the drawing, where few points are."""

    used = Signal(object)  # the pane: the user works in it
    site_chosen = Signal(object)
    project_asked = Signal(object)
    close_asked = Signal(object)
    opened = Signal(object)  # the pane: twice pressed where the pointer is
    left = Signal()  # by the pointer

    def __init__(self, view: SpaceView, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.view = view
        self.pick = PickTool(view)
        self.drawing: Space | None = None  # what is shown, in the end of a movement
        self.keys = PointKeys(view, lambda: self.drawing)
        self._told = "", ""  # of what keys point at, and of all of it
        self.aligned = False  # the layers of the site are walked through
        self.site = Choice()
        self.site.setObjectName("space_site")
        self.site.setAccessibleName("site")
        self.site.setToolTip("The site whose principal components are shown")
        self.compute = QPushButton("Project")
        self.compute.setObjectName("space_project")
        self.close_button = QToolButton()
        self.close_button.setObjectName("tiny")
        self.close_button.setIcon(icon("mdi6.close"))
        self.close_button.setToolTip("Close this view")
        self.close_button.setAccessibleName("Close this view")
        self.close_button.hide()
        self.caption = ElidedLabel()
        self.head = QWidget(self)
        self._lay_out()
        self.site.activated.connect(lambda _: self.site_chosen.emit(self))
        self.compute.clicked.connect(lambda: self.project_asked.emit(self))
        self.close_button.clicked.connect(lambda: self.close_asked.emit(self))
        self.keys.used.connect(lambda: self.used.emit(self))
        view.surface().installEventFilter(self)

    def _lay_out(self) -> None:
        row = QHBoxLayout(self.head)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        row.addWidget(self.site, 1)
        row.addWidget(self.compute)
        row.addWidget(self.close_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(1)
        layout.addWidget(self.view, 1)
        layout.addWidget(self.caption)
        self.head.raise_()

    @property
    def name(self) -> str | None:
        """The chosen site."""
        held = self.site.currentData()
        return None if held is None else str(held)

    def offer(
        self, entries: Sequence[tuple[str, str]], fallback: str | None, *, keep: bool
    ) -> None:
        """Offer sites as (text, name); the chosen one stays with ``keep``, else the fallback."""
        before = self.name if keep else None
        self.site.clear()
        for text, name in entries:
            self.site.addItem(text, name)
        at = self.site.findData(before) if before is not None else -1
        self.site.setCurrentIndex(at if at >= 0 else self.site.findData(fallback))
        self.fit_head()

    def choose(self, name: str) -> None:
        """Choose a site without telling."""
        if self.site.findData(name) < 0:
            self.site.addItem(name, name)
        self.site.setCurrentIndex(self.site.findData(name))

    def show_space(
        self, space: Space | None, tints: Float[np.ndarray, "point 4"] | None = None
    ) -> None:
        """Draw it at once."""
        if not same_points(self.drawing, space):
            self.keys.drop()
        self.drawing = space
        self.view.show_space(space, tints)
        self.view.point_to(self.keys.row)

    def ring(self, rows: Int[np.ndarray, " some"], said: str) -> None:
        """Ring these points; keys begin there."""
        self.view.highlight(rows)
        self.keys.begin = int(rows[0]) if len(rows) else None
        self._tell(self._told[0], said)

    def tell_point(self, point: int, said: str) -> None:
        """Say what a point is, if keys point at it."""
        if self.keys.row is None:
            self._tell("", self._told[1])
        elif point == self.keys.row:
            where = ("out of view",) if self.keys.hidden() else ()
            self._tell(" · ".join((*said.split("\n"), *where)), self._told[1])

    def _tell(self, pointed: str, shown: str) -> None:
        self._told = pointed, shown
        tell(self.view.surface(), "; ".join(part for part in self._told if part))

    def mark_active(self, *, on: bool) -> None:
        """Show that this is the view which player and export are about."""
        line = f"QComboBox#space_site {{ border-color: {colours.ACCENT}; }}" if on else ""
        self.site.setStyleSheet(line)

    def fit_head(self) -> None:
        """Keep the choice in its corner, as wide as the name of the site."""
        text = self.site.currentText()
        wanted = self.site.fontMetrics().horizontalAdvance(text) + _AROUND_NAME
        for button in (self.compute, self.close_button):
            if not button.isHidden():
                wanted += button.sizeHint().width() + 4
        self.head.setGeometry(
            2, 2, min(wanted, max(self.width() - 8, 60)), self.head.sizeHint().height()
        )
        self.view.leave_free(self.head.geometry())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """The choice keeps its corner."""
        self.fit_head()
        super().resizeEvent(event)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """A press anywhere in the drawing makes this the view that is worked in."""
        if isinstance(event, QMouseEvent) and event.type() == QEvent.Type.MouseButtonPress:
            self.used.emit(self)
        elif event.type() == QEvent.Type.MouseButtonDblClick:
            self.opened.emit(self)
        elif event.type() == QEvent.Type.Leave:
            self.left.emit()
        return False
