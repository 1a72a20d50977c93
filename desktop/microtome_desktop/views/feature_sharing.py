"""On a card: the features that share a neuron, or the neurons that share a feature."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

import microtome_resources as resources
from microtome.records.analysis import Analysis
from microtome.records.neuron_prints import layer_of_neurons
from microtome_desktop import palette as colours
from microtome_desktop.jobs.request import Request
from microtome_desktop.jobs.sharing_request import FindNeurons, FindSharing
from microtome_desktop.presenters.feature_sharing import (
    SHOWN,
    Coder,
    Sharer,
    coders,
    sharers,
    sharing_of,
)
from microtome_desktop.presenters.feature_sources import FeatureSource
from microtome_desktop.state.features import index_with
from microtome_desktop.views.choice import Choice
from microtome_desktop.views.feature_card import heading
from microtome_desktop.views.fonts import mono_font, text_font
from microtome_desktop.views.panel import PanelContext

_MOST = 100_000  # tokens that are read


class FeatureSharing(QWidget):
    """A button, and then a line for each, which leads to its card."""

    led = Signal(str)  # to the card of which line

    def __init__(self, context: PanelContext) -> None:
        super().__init__()
        self._context = context
        self._fingerprint, self._feature = "", 0
        self._found: tuple[Sharer, ...] = ()
        self.title = heading("")
        self.lines = tuple(_line() for _ in range(SHOWN))
        self.seek = QPushButton("Find them")
        self.seek.setObjectName("feature_sharing")
        self.coder = Choice()
        self.coder.setObjectName("feature_sharing_dictionary")
        self.coder.setAccessibleName("dictionary whose features may share the neuron")
        self.told = QLabel()
        self.told.setObjectName("dim")
        self.told.setTextFormat(Qt.TextFormat.PlainText)
        self.told.setWordWrap(True)
        self.told.setFont(text_font(11))
        self._lay_out()
        self.seek.clicked.connect(self._on_find)
        for at, line in enumerate(self.lines):
            line.clicked.connect(partial(self._on_line, at))

    def _lay_out(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(1)
        column.addWidget(self.title)
        for line in self.lines:
            column.addWidget(line, 0, Qt.AlignmentFlag.AlignLeft)
        column.addWidget(self.told)
        row = QHBoxLayout()
        row.setContentsMargins(0, 3, 0, 0)
        row.setSpacing(6)
        row.addWidget(self.seek)
        row.addWidget(self.coder, 1)
        row.addStretch(1)
        column.addLayout(row)

    def show_for(self, source: FeatureSource | None, feature: int | None) -> None:
        """Show what is known of a neuron, or of a feature."""
        self.setVisible(source is not None and feature is not None)
        if source is None or feature is None:
            return
        self._fingerprint, self._feature = source.fingerprint, feature
        session, layer = self._context.workspace.session, layer_of_neurons(source.fingerprint)
        self.title.setText("Neurons that share it" if layer is None else "Features that share it")
        held = sharing_of(session, source.fingerprint, feature)
        found = () if held is None or session is None else sharers(session, held)
        self._found = found
        for at, line in enumerate(self.lines):
            line.setVisible(at < len(found))
            if at < len(found):
                _fill(line, found[at])
        self.told.setVisible(held is not None)
        self.told.setText("" if held is None else _told(held, layer))
        self._offer(layer)
        reason = self._why_not()
        self.seek.setText("Find them again" if held is not None else "Find them")
        self.seek.setEnabled(not reason)
        self.seek.setToolTip(reason or "Correlate their activities over the text of the index")

    def _offer(self, layer: int | None) -> None:
        """The dictionaries that a neuron can be compared with; what was chosen stays."""
        model = self._context.workspace.model
        usable = layer is not None and model is not None and not self._context.workspace.offline
        self.coder.setVisible(usable)
        if not usable or layer is None or model is None:
            return
        name = model.name.partition("@")[0]
        embedded = name in {each.partition("/")[0] for each in resources.dictionary_names()}
        built_in = resources.dictionary_names(name) if embedded else ()
        found = coders(self._context.dictionaries.held, built_in, layer)
        before = self.coder.currentText()
        with QSignalBlocker(self.coder):
            self.coder.clear()
            for one in found:
                self.coder.addItem(one.name, one)
            self.coder.setCurrentIndex(max(0, self.coder.findText(before)))

    def _why_not(self) -> str:
        context = self._context
        if context.workspace.offline:
            return "Needs the session's model: attach it."
        if layer_of_neurons(self._fingerprint) is not None:
            return "" if self.coder.count() else "Open a dictionary first."
        open_now = context.dictionaries.holds(self._fingerprint)
        return "" if open_now else "The dictionary is not open: open it again."

    def _asked(self) -> Request | None:
        session = self._context.workspace.session
        index = index_with(session, self._fingerprint)
        if index is None:
            return None
        text = str(index.params.get("text") or index.params.get("corpus"))
        tokens = min(_MOST, int(index.params.get("limit", _MOST)))
        layer, coder = layer_of_neurons(self._fingerprint), self.coder.currentData()
        if layer is None:
            return FindNeurons(self._fingerprint, self._feature, text, tokens)
        if not isinstance(coder, Coder):
            return None
        unread = index_with(session, coder.fingerprint) is None
        return FindSharing(
            layer, self._feature, coder.fingerprint, coder.name, text, tokens, unread
        )

    def _on_find(self) -> None:
        asked = self._asked()
        if asked is not None:
            self._context.ask(asked)

    def _on_line(self, at: int, _checked: bool = False) -> None:
        sharer = self._found[at]
        self._context.selection.update(feature=(sharer.dictionary, sharer.feature))
        self.led.emit(f"sharer {sharer.feature}")

    @property
    def buttons(self) -> dict[str, QPushButton]:
        """What a lesson can point at."""
        lines = zip(self._found, self.lines, strict=False)
        return {"find sharing": self.seek} | {f"sharer {s.feature}": line for s, line in lines}


def _line() -> QPushButton:
    made = QPushButton()
    made.setObjectName("feature_sharer")
    made.setFlat(True)
    made.setFont(mono_font(11))
    made.setCursor(Qt.CursorShape.PointingHandCursor)
    made.setStyleSheet(
        f"QPushButton {{ color: {colours.ACCENT}; background: transparent; border: none;"
        f" padding: 1px 0; text-align: left; }} QPushButton:hover {{ color: {colours.TEXT}; }}"
    )
    return made


def _fill(line: QPushButton, one: Sharer) -> None:
    number = f"{one.correlation:.2f}".replace("-", "\N{MINUS SIGN}")
    line.setText(f"{number}  {one.title}".replace("&", "&&"))
    line.setToolTip(f"Correlation {number}; {one.share:.0%} of the activity falls together")


def _told(held: Analysis, layer: int | None) -> str:
    of = str(held.params.get("dictionary", "a dictionary"))
    positions = int(held.params.get("positions", 0))
    what = "neurons" if layer is None else f"features of {of}"
    return f"{what}, by correlation over {positions:,} positions"
