"""The feature space: the PCA of sites over a prompt set, to orbit, to pick from and to group."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QToolTip, QVBoxLayout, QWidget

from microtome.records.point_activity import POINT_ACTIVITY
from microtome_desktop.jobs.space_requests import Prepare
from microtome_desktop.presenters import exports
from microtome_desktop.presenters.coverage import why_not
from microtome_desktop.presenters.feature_python import directions_of
from microtome_desktop.presenters.point_groups import rows_in, tinted
from microtome_desktop.presenters.space import (
    Space,
    projection_of,
    projections,
)
from microtome_desktop.presenters.space_layers import (
    Drawings,
    empty_text,
    offered_sites,
    site_beside,
)
from microtome_desktop.presenters.space_python import drawn_lines
from microtome_desktop.presenters.space_selected import selected_by, selected_rows, spoken
from microtome_desktop.state.exports import Table
from microtome_desktop.state.selection import Selected
from microtome_desktop.views.choice import Choice
from microtome_desktop.views.hover_tip import tip_lines
from microtome_desktop.views.markup import take_markup
from microtome_desktop.views.opengl import opengl_problem
from microtome_desktop.views.panel import Panel, PanelContext
from microtome_desktop.views.space_bar import SpaceBar
from microtome_desktop.views.space_colouring import SpaceColouring
from microtome_desktop.views.space_features import FeaturePoints
from microtome_desktop.views.space_flat import FlatSpace
from microtome_desktop.views.space_grid import MOST_VIEWS, PaneGrid
from microtome_desktop.views.space_grouping import Grouping
from microtome_desktop.views.space_images import ImagePoints
from microtome_desktop.views.space_kept import kept_of, restore
from microtome_desktop.views.space_pane import SpacePane, projecting_tip
from microtome_desktop.views.space_picking import Tool
from microtome_desktop.views.space_view import SpaceView
from microtome_desktop.views.space_walk import LayerWalk

_PATIENCE_MS = 400  # how long the last points stay while a run computes the next
_LEGEND_WIDTH = 150
_FIRST = "Press Project first."


class FeatureSpacePanel(Panel):
    """Shows where tokens lie in a site's space; a click selects the token or the prompt."""

    name = "feature_space"
    title = "Feature space"
    icon = "mdi6.scatter-plot-outline"

    def __init__(self, context: PanelContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self._emptying = QTimer(self, singleShot=True, interval=_PATIENCE_MS)
        self._emptying.timeout.connect(self._show_empty)
        self.drawings = Drawings(
            context.workspace.prepared, lambda key, make: context.ask(Prepare(key, make))
        )
        self.bar = SpaceBar()
        self.grid = PaneGrid(self._make_view)
        self.legend = take_markup(QLabel())
        self.legend.setObjectName("legend")
        self.legend.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.legend.setMinimumHeight(40)  # what does not fit is cut off below
        self.grouping = Grouping(context, self)
        self.walk = LayerWalk(context, self)
        self.features = FeaturePoints(context, self)
        self.images = ImagePoints(context, self)
        self.colouring = SpaceColouring(context, self)
        self._lay_out()
        self._connect()
        self.show_session()

    def _lay_out(self) -> None:
        beside = QVBoxLayout()
        beside.addWidget(self.grouping.list)
        beside.addWidget(self.legend, 1)
        self._beside = QWidget()
        self._beside.setMaximumWidth(_LEGEND_WIDTH)
        beside.setContentsMargins(0, 0, 0, 0)
        self._beside.setLayout(beside)
        middle = QHBoxLayout()
        middle.addWidget(self.grid, 1)
        middle.addWidget(self._beside)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(10, 2, 6, 6)
        layout.setSpacing(2)
        layout.addWidget(self.bar)
        layout.addLayout(middle, 1)

    def _connect(self) -> None:
        bar, grid = self.bar, self.grid
        bar.colour_by.activated.connect(self.colouring.on_chosen)
        bar.tool_chosen.connect(grid.use_tool)
        bar.beside_asked.connect(self.add_view)
        bar.linked.toggled.connect(self._on_linked)
        grid.tool_changed.connect(bar.show_tool)
        grid.counted.connect(bar.show_views)
        grid.active_changed.connect(self.walk.show)
        grid.site_chosen.connect(self._on_site)
        grid.project_asked.connect(self._on_project)
        grid.hovered.connect(self._on_hover)
        grid.clicked.connect(self._on_click)
        grid.caught.connect(self.grouping.on_caught)
        self.context.workspace.prepared.arrived.connect(self._on_prepared)

    # ------------------------------------------------------------ views

    @property
    def panes(self) -> list[SpacePane]:
        """All views, in the order they were added."""
        return self.grid.panes

    @property
    def active(self) -> SpacePane:
        """The view that is worked in."""
        return self.grid.active

    @property
    def view(self) -> SpaceView:
        """The drawing that is worked in."""
        return self.active.view

    @property
    def drawing(self) -> Space | None:
        """The points that are worked with."""
        return self.active.drawing

    @property
    def site(self) -> Choice:
        """The choice of the site that is worked with."""
        return self.active.site

    @property
    def compute(self) -> QPushButton:
        """What projects the chosen site."""
        return self.active.compute

    @property
    def caption(self) -> QLabel:
        """What is said below the drawing."""
        return self.active.caption

    @property
    def colour_by(self) -> Choice:
        """The choice of colouring, common to all views."""
        return self.bar.colour_by

    def _make_view(self) -> SpaceView:
        if opengl_problem():
            return FlatSpace()
        # Imported here: vispy takes a third of a second that a machine without OpenGL saves.
        from microtome_desktop.views.space_solid import SolidSpace

        return SolidSpace()

    def add_view(self) -> None:
        """Show one more site, beside those that are shown."""
        if len(self.panes) < MOST_VIEWS:
            pane = self.grid.add()
            self.offer(pane)
            shown = [each.name for each in self.panes if each is not pane]
            pane.choose(site_beside(self.context.workspace.session, shown))
            self.show_model()
            self.draw(pane)

    def switch_tool(self, name: str) -> None:
        """Take a tool, or lay it down when it is in use."""
        tool = Tool(name)
        self.grid.use_tool(Tool.TURN if self.grid.tool is tool else tool)
        self.view.surface().setFocus()  # so that Esc ends it

    # ------------------------------------------------------------ the mouse

    def _on_site(self, pane: SpacePane) -> None:
        self.grid.work_in(pane)
        pane.aligned = False
        self.walk.stop()
        self.draw(pane)

    def _on_project(self, pane: SpacePane) -> None:
        self.grid.work_in(pane)
        if pane.name is not None:
            self.context.ask(self.images.projecting(pane.name))

    def _on_hover(self, pane: SpacePane, point: int) -> None:
        self.features.hover(pane.drawing, point)
        told = self.images.hover(pane, point)
        if pane.drawing is None or pane.drawing.images or not 0 <= point < len(pane.drawing.points):
            QToolTip.hideText()
        else:
            of_feature = bool(pane.drawing.features)
            told = self.features.told(pane, point) if of_feature else pane.drawing.describe(point)
            QToolTip.showText(pane.keys.place_of(point), tip_lines(told), self)
        pane.tell_point(point, told)

    def _on_click(self, pane: SpacePane, point: int) -> None:
        self.grouping.ring("")
        self.context.selection.update(**selected_by(pane.drawing, point))

    def look_at(self, site: str) -> None:
        """Show a projection that is there in the view that is worked in."""
        self.active.choose(site)
        self._on_site(self.active)

    def _on_linked(self, on: bool) -> None:
        self.grid.linked = on

    # ------------------------------------------------------------ what a session keeps

    def view_state(self) -> dict[str, Any]:
        """The chosen sites and colouring."""
        return kept_of(self)

    def restore_view(self, held: dict[str, Any]) -> None:
        """Choose what a session was saved with, where it is offered."""
        restore(self, held)

    def exported_table(self) -> Callable[[], Table] | str:
        """The points with their labels."""
        session, site = self.context.workspace.session, self.site.currentData()
        if session is None or self.drawing is None:
            return exports.NO_RUN if session is None else _FIRST
        return partial(exports.space_table, session, site)

    def exported_lines(self) -> tuple[str, ...] | str:
        """The projection."""
        session, site = self.context.workspace.session, self.site.currentData()
        if session is None or self.drawing is None:
            return exports.NO_RUN if session is None else _FIRST
        return drawn_lines(session, site, self.drawing)

    # ------------------------------------------------------------ state → screen

    def show_session(self) -> None:
        """Offer the sites and draw the chosen projections."""
        self.restore_once()
        self.walk.stop()
        for pane in self.panes:
            pane.aligned = False
            self.offer(pane)
        self.show_model()
        self.grouping.show()
        self.draw_all()

    def offer(self, pane: SpacePane) -> None:
        """Offer the sites that there are now."""
        session = self.context.workspace.session
        held = [str(a.params.get("site", "")) for a in projections(session)]
        # The first view shows what there is; the others wait for their sites.
        keeps = pane is not self.panes[0] or pane.name in held
        first = min(held, default=None)
        pane.offer(offered_sites(session, self.images.layers), first, keep=keeps)

    def show_part(self, part: str) -> None:
        """Show a projection that has arrived, or groups that have changed."""
        if part == "marks":
            self.grouping.show()
        if part.startswith(f"analyses/{POINT_ACTIVITY}/"):
            self.colouring.recolour()
        if not part.startswith("analyses/projection/"):
            return
        site = part.removeprefix("analyses/projection/")
        entries = offered_sites(self.context.workspace.session, self.images.layers)
        for pane in self.panes:
            empty = pane.name is None
            pane.offer(entries, site, keep=True)
            if empty or pane.name == site or pane.aligned:
                self.draw(pane)
        if directions_of(self.context.workspace.session, site):  # asked for to be looked at
            self.look_at(site)
        self.walk.show()

    def show_model(self) -> None:
        """Allow new projections only with the session's model."""
        offline = self.context.workspace.offline
        reason = "Needs the model: attach it to project other sites."
        for pane in self.panes:
            pane.compute.setEnabled(not offline)
            pane.compute.setToolTip(reason if offline else projecting_tip(self.context, pane.name))
        self.walk.show()
        self.images.show()

    def show_selection(self, selected: Selected, changed: frozenset[str]) -> None:
        """Ring what is selected: tokens, or a feature, and colour what is on at a token."""
        self.features.follow(selected, changed)
        self.colouring.follow(changed)
        if changed & {"position", "prompt", "feature"}:
            self.grouping.ring("")
        if changed & {"position", "prompt", "feature", "hovered_feature"}:
            for pane in self.panes:
                self.highlight(pane)

    def _on_prepared(self, key: object) -> None:
        self.context.later((self, "prepared"), self.draw_all)

    def draw_all(self) -> None:
        """Draw every view."""
        for pane in self.panes:
            self.draw(pane)

    def draw(self, pane: SpacePane) -> None:
        session, site = self.context.workspace.session, pane.name
        found = projection_of(session, site)
        pane.compute.setVisible(found is None and site is not None)
        pane.fit_head()
        if session is None or site is None or found is None:
            self._draw_nothing(pane)
            return
        target = self.colouring.target(pane)
        if target is None:
            if pane.drawing is None:
                pane.caption.setText(f"{site} is being read…")
            return
        self._emptying.stop()
        if not self.walk.moved(pane, target):
            pane.show_space(target, self.tints(target))
        if pane is self.active:
            self.colouring.show_legend(target)
        self.highlight(pane)
        self.walk.show()

    def _draw_nothing(self, pane: SpacePane) -> None:
        if pane is not self.panes[0] or pane.drawing is None or self.context.workspace.session:
            self._say_why_empty(pane)
        if pane.drawing is not None:
            self.walk.forget(pane)
            pane.drawing = None
            self._emptying.start()  # in a run the next one comes at once

    def _show_empty(self) -> None:
        for pane in self.panes:
            if pane.drawing is None:
                pane.view.show_space(None)
                self._say_why_empty(pane)
        if all(pane.drawing is None for pane in self.panes):
            self.legend.setText("")

    def _say_why_empty(self, pane: SpacePane) -> None:
        waits = self.walk.waits_for(pane.name)
        lacking = "" if pane.name else why_not(self.context.workspace.session, "stream")
        pane.caption.setText(lacking or empty_text(pane.name, waits=waits))

    def tints(self, drawing: Space) -> np.ndarray:
        """The colours of a drawing with the groups in it."""
        return tinted(drawing, self.context.book.marks.point_groups)

    def highlight(self, pane: SpacePane) -> None:
        """Ring what is selected: a group, or the tokens."""
        drawing, selected = pane.drawing, self.context.selection.current
        if drawing is None:
            return
        group = self.grouping.ringed
        rows = selected_rows(drawing, selected) if group is None else rows_in(drawing, group)
        rows = np.concatenate([rows, self.features.rings(drawing)])
        pane.ring(rows, spoken(drawing, rows))
        parts = (drawing.caption, pane.view.drawn_note(), _flat_reason())
        pane.caption.setText(" · ".join(part for part in parts if part))


def _flat_reason() -> str:
    problem = opengl_problem()
    return f"flat, because {problem}" if problem else ""
