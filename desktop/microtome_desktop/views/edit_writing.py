"""Text that the model writes on, without and with the edits, side by side."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtGui import QColor, QDoubleValidator, QIntValidator, QTextCharFormat, QTextCursor
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QTextEdit,
    QVBoxLayout,
    QWidget,
)

from microtome_desktop import palette as colours
from microtome_desktop.jobs.generate_request import Writing
from microtome_desktop.presenters.writing import Text
from microtome_desktop.views.fonts import mono_font
from microtome_desktop.views.text_flow import flow

_FIELDS = (
    ("n_tokens", "tokens", "20", "How many tokens are written at most"),
    ("temperature", "temp.", "0", "Temperature: 0 takes the most probable token"),
    ("top_k", "top-k", "", "Only so many of the most probable tokens; empty: all"),
    ("top_p", "top-p", "", "Only the most probable tokens up to this share; empty: all"),
    ("seed", "seed", "0", "The same seed draws the same numbers on both sides"),
)
_OF_DRAWING = ("top_k", "top_p", "seed")


class WritingView(QWidget):
    """Settings, a button, and both texts."""

    asked = Signal(object)  # Writing

    def __init__(self) -> None:
        super().__init__()
        self.fields: dict[str, QLineEdit] = {}
        self.button = QPushButton("Generate")
        self.without = _text("text_without", "The text without edits")
        self.with_edits = _text("text_with", "The text with edits")
        self._shown: tuple[Text | None, Text | None] = (None, None)
        line = QWidget()
        wrapping = flow(line, top=0, bottom=0)
        wrapping.setContentsMargins(0, 0, 0, 0)
        self._drawn: list[QWidget] = []
        for name, title, first, tip in _FIELDS:
            pair = _pair(title, self._field(name, first, tip))
            wrapping.addWidget(pair)
            if name in _OF_DRAWING:
                self._drawn.append(pair)
            if name == "temperature":
                wrapping.addWidget(self.button)
        self.fields["temperature"].textChanged.connect(self._show_fields)
        self._show_fields()
        sides = QHBoxLayout()
        for title, text in (("without edits", self.without), ("with edits", self.with_edits)):
            side = QVBoxLayout()
            side.setSpacing(1)
            side.addWidget(_label(title))
            side.addWidget(text, 1)
            sides.addLayout(side, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 4, 0, 0)
        column.setSpacing(3)
        column.addWidget(line)
        column.addLayout(sides, 1)
        self.button.clicked.connect(self.ask)

    def _field(self, name: str, first: str, tip: str) -> QLineEdit:
        field = QLineEdit(first)
        field.setObjectName(f"writing_{name}")
        field.setAccessibleName(name.replace("_", " "))
        field.setToolTip(tip)
        field.setFont(mono_font(11))
        field.setFixedWidth(44)
        whole = name in ("n_tokens", "top_k", "seed")
        field.setValidator(
            QIntValidator(0, 2**31 - 1, field) if whole else QDoubleValidator(0, 1e3, 4, field)
        )
        field.returnPressed.connect(self.ask)
        self.fields[name] = field
        return field

    def _show_fields(self) -> None:
        """What a draw needs, where one is made: the most probable token needs none."""
        hot = bool(self.fields["temperature"].text().strip(" 0.,"))
        for pair in self._drawn:
            pair.setVisible(hot)

    def ask(self) -> None:
        """Ask for both texts by the fields; what is empty is as it is at first."""
        typed = {name: field.text().strip() for name, field in self.fields.items()}
        first = Writing()
        self.asked.emit(Writing(
            n_tokens=int(typed["n_tokens"] or first.n_tokens),
            temperature=float(typed["temperature"] or 0.0),
            top_k=int(typed["top_k"]) if typed["top_k"] else None,
            top_p=float(typed["top_p"]) if typed["top_p"] else None,
            seed=int(typed["seed"] or 0),
        ))  # fmt: skip

    def show_texts(self, without: Text | None, with_edits: Text | None) -> None:
        """Show what was written; where the sides part, tokens are marked."""
        if (without, with_edits) == self._shown:
            return
        self._shown = (without, with_edits)
        for widget, text in ((self.without, without), (self.with_edits, with_edits)):
            _write(widget, text)

    def set_able(self, reason: str) -> None:
        """Whether text can be asked for; the reason where it cannot."""
        self.button.setEnabled(not reason)
        self.button.setToolTip(reason or "Write on from the prompt, without and with the edits")


def _write(widget: QTextEdit, text: Text | None) -> None:
    widget.clear()
    if text is None:
        return
    cursor = QTextCursor(widget.document())
    for piece in text.pieces:
        form = QTextCharFormat()
        form.setForeground(QColor(colours.WARM if piece.parts else colours.TEXT))
        form.setToolTip(f"probability {piece.probability:.3f}")
        cursor.insertText(piece.text, form)
    if text.ended:
        form = QTextCharFormat()
        form.setForeground(QColor(colours.TEXT_FAINT))
        cursor.insertText(f"  ({text.ended})", form)


def _pair(title: str, field: QLineEdit) -> QWidget:
    pair = QWidget()
    row = QHBoxLayout(pair)
    row.setContentsMargins(0, 0, 0, 0)
    row.setSpacing(4)
    row.addWidget(_label(title))
    row.addWidget(field)
    return pair


def _label(text: str) -> QLabel:
    label = QLabel(text)
    label.setObjectName("dim")
    return label


def _text(name: str, called: str) -> QTextEdit:
    text = QTextEdit()
    text.setObjectName(name)
    text.setAccessibleName(called)
    text.setReadOnly(True)
    text.setFont(mono_font(12))
    text.setMinimumHeight(24)
    return text
