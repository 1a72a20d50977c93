"""Directions of features in the feature space: their layouts, colours and links to other panels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int
from PySide6.QtCore import QObject

from microtome.analysis.umap_installed import GET_UMAP, NO_UMAP, has_umap
from microtome.records.run_codes import RunCodes
from microtome_desktop.jobs.direction_request import PlaceByUmap, ProjectDirections
from microtome_desktop.presenters.space import Space, projection_of
from microtome_desktop.presenters.space_selected import (
    UMAP,
    active_at,
    directions_in,
    feature_row,
    feature_told,
    tokens_on,
)
from microtome_desktop.state.features import labels_in
from microtome_desktop.state.selection import Selected
from microtome_desktop.views.panel import PanelContext
from microtome_desktop.views.run_codes import run_codes
from microtome_desktop.views.space_pane import SpacePane

if TYPE_CHECKING:
    from microtome_desktop.views.feature_space_panel import FeatureSpacePanel

METHODS = ("pca", UMAP)
_TITLES = {"pca": "PCA", UMAP: "UMAP"}
_TIPS = {
    "pca": "Place features along the principal components of their directions",
    UMAP: "Place features so that near directions stay near; how far apart others are says little",
}


class FeaturePoints(QObject):
    """What the panel does besides where its points are features and not tokens."""

    def __init__(self, context: PanelContext, panel: FeatureSpacePanel) -> None:
        super().__init__(panel)
        self._context, self._panel = context, panel
        self._told: tuple[Space | None, int, str] = (None, -1, "")
        self._mine: tuple[str, int] | None = None  # hovered here
        panel.bar.layout_asked.connect(self._on_layout)

    def show(self, drawing: Space | None) -> None:
        """Offer the layouts of what is drawn; none for tokens."""
        features = "" if drawing is None else drawing.features
        reasons = {method: self._why_not(features, method) for method in METHODS}
        found = projection_of(self._context.workspace.session, self._panel.active.name)
        method = "pca" if found is None else str(found.params.get("method", "pca"))
        rows = [(m, _TITLES[m], reasons[m] or _TIPS[m], not reasons[m]) for m in METHODS]
        self._panel.bar.offer_layouts(rows if features else [], method)

    def _why_not(self, fingerprint: str, method: str) -> str:
        workspace = self._context.workspace
        if directions_in(workspace.session, fingerprint, method) is not None:
            return ""
        if method == UMAP and not has_umap():
            return f"{NO_UMAP} {GET_UMAP}"
        if workspace.offline:
            return "Needs the model: attach it."
        if not self._context.dictionaries.holds(fingerprint):
            return "The dictionary is not open: open it again."
        return ""

    def _on_layout(self, method: str) -> None:
        """Show the other layout, once it is computed where it is not."""
        drawing, session = self._panel.drawing, self._context.workspace.session
        if drawing is None or not drawing.features:
            return
        found = directions_in(session, drawing.features, method)
        if found is not None:
            self._panel.look_at(str(found.params["site"]))
            return
        now = projection_of(session, self._panel.active.name)
        named = "" if now is None else str(now.params.get("dictionary", ""))
        kind = PlaceByUmap if method == UMAP else ProjectDirections
        self._context.ask(kind(drawing.features, named))
        self.show(drawing)  # the choice says what is drawn, until the other is there

    # colours

    def coloured(self, drawing: Space) -> Space:
        """The drawing with what is on at the token under the pointer, or at the selected one."""
        selected = self._context.selection.current
        hovered = selected.hovered_position
        position = selected.position if hovered is None else hovered
        return active_at(drawing, self._codes(drawing), self._tokens, position)

    def _codes(self, drawing: Space, *, ask: bool = True) -> RunCodes | None:
        return run_codes(self._context, drawing.features, ask=ask)

    @property
    def _tokens(self) -> tuple[str, ...]:
        session = self._context.workspace.session
        run = None if session is None else session.clean
        return () if run is None else tuple(run.tokens)

    # the pointer

    def told(self, pane: SpacePane, point: int) -> str:
        """What the tip says of a feature."""
        drawing, session = pane.drawing, self._context.workspace.session
        if drawing is None:
            return ""
        if self._told[0] is not drawing or self._told[1] != point:
            number = int(drawing.positions[point])
            label = labels_in(session, drawing.features).get(number, "")
            here = tokens_on(self._codes(drawing, ask=False), self._tokens, number)
            found = projection_of(session, pane.name)
            self._told = drawing, point, feature_told(drawing, point, found, label, here)
        return self._told[2]

    def hover(self, drawing: Space | None, point: int) -> None:
        """Let table, tokens and graph show which feature the pointer is on."""
        found = None
        if drawing is not None and drawing.features and 0 <= point < len(drawing.positions):
            found = drawing.features, int(drawing.positions[point])
        if found is not None or self._mine is not None:
            self._mine = found
            self._context.selection.update(hovered_feature=found)

    def rings(self, drawing: Space) -> Int[np.ndarray, " some"]:
        """The feature that the pointer is on in another panel."""
        hovered = self._context.selection.current.hovered_feature
        rows = [] if hovered == self._mine else feature_row(drawing, hovered)
        return np.array(rows, np.int64)

    def follow(self, selected: Selected, changed: frozenset[str]) -> None:
        """Show the selected feature's dictionary where another one's is shown."""
        panel, drawing = self._panel, self._panel.drawing
        if drawing is None or not drawing.features:
            return
        feature = selected.feature
        if "feature" in changed and feature is not None and feature[0] != drawing.features:
            session = self._context.workspace.session
            ways = (directions_in(session, feature[0], method) for method in METHODS)
            found = next((way for way in ways if way is not None), None)
            if found is not None:
                panel.look_at(str(found.params["site"]))
