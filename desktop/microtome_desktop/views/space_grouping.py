"""From points that were caught to a group with a name; and the list of the groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QObject, QPoint

from microtome.records.marks import PointGroup
from microtome_desktop import palette
from microtome_desktop.presenters.point_groups import (
    LARGEST,
    Pick,
    free_name,
    points_at,
)
from microtome_desktop.presenters.space_colours import rgba
from microtome_desktop.state.edit_places import point_place
from microtome_desktop.views.edit_menu import offer_edits
from microtome_desktop.views.inline_field import InlineField
from microtome_desktop.views.panel import PanelContext
from microtome_desktop.views.space_groups import GroupActs, GroupList, GroupMenu
from microtome_desktop.views.space_pane import SpacePane

if TYPE_CHECKING:
    from microtome_desktop.views.feature_space_panel import FeatureSpacePanel


class Grouping(QObject):
    """Gives caught points a name and the list its life."""

    def __init__(self, context: PanelContext, panel: FeatureSpacePanel) -> None:
        super().__init__(panel)
        self._context, self._panel = context, panel
        self.acts = GroupActs(context.book)
        self.list = GroupList()
        self.naming = InlineField(panel)
        self._shown: tuple[PointGroup, ...] = ()
        self._ringed = ""
        self.list.chosen.connect(self._on_chosen)
        self.list.renamed_asked.connect(self.ask_name)
        self.list.deleted_asked.connect(self.acts.delete)
        self.list.menu_asked.connect(self._on_menu)
        panel.grid.menu_asked.connect(self._on_point_menu)

    def _on_point_menu(self, pane: SpacePane, point: int, at: QPoint) -> None:
        """What can be done to the site at a token of the run, or everywhere."""
        session, drawing = self._context.workspace.session, pane.drawing
        if session is None or drawing is None or pane.name is None or point >= len(drawing.points):
            return
        if drawing.images:
            self._panel.images.offer(pane, point, at)
            return
        own = int(drawing.prompts[point]) < 0
        position = int(drawing.positions[point]) if own else None
        place = point_place(session, pane.name, position)
        offer_edits(self._context, () if place is None else (place,), at, self._panel)

    @property
    def ringed(self) -> PointGroup | None:
        """The group whose points are ringed."""
        return self.acts.find(self._ringed)

    def ring(self, name: str) -> None:
        """Ring the points of a group, or of none."""
        if name != self._ringed:
            self._ringed = name
            self.list.show_groups(self._shown, name)

    def show(self) -> None:
        """Draw the groups as they are now."""
        groups = self.acts.groups
        if groups is self._shown:
            return
        self._shown = groups
        self.list.show_groups(groups, self._ringed)
        self._colour()

    def on_caught(self, pane: SpacePane, rows: np.ndarray, pick: Pick) -> None:
        """Points were caught in a view: a new group, or a change of the chosen one."""
        drawing = pane.drawing
        if drawing is None:
            return
        points = points_at(drawing, rows) if len(rows) <= 10 * LARGEST else ()
        if not points or len(points) > LARGEST:
            few, many = "No point lies in it.", f"A group holds {LARGEST:,} points at most."
            pane.caption.setText(few if not len(rows) else many)
            return
        if pick is not Pick.NEW and self.acts.change(points, pick):
            return
        if pick is Pick.REMOVE:
            pane.caption.setText("Choose a group beside the view to take points from it.")
            return
        tints = self._panel.tints(drawing).copy()
        tints[rows] = rgba(palette.TEXT)
        pane.view.colour(tints)  # seen while the group has no name and no colour yet
        first, of = free_name(self.acts.groups), drawing.of
        self.naming.ask(
            "Name of the group", first, self._under(pane),
            lambda name: self.acts.create(name or first, points, of),
        )  # fmt: skip
        self.naming.dropped = self._colour

    def ask_name(self, name: str) -> None:
        """Ask for another name of a group."""
        place = self.list.mapTo(self._panel, self.list.place_of(name))
        self.naming.ask("Name of the group", name, place, lambda new: self.acts.rename(name, new))

    def _under(self, pane: SpacePane) -> QPoint:
        surface = pane.view.surface()
        return surface.mapTo(self._panel, surface.rect().center())

    def _on_chosen(self, name: str) -> None:
        chosen = "" if name == self._ringed else name
        self.acts.current = chosen or self.acts.current
        self.ring(chosen)
        self.list.show_groups(self._shown, chosen)
        for pane in self._panel.panes:
            self._panel.highlight(pane)

    def _on_menu(self, name: str, place: QPoint) -> None:
        group = self.acts.find(name)
        if group is not None:
            GroupMenu(self.acts, group, self.ask_name, self._panel).popup(place)

    def _colour(self) -> None:
        for pane in self._panel.panes:
            if pane.drawing is not None:
                pane.view.colour(self._panel.tints(pane.drawing))
                self._panel.highlight(pane)
