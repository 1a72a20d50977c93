"""The card of one feature: its label, its figures, where it is on, what it does, its neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
from jaxtyping import Float
from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from microtome_desktop import palette as colours
from microtome_desktop.presenters.feature_card import FeatureCard, Link, Section
from microtome_desktop.state.proposals import Proposal
from microtome_desktop.views.card import tiny_button
from microtome_desktop.views.example_lines import ExampleLines
from microtome_desktop.views.fonts import mono_font, text_font
from microtome_desktop.views.label_worth import LabelWorth
from microtome_desktop.views.markup import take_markup
from microtome_desktop.views.note_field import NoteField
from microtome_desktop.views.small_histogram import SmallHistogram
from microtome_desktop.views.token_chips import Chip, TokenChips
from microtome_desktop.views.token_strip import mixed

_SECTIONS = 6
LINKS = (
    Qt.TextInteractionFlag.LinksAccessibleByMouse | Qt.TextInteractionFlag.LinksAccessibleByKeyboard
)
_WORDS = 8  # of those that are raised or lowered
_NOTE_LINES = 6  # of a note are seen at once
_NOTE_ROUND = 22  # pixels of its frame


class FeatureCardView(QWidget):
    """Shows a card; emits what the user does with it."""

    labelled = Signal(str)
    accepted = Signal(str)
    rejected = Signal()
    proposal_wanted = Signal()
    noted = Signal(str, str)  # the target of the note, its text
    feature_chosen = Signal(int)
    position_chosen = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self._card: FeatureCard | None = None
        self.title, self.figures = QLabel(), _text()
        self.title.setFont(text_font(14))
        self.title.setTextFormat(Qt.TextFormat.PlainText)
        self.title.setMinimumWidth(60)
        self.export = tiny_button("Export this card")
        self.label = QLineEdit()
        self.label.setObjectName("feature_label")
        self.label.setAccessibleName("label of the feature")
        self.label.setMaxLength(200)
        self.accept = QPushButton("Accept")
        self.accept.setObjectName("feature_accept")
        self.worth = LabelWorth()
        self._target = self._proposed = ""  # of the note; the proposal on show
        self.note = NoteField("feature_note", "A note of your own", self._on_note)
        self.histogram = SmallHistogram()
        self.chips = TokenChips("where the feature is on in the run", font_pixels=11)
        self.run_note = _text()
        self.words = {name: _text() for name in ("token", "raised", "lowered")}
        self.links = {name: _text() for name in ("alike", "together")}
        self.sections = tuple((heading(""), ExampleLines()) for _ in range(_SECTIONS))
        self._lay_out()
        self._connect()

    def _lay_out(self) -> None:
        naming = QHBoxLayout()
        naming.setSpacing(6)
        naming.addWidget(self.label, 1)
        naming.addWidget(self.accept)
        naming.addWidget(self.worth.propose)
        self.strip = QScrollArea()
        self.strip.setObjectName("clear")
        self.strip.setWidget(self.chips)
        self.strip.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.strip.setFixedHeight(44)
        self.chips.setObjectName("clear")
        self.strip.viewport().setAutoFillBackground(False)
        self.column = column = QVBoxLayout(self)
        column.setContentsMargins(10, 4, 8, 8)
        column.setSpacing(4)
        head = QHBoxLayout()
        head.addWidget(self.title, 1)
        head.addWidget(self.export)
        column.addLayout(head)
        column.addLayout(naming)
        column.addWidget(self.worth)
        self.note.setFont(text_font(12))
        self.note.document().documentLayout().documentSizeChanged.connect(self._fit_note)
        column.addWidget(self.note)
        self._fit_note()
        for part in (self.figures, heading("Activations"), self.histogram):
            column.addWidget(part)
        self.run_heading = heading("In this prompt")
        column.addWidget(self.run_heading)
        column.addWidget(self.run_note)
        column.addWidget(self.strip)
        self.below_run = column.count()  # where more about the model stands
        titles = {"token": "On at", "raised": "Raises", "lowered": "Lowers"}
        self._word_headings = {name: heading(title) for name, title in titles.items()}
        for name, title in self._word_headings.items():
            column.addWidget(title)
            column.addWidget(self.words[name])
        for title, lines in self.sections:
            column.addWidget(title)
            column.addWidget(lines)
        self._link_headings = {
            "alike": heading("Writes nearly the same"), "together": heading("On at the same time"),
        }  # fmt: skip
        for name, title in self._link_headings.items():
            column.addWidget(title)
            column.addWidget(self.links[name])
        column.addStretch(1)

    def _connect(self) -> None:
        self.label.editingFinished.connect(self._on_label)
        self.accept.clicked.connect(self._on_accept)
        self.worth.reject.clicked.connect(self.rejected)
        self.worth.propose.clicked.connect(self.proposal_wanted)
        self.chips.clicked.connect(self.position_chosen)
        for label in self.links.values():
            label.setTextInteractionFlags(LINKS)
            label.linkActivated.connect(self._on_link)

    # what is shown

    def show_card(self, card: FeatureCard, name: str, *, kind: str = "Feature") -> None:
        """Show a feature; ``name`` is what its dictionary is called."""
        self._card = card
        self.title.setText(f"{kind} {card.feature} \N{MIDDLE DOT} {name}")
        self.figures.setText(escape(card.figures, quote=False))
        self.histogram.show_counts(card.histogram, card.edges)
        for key, words in (
            ("token", card.tokens), ("raised", card.raised), ("lowered", card.lowered),
        ):  # fmt: skip
            self._word_headings[key].setVisible(bool(words))
            self.words[key].setVisible(bool(words))
            self.words[key].setText(_words(words[:_WORDS], share=key == "token"))
        for key, links in (("alike", card.alike), ("together", card.together)):
            self._link_headings[key].setVisible(bool(links))
            self.links[key].setVisible(bool(links))
            self.links[key].setText(_links(links))
        self._show_sections(card.sections)

    def show_label(self, label: str, proposed: Proposal | None, known: Proposal | None) -> None:
        """Show the user's label, or what is proposed; ``known`` is who proposed that label."""
        self._proposed = "" if proposed is None else proposed.text
        self.label.setText(label)
        hint = f"proposed: {self._proposed}" if self._proposed else "a label of your own"
        self.label.setPlaceholderText(hint)
        self.accept.setVisible(bool(self._proposed) and self._proposed != label)
        self.accept.setToolTip(f"Take what is proposed as the label: {self._proposed}")
        self.worth.show_worth(label, proposed, known)

    def show_note(self, target: str, text: str) -> None:
        """Show the note on a feature; what was written on another is kept first."""
        if target != self._target:
            self.note.flush()
        self._target = target
        self.note.show_text(text)

    def _fit_note(self, *_: object) -> None:
        """As high as what is written, up to some lines."""
        lines = max(1, min(_NOTE_LINES, int(self.note.document().size().height())))
        self.note.setFixedHeight(lines * self.note.fontMetrics().lineSpacing() + _NOTE_ROUND)

    def _show_sections(self, sections: Sequence[Section]) -> None:
        for at, (title, lines) in enumerate(self.sections):
            held = sections[at] if at < len(sections) else None
            title.setVisible(held is not None)
            lines.setVisible(held is not None)
            if held is not None:
                title.setText(held.title)
                lines.show_lines(held.lines)

    def show_run(
        self, tokens: Sequence[str], values: Float[np.ndarray, " position"] | None, note: str
    ) -> None:
        """Where it is on in the run on screen; ``note`` says why that is not known."""
        shown = values is not None
        self.strip.setVisible(shown)
        self.run_note.setVisible(not shown)
        self.run_note.setText(escape(note, quote=False))
        if values is None:
            return
        most = float(values.max(initial=0)) or 1.0
        self.chips.show_rows(tuple(
            _chip(at, text, value, mixed(value / most))
            for at, (text, value) in enumerate(zip(tokens, values.tolist(), strict=True))
        ))  # fmt: skip
        on = int((values > 0).sum())
        self.run_heading.setText(f"In this prompt: on at {on} of {len(values)} tokens")

    def _on_label(self) -> None:
        self.labelled.emit(self.label.text().strip())

    def _on_note(self, text: str) -> None:
        self.noted.emit(self._target, text)

    def _on_accept(self) -> None:
        if self._proposed:
            self.accepted.emit(self._proposed)

    def _on_link(self, target: str) -> None:
        self.feature_chosen.emit(int(target))


def heading(title: str) -> QLabel:
    """A small title above a part of the card."""
    made = QLabel(title)
    made.setObjectName("card_heading")
    made.setFont(text_font(11))
    made.setTextFormat(Qt.TextFormat.PlainText)
    made.setStyleSheet(f"color: {colours.TEXT_DIM}; font-weight: 600; padding-top: 4px;")
    return made


def _text() -> QLabel:
    made = QLabel()
    made.setFont(mono_font(11))
    made.setWordWrap(True)
    take_markup(made)
    return made


def _words(words: Sequence[tuple[str, float]], *, share: bool) -> str:
    parts = []
    for word, value in words:
        number = f"{100 * value:.0f} %" if share else f"{value:+.2f}"
        number = number.replace("-", "\N{MINUS SIGN}")
        dim = f'<span style="color:{colours.TEXT_DIM}">{number}</span>'
        parts.append(f"{escape(word)}&nbsp;{dim}")
    return " &nbsp; ".join(parts)


def _links(links: Sequence[Link]) -> str:
    parts = []
    for link in links:
        told = f"{link.feature} {escape(link.label)}".strip()
        dim = f'<span style="color:{colours.TEXT_DIM}">{link.value:.2f}</span>'
        style = f"color:{colours.ACCENT}; text-decoration:none"
        parts.append(f'<a href="{link.feature}" style="{style}">{told}</a>&nbsp;{dim}')
    return " &nbsp; ".join(parts)


def _chip(at: int, text: str, value: float, fill: str) -> Chip:
    return Chip(text, fill, colours.ink(fill), f"position {at}: {text}\nactivation {value:.4g}")
