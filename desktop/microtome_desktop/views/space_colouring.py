"""What the colours of the feature space say: as chosen, and as the selection has it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QObject

from microtome.records.analysis import Analysis
from microtome.records.neuron_prints import layer_of_neurons
from microtome.records.point_activity import PointActivity, point_activity_of
from microtome.records.session import Session
from microtome_desktop.jobs.space_requests import Prepare, ReadPoints
from microtome_desktop.presenters.space import Space, known_colouring, legend_html, projection_of
from microtome_desktop.presenters.space_activity import (
    Asked,
    active_points,
    activity_in,
    asked_for,
    nothing_selected,
)
from microtome_desktop.presenters.space_colours import BY_ACTIVITY, ColourBy
from microtome_desktop.state.seeing import image_of
from microtome_desktop.views.panel import PanelContext
from microtome_desktop.views.space_pane import SpacePane

if TYPE_CHECKING:
    from microtome_desktop.views.feature_space_panel import FeatureSpacePanel

_COMING = "being read\N{HORIZONTAL ELLIPSIS}"
_HERE = frozenset({"position", "hovered_position"})
_UNIT = frozenset({"unit", "node", "others", "layer", "head", "neuron"})
_CHANGED_BY = {
    ColourBy.ACTIVE: _HERE, ColourBy.UNIT: _UNIT, ColourBy.FEATURE: frozenset({"feature"}),
}  # fmt: skip


class SpaceColouring(QObject):
    """Gives a view its drawing, coloured; ``by`` is what was chosen, ``asked`` the last unit."""

    def __init__(self, context: PanelContext, panel: FeatureSpacePanel) -> None:
        super().__init__(panel)
        self._context, self._panel = context, panel
        self.by: ColourBy | None = None
        self.asked: Asked | None = None

    def on_chosen(self, _row: int) -> None:
        """Colour all views by what was chosen."""
        self.by = known_colouring(self._panel.bar.colour_by.currentText())
        self._panel.draw_all()

    def target(self, pane: SpacePane) -> Space | None:
        """What is to be drawn in a view, None while a worker makes it or for nothing."""
        session, site, drawings = self._context.workspace.session, pane.name, self._panel.drawings
        found = projection_of(session, site)
        if session is None or site is None or found is None:
            return None
        if self.by is ColourBy.ACTIVE and found.params.get("features"):
            plain = drawings.of(found, None)
            return None if plain is None else self._panel.features.coloured(plain)
        if self.by is not None and self.by in BY_ACTIVITY and found.params.get("images"):
            plain = drawings.of(found, None)
            return None if plain is None else self._by_activity(session, found, plain, self.by)
        if pane.aligned:
            return drawings.in_layers(session, site, self.by)
        return drawings.of(found, self.by)

    def _by_activity(self, session: Session, space: Analysis, plain: Space, by: ColourBy) -> Space:
        selected, own = self._context.selection.current, image_of(session)
        asked = self.asked = asked_for(selected, by, self._panel.images.layers, self.asked)
        if asked is None:
            return active_points(plain, by, None, None, nothing_selected(by))
        found = activity_in(session, space, asked.reads, own)
        if found is not None:
            return active_points(plain, by, asked, self._held(found), _COMING)
        lacking = self._why_not(asked)
        request = ReadPoints(space, asked.reads, own)
        if not lacking and self._context.workspace.prepared.wants(request.key):
            self._context.ask(request)
        return active_points(plain, by, asked, None, lacking or _COMING)

    def _why_not(self, asked: Asked) -> str:
        """Why a unit or feature cannot be read, empty when it can."""
        if self._context.workspace.offline:
            return "not known here: attach the model"
        if asked.by is ColourBy.UNIT:
            return ""
        if not self._context.dictionaries.holds(asked.reads):
            return "the dictionary is not open"
        return "neurons are units: choose Unit" if layer_of_neurons(asked.reads) is not None else ""

    def _held(self, analysis: Analysis) -> PointActivity | None:
        """What was read, at once where it is in memory; None while a worker reads the file."""
        prepared, key = self._context.workspace.prepared, ("point activity", analysis)
        held = prepared.get(key)
        if isinstance(held, PointActivity):
            return held
        if all(isinstance(each.values, np.ndarray) for each in analysis.arrays.values()):
            made = point_activity_of(analysis)
            prepared.keep(key, made)
            return made
        if prepared.wants(key):
            self._context.ask(Prepare(key, partial(point_activity_of, analysis)))
        return None

    # what changes the colours alone

    def follow(self, changed: frozenset[str]) -> None:
        """Colour by the selection, where that is what the colours say."""
        if self.by is not None and changed & _CHANGED_BY.get(self.by, frozenset()):
            self.recolour()

    def recolour(self) -> None:
        """Colour anew what depends on the selection; the points stay where they are."""
        panel = self._panel
        for pane in panel.panes:
            drawn = pane.drawing
            target = self.target(pane) if drawn and (drawn.features or drawn.images) else None
            if target is not None:
                pane.drawing = target
                pane.view.colour(panel.tints(target))
                panel.highlight(pane)
                if pane is panel.active:
                    self.show_legend(target)

    def show_legend(self, drawing: Space) -> None:
        """Say what the colours are, and offer others."""
        panel, offered = self._panel, drawing.offered
        if drawing.features:
            offered = (*offered, ColourBy.ACTIVE)
        if drawing.images:
            offered = (*offered, *BY_ACTIVITY)
        panel.bar.offer_colourings([str(by) for by in offered], str(drawing.by))
        panel.features.show(drawing)
        panel.images.show()
        panel.legend.setText(legend_html(drawing))
