"""Where a feature is on in the run on screen, asked of the model once for all features."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget

from microtome.records.run_codes import RunCodes
from microtome_desktop.jobs.feature_requests import EncodeRun, run_key
from microtome_desktop.presenters.feature_sources import FeatureSource
from microtome_desktop.presenters.tokens import shown_token
from microtome_desktop.views.feature_card import FeatureCardView
from microtome_desktop.views.feature_nodes import FeatureNodes
from microtome_desktop.views.feature_sharing import FeatureSharing
from microtome_desktop.views.panel import PanelContext


class FeatureRun:
    """Fills the part of a card that is about the run; asks only while the panel is seen."""

    def __init__(self, panel: QWidget, context: PanelContext, view: FeatureCardView) -> None:
        self._panel, self._context, self._view = panel, context, view
        self.sharing, self.nodes = FeatureSharing(context), FeatureNodes(context)
        view.column.insertWidget(view.below_run, self.sharing)
        view.column.insertWidget(view.below_run, self.nodes)

    def show(self, source: FeatureSource | None, feature: int | None) -> None:
        """Show where a feature is on, now or once it is known."""
        self.sharing.show_for(source, feature)
        self.nodes.show_for(source, feature)
        session, prepared = self._context.workspace.session, self._context.workspace.prepared
        run = None if session is None else session.clean
        if source is None or feature is None or run is None:
            return
        key = run_key(source.fingerprint, run)
        codes = prepared.get(key)
        tokens = [shown_token(token) for token in run.tokens]
        if isinstance(codes, RunCodes):
            self._view.show_run(tokens, codes.of(feature), "")
            self._view.chips.select(self._context.selection.current.position)
            return
        note = self._why_not(source)
        self._view.show_run(tokens, None, note or "…")
        if not note and self._panel.isVisible() and prepared.wants(key):
            self._context.ask(EncodeRun(source.fingerprint, run))

    def _why_not(self, source: FeatureSource) -> str:
        if self._context.workspace.offline:
            return "Needs the session's model: attach it."
        if not self._context.dictionaries.holds(source.fingerprint):
            return "Open the dictionary again to see where it is on in the prompt."
        return ""
