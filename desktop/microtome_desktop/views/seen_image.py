"""The left of the panel See: the image as the model reads it, how it was made, and the answers."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QGridLayout, QLabel, QVBoxLayout, QWidget

from microtome.prompts import ImageInput
from microtome_desktop.views.elided import ElidedLabel
from microtome_desktop.views.fonts import mono_font
from microtome_desktop.views.image_view import ImageView

_SIDE, _LEAST, _BETWEEN = 180, 110, 5  # pixels
_ANSWERS = 5  # classes
_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter


class SeenImage(QWidget):
    """What the model was given, and its most probable classes."""

    def __init__(self) -> None:
        super().__init__()
        self.image, self.steps, self.answers = ImageView(side=_SIDE), QLabel(), AnswerRows()
        self.image.setObjectName("see_image")
        self.image.setMinimumHeight(_LEAST)
        self.image.setAccessibleName("the image as the model sees it")
        self.steps.setObjectName("dim")
        self.steps.setWordWrap(True)
        self.steps.setTextFormat(Qt.TextFormat.PlainText)
        self.head = QLabel("As the model sees it")
        self.head.setObjectName("section")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(_BETWEEN)
        for part in (self.head, self.image, self.steps, self.answers):
            column.addWidget(part)
        column.addStretch(1)

    def show_image(self, image: ImageInput, answers: Sequence[tuple[str, str]]) -> None:
        """Show an image and what the model said of it."""
        self.image.show_image(image.values, title=f"{image.size[0]} × {image.size[1]}")
        self.answers.show_rows(answers)
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Where it is low fewer classes are shown: all of them are beside the prompt too."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        steps = self.steps.heightForWidth(self.width()) if self.steps.text() else 0
        above = self.head.sizeHint().height() + self.image.minimumHeight() + steps
        self.answers.limit(self.height() - above - 4 * _BETWEEN)


class AnswerRows(QWidget):
    """A row for each class: its share, at the right of its column, and its name."""

    def __init__(self) -> None:
        super().__init__()
        self._rows: Sequence[tuple[str, str]] = ()
        self._room = 0  # pixels
        self.setAccessibleName("the most probable classes")
        self.shares = tuple(QLabel() for _ in range(_ANSWERS))
        self.names = tuple(ElidedLabel() for _ in range(_ANSWERS))
        self._grid = grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(10)
        grid.setVerticalSpacing(1)
        grid.setColumnStretch(1, 1)
        for row, (share, name) in enumerate(zip(self.shares, self.names, strict=True)):
            share.setObjectName("dim")
            share.setFont(mono_font(11))
            share.setAlignment(_RIGHT)
            grid.addWidget(share, row, 0)
            grid.addWidget(name, row, 1)

    def show_rows(self, rows: Sequence[tuple[str, str]]) -> None:
        """Show shares and names."""
        self._rows = rows
        self._show()

    def limit(self, room: int) -> None:
        """Show as many as there is room for, in pixels."""
        self._room = room
        self._show()

    def _show(self) -> None:
        each = self.names[0].sizeHint().height() + self._grid.verticalSpacing()
        rows = self._rows[: max(0, self._room // each)]
        for at, (share, name) in enumerate(zip(self.shares, self.names, strict=True)):
            said = rows[at] if at < len(rows) else ("", "")
            share.setText(said[0])
            name.setText(said[1])
            for part in (share, name):
                part.setVisible(at < len(rows))
