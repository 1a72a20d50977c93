"""How the two prompts line up, token by token."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QScrollArea, QVBoxLayout, QWidget

from microtome_desktop import palette as colours
from microtome_desktop.presenters.tokens import shown_token
from microtome_desktop.state.draft import Reading
from microtome_desktop.views.elided import ElidedLabel
from microtome_desktop.views.token_chips import Chip, TokenChips


class Alignment(QWidget):
    """The tokens of the prompt above those of the corrupt one; what differs is warm."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.chips = TokenChips("tokens of both prompts", font_pixels=11)
        self.summary = ElidedLabel()
        self._scroll = QScrollArea()
        self._scroll.setWidget(self.chips)
        self._scroll.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._scroll.viewport().setAutoFillBackground(False)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.summary)
        layout.addWidget(self._scroll)
        self.show_reading(Reading())

    def show_reading(self, reading: Reading) -> None:
        """Draw how the model reads the prompts."""
        self.setVisible(bool(reading.clean))
        differing = frozenset(reading.differing)
        rows = [_row(reading.clean, reading.unknown_clean, differing)]
        if reading.corrupt:
            rows.append(_row(reading.corrupt, reading.unknown_corrupt, differing))
        self.chips.show_rows(*rows)
        self._scroll.setFixedHeight(self.chips.sizeHint().height() + 12)
        self.summary.setText(summary(reading))
        if differing:
            place = self.chips.column_rect(min(differing)).center()
            self._scroll.ensureVisible(round(place.x()), round(place.y()), 80, 0)


def _row(
    tokens: tuple[str, ...], unknown: tuple[int, ...], differing: frozenset[int]
) -> tuple[Chip, ...]:
    return tuple(
        Chip(
            shown_token(text),
            fill=colours.DIFFERENT if position in differing else colours.RAISED,
            ink=colours.WARM if position in differing else colours.TEXT_DIM,
            tip=f"position {position}"
            + (": the model does not know this word" if position in unknown else ""),
            marked=position in unknown,
        )
        for position, text in enumerate(tokens)
    )


def summary(reading: Reading) -> str:
    """For example ``15 tokens each, 1 differs`` and which words are unknown."""
    if not reading.clean:
        return ""
    clean, corrupt = len(reading.clean), len(reading.corrupt)
    if not corrupt:
        parts = [f"{clean} token{'' if clean == 1 else 's'}"]
    elif clean == corrupt:
        count = len(reading.differing)
        parts = [f"{clean} tokens each, {count} {'differs' if count == 1 else 'differ'}"]
    else:
        parts = [f"{clean} tokens against {corrupt}"]
    unknown = len(reading.unknown_clean) + len(reading.unknown_corrupt)
    if unknown:
        parts.append(f"{unknown} unknown to the model")
    return ", ".join(parts)
