"""On the card of a feature: its nodes in the graph of features on screen, as links."""

from __future__ import annotations

from html import escape

from PySide6.QtWidgets import QLabel, QVBoxLayout, QWidget

from microtome_desktop import palette as colours
from microtome_desktop.commands.command import CommandId
from microtome_desktop.presenters.circuit import selection_of
from microtome_desktop.presenters.feature_nodes import node_links
from microtome_desktop.presenters.feature_sources import FeatureSource
from microtome_desktop.views.feature_card import LINKS, heading
from microtome_desktop.views.fonts import mono_font
from microtome_desktop.views.markup import take_markup
from microtome_desktop.views.panel import PanelContext

_SHOWN = 12


class FeatureNodes(QWidget):
    """Nothing for a feature that the graph does not have."""

    def __init__(self, context: PanelContext) -> None:
        super().__init__()
        self._context = context
        self.links = QLabel()
        self.links.setObjectName("feature_nodes")
        self.links.setFont(mono_font(11))
        self.links.setWordWrap(True)
        take_markup(self.links)
        self.links.setTextInteractionFlags(LINKS)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(heading("In the graph"))
        column.addWidget(self.links)
        self.links.linkActivated.connect(self._on_link)

    def show_for(self, source: FeatureSource | None, feature: int | None) -> None:
        """Show where the graph has it."""
        known = None if source is None or feature is None else (source.fingerprint, feature)
        found = node_links(self._context.workspace.session, known)
        self.setVisible(bool(found))
        style = f"color:{colours.ACCENT}; text-decoration:none"
        self.links.setText(" &nbsp; ".join(
            f'<a href="{row}" style="{style}">{escape(text)}</a>' for row, text in found[:_SHOWN]
        ))  # fmt: skip

    def _on_link(self, target: str) -> None:
        session = self._context.workspace.session
        if session is not None and session.circuit is not None:
            self._context.selection.update(**selection_of(session.circuit, int(target)), edge=None)
            self._context.do(CommandId.FEATURE_NODE)
