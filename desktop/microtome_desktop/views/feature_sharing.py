"""On the card of a neuron: the features of an open dictionary that share it."""

from __future__ import annotations

from html import escape

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QPushButton, QVBoxLayout, QWidget

from microtome.records.analysis import Analysis
from microtome.records.shared_features import SHARED_FEATURES, shared_of
from microtome_desktop import palette as colours
from microtome_desktop.jobs.sharing_request import FindSharing
from microtome_desktop.presenters.feature_sources import FeatureSource
from microtome_desktop.state.dictionaries import layer_of_neurons
from microtome_desktop.state.features import index_with, labels_in
from microtome_desktop.views.feature_card import LINKS, heading
from microtome_desktop.views.fonts import mono_font
from microtome_desktop.views.panel import PanelContext

_SHOWN = 10


class FeatureSharing(QWidget):
    """Nothing for a feature; for a neuron a button, and then links with correlations."""

    def __init__(self, context: PanelContext) -> None:
        super().__init__()
        self._context = context
        self._neuron = (0, 0)
        self.title = heading("Features that share it")
        self.seek = QPushButton("Find them")
        self.seek.setObjectName("feature_sharing")
        self.links = QLabel()
        self.links.setFont(mono_font(11))
        self.links.setWordWrap(True)
        self.links.setTextFormat(Qt.TextFormat.RichText)
        self.links.setTextInteractionFlags(LINKS)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.title)
        column.addWidget(self.links)
        column.addWidget(self.seek, 0, Qt.AlignmentFlag.AlignLeft)
        self.seek.clicked.connect(self._on_find)
        self.links.linkActivated.connect(self._on_link)

    def show_for(self, source: FeatureSource | None, feature: int | None) -> None:
        """Show what is known of a neuron."""
        layer = None if source is None else layer_of_neurons(source.fingerprint)
        self.setVisible(layer is not None and feature is not None)
        if layer is None or feature is None:
            return
        self._neuron = (layer, feature)
        held, reason = self._held(), self._why_not()
        self.links.setVisible(held is not None)
        if held is not None:
            self.links.setText(self._text(held))
        self.seek.setText("Find them again" if held is not None else "Find them")
        self.seek.setEnabled(not reason)
        tip = "Correlate it with every feature of the dictionary that was opened last"
        self.seek.setToolTip(reason or tip)

    def _held(self) -> Analysis | None:
        session = self._context.workspace.session
        layer, neuron = self._neuron
        held = () if session is None else session.analyses.values()
        return next(
            (
                one for one in held
                if one.kind == SHARED_FEATURES
                and (one.params.get("layer"), one.params.get("neuron")) == (layer, neuron)
            ),
            None,
        )  # fmt: skip

    def _why_not(self) -> str:
        if self._context.workspace.offline:
            return "Needs the session's model: attach it."
        return "" if self._context.dictionaries.held else "Open a dictionary first."

    def _text(self, held: Analysis) -> str:
        shared, print_ = shared_of(held), str(held.params.get("fingerprint", ""))
        labels = labels_in(self._context.workspace.session, print_)
        style = f"color:{colours.ACCENT}; text-decoration:none"
        parts = []
        for feature in shared.strongest(_SHOWN):
            told = f"{feature} {escape(labels.get(feature, ''))}".strip()
            value = f"{shared.correlation[feature]:.2f}".replace("-", "\N{MINUS SIGN}")
            dim = f'<span style="color:{colours.TEXT_DIM}">{value}</span>'
            parts.append(f'<a href="{print_}/{feature}" style="{style}">{told}</a>&nbsp;{dim}')
        of = escape(str(held.params.get("dictionary", "a dictionary")))
        return f"{' &nbsp; '.join(parts)}<br>of {of}, by correlation"

    def _on_find(self) -> None:
        layer, neuron = self._neuron
        session, opened = self._context.workspace.session, self._context.dictionaries.held
        index = index_with(session, f"neurons.{layer}")
        if index is None or not opened:
            return
        text = str(index.params.get("text") or index.params.get("corpus"))
        tokens = min(100_000, int(index.params.get("limit", 100_000)))
        self._context.ask(FindSharing(layer, neuron, opened[-1].fingerprint, text, tokens))

    def _on_link(self, target: str) -> None:
        print_, _, feature = target.rpartition("/")
        self._context.selection.update(feature=(print_, int(feature)))
