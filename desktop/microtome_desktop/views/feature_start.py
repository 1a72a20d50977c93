"""What the Features panel shows at first: dictionaries and texts, one click away."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import Qt
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

import microtome_resources as resources
from microtome_desktop import palette as colours
from microtome_desktop.commands.command import CommandId
from microtome_desktop.jobs.feature_requests import IndexFeatures, LookAtDictionaries
from microtome_desktop.jobs.feature_start_request import FIRST_TOKENS, OpenAndRead
from microtome_desktop.presenters.feature_sources import NO_INDEX, FeatureSource, file_line
from microtome_desktop.presenters.work import progress_text
from microtome_desktop.state.dictionaries import LookedAt
from microtome_desktop.state.work import Piece
from microtome_desktop.views.fonts import text_font
from microtome_desktop.views.panel import PanelContext

_ADVICE = (
    "A sparse dictionary takes what a layer holds apart into features, most of which mean one "
    "thing. Choose one: a text is read once, and you see them all."
)
_NO_SESSION = "Run a prompt first: features are kept with its session."
_WIDTH = 520  # pixels of an offer at most


class FeatureStart(QWidget):
    """Offers what is built in for the open model; shows how far the reading is."""

    def __init__(self, context: PanelContext) -> None:
        super().__init__()
        self._context = context
        self._source: FeatureSource | None = None
        self._asked = ""  # fingerprint of the model whose dictionaries were asked for
        self._why = ""
        self.headline, self.advice, self.told = QLabel(), QLabel(), QLabel()
        self.headline.setFont(text_font(16))
        self.advice.setFont(text_font(13))
        for label in (self.advice, self.told):
            label.setStyleSheet(f"color: {colours.TEXT_DIM};")
        self.offers: dict[str, QPushButton] = {}
        self.read, self.other = QPushButton(), QPushButton()
        self.read.setObjectName("feature_read")
        self.other.setObjectName("feature_other")
        self.progress = QProgressBar(textVisible=False, maximum=1000)
        self._lay_out()
        self.read.clicked.connect(self._on_read)
        self.other.clicked.connect(self._on_other)
        context.dictionaries.looked.connect(self._on_looked)

    def _lay_out(self) -> None:
        self.column = QVBoxLayout()
        self.column.setSpacing(6)
        self.column.addStretch(1)
        for label in (self.headline, self.advice, self.told):
            label.setTextFormat(Qt.TextFormat.PlainText)
            label.setAlignment(Qt.AlignmentFlag.AlignCenter)
            label.setWordWrap(True)
        self.column.addWidget(self.headline)
        self.column.addWidget(self.advice)
        self.list = QVBoxLayout()
        self.list.setSpacing(5)
        self.column.addLayout(self.list)
        self.column.addWidget(self.read)
        self.column.addWidget(self.progress)
        self.column.addWidget(self.told)
        self.column.addWidget(self.other, 0, Qt.AlignmentFlag.AlignCenter)
        self.column.addStretch(1)
        middle, inside = QWidget(), QWidget()
        middle.setMaximumWidth(_WIDTH)
        middle.setLayout(self.column)
        row = QHBoxLayout(inside)
        row.setContentsMargins(0, 0, 0, 0)
        row.addStretch(1)
        row.addWidget(middle, 100)
        row.addStretch(1)
        area = QScrollArea()  # a low window stays low
        area.setObjectName("clear")
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(inside)
        area.viewport().setAutoFillBackground(False)
        inside.setAutoFillBackground(False)
        whole = QHBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(area)

    # what is shown

    def show_for(self, source: FeatureSource | None, why: str = "") -> None:
        """Offer dictionaries where none is chosen, else a text; ``why`` says what is waited for."""
        self._source, self._why = source, why
        self._ask()
        self._show()

    def show_work(self, piece: Piece | None) -> None:
        """How far the reading of a text is, None when none is being read."""
        self.progress.setVisible(piece is not None)
        self.told.setVisible(piece is not None)
        for button in (self.read, self.other, *self.offers.values()):
            button.setEnabled(piece is None)
        held = None if piece is None else piece.progress
        self.progress.setValue(0 if held is None else round(1000 * held.fraction))
        if piece is not None:
            self.told.setText(piece.title if held is None else progress_text(held))

    def _ask(self) -> None:
        """What is built in for the model, once a model."""
        model = self._context.workspace.model
        print_ = "" if model is None else model.fingerprint
        if print_ != self._asked:
            self._forget()
            self._asked = ""
        seen = self.isVisible() and self._source is None
        if print_ and not self._asked and seen and not self._reason():
            self._asked = print_
            self._context.ask(LookAtDictionaries())

    def _forget(self) -> None:
        for button in self.offers.values():
            self.list.removeWidget(button)
            button.deleteLater()
        self.offers.clear()

    def _on_looked(self, answer: LookedAt) -> None:
        fits = answer.told is not None and not answer.problem
        built_in = answer.name in resources.dictionary_names() and self._text()
        if not fits or not built_in or answer.told is None or answer.name in self.offers:
            return
        # All of them are of the model that the headline names.
        button = QPushButton(file_line(answer.told).partition("/")[2])
        button.setObjectName("feature_offer")
        button.setToolTip(f"Open it and read {FIRST_TOKENS:,} tokens of what the model read")
        button.clicked.connect(partial(self._on_offer, answer.name))
        self.offers[answer.name] = button
        self.list.addWidget(button)
        self._show()

    def _show(self) -> None:
        source, reason = self._source, self._reason()
        model = self._context.workspace.model
        named = "" if model is None or reason else f"Features of {model.name}"
        offers = source is None and not reason
        self.headline.setText(source.name if source is not None else named or "No dictionary yet")
        self.advice.setText(self._advice(source, reason))
        for button in self.offers.values():
            button.setVisible(offers)
        text = self._text()
        self.read.setVisible(source is not None and bool(text) and not reason and not self._why)
        self.read.setText(f"Read what {text} was trained on")
        self.read.setToolTip(f"{FIRST_TOKENS:,} tokens of it; each feature gets its examples")
        self.other.setText("Another dictionary…" if source is None else "Another text…")
        if source is None and not self.offers:
            self.other.setText("Open dictionary…")
        elif source is not None and not text:
            self.other.setText("Look through a text…")
        self.other.setVisible(not reason and not self._why)

    def _advice(self, source: FeatureSource | None, reason: str) -> str:
        if source is None:
            return reason or _ADVICE
        return f"{source.told}\n{self._why or reason or NO_INDEX}"

    def _reason(self) -> str:
        opens = self._source is None
        wanted = CommandId.OPEN_DICTIONARY if opens else CommandId.INDEX_FEATURES
        empty = self._context.workspace.session is None
        return self._context.why_not(wanted) or (_NO_SESSION if empty else "")

    def _text(self) -> str:
        """The embedded text that the model was trained on, empty where there is none."""
        model = self._context.workspace.model
        name = "" if model is None else model.name.partition("@")[0]
        return name if name in resources.text_names() else ""

    def showEvent(self, event: QShowEvent) -> None:
        """Ask for what there is when it is first seen."""
        super().showEvent(event)
        self._ask()

    # what is done

    def _on_offer(self, name: str, _checked: bool = False) -> None:
        self._context.ask(OpenAndRead(name, self._text(), FIRST_TOKENS))

    def _on_read(self) -> None:
        if self._source is not None:
            wanted = self._source
            self._context.ask(
                IndexFeatures(wanted.fingerprint, wanted.name, self._text(), FIRST_TOKENS)
            )

    def _on_other(self) -> None:
        opens = self._source is None
        self._context.do(CommandId.OPEN_DICTIONARY if opens else CommandId.INDEX_FEATURES)
