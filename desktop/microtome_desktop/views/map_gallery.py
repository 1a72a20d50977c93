"""A large map over an image, and small ones below it to choose from."""

from __future__ import annotations

from functools import partial

import numpy as np
from jaxtyping import UInt8
from PySide6.QtCore import Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QBoxLayout, QGridLayout, QVBoxLayout, QWidget

from microtome_desktop.presenters.seeing import Gallery, Picture
from microtome_desktop.views.elided import TwoLines
from microtome_desktop.views.image_view import ImageView
from microtome_desktop.views.text_flow import EmptyState

_ACROSS, _DOWN = 6, 2
_FEW_ACROSS = 4  # where the large one would have no width beside them
_SMALL, _LOW, _NARROW = 76, 300, 560  # pixels


class MapGallery(QWidget):
    """Emits the key of the small picture that was pressed."""

    chosen = Signal(str)
    hovered = Signal(int, int)  # row and column of the large image

    def __init__(self, name: str = "see") -> None:
        super().__init__()
        self.large, self.said, self.empty = ImageView(side=320), TwoLines(), EmptyState()
        self.large.setObjectName(f"{name}_map")
        self.large.setAccessibleName("map over the image")
        self.said.setObjectName("dim")
        self.small = tuple(ImageView(side=_SMALL) for _ in range(_ACROSS * _DOWN))
        self._shown: tuple[Picture, ...] = ()
        self._gallery = Gallery()
        for at, view in enumerate(self.small):
            view.setObjectName(f"{name}_small_{at}")
            view.pressed.connect(partial(self._on_pressed, at))
        self.large.hovered.connect(self._on_hover)
        self._lay_out()

    def _lay_out(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        self._pictures = QBoxLayout(QBoxLayout.Direction.TopToBottom)
        self._pictures.setSpacing(4)
        self._pictures.addWidget(self.large, 5)
        self._pictures.addWidget(self.empty, 5)
        column.addLayout(self._pictures, 1)
        column.addWidget(self.said)
        self._grid = QGridLayout()
        self._grid.setSpacing(4)
        self._place_small(_ACROSS)
        self._pictures.addLayout(self._grid, 3)

    def _place_small(self, across: int) -> None:
        self._across = across
        for at, view in enumerate(self.small):
            self._grid.addWidget(view, at // across, at % across)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """The small ones stand beside the large one where it is low."""
        super().resizeEvent(event)
        low, direction = event.size().height() < _LOW, QBoxLayout.Direction
        self._pictures.setDirection(direction.LeftToRight if low else direction.TopToBottom)
        self._pictures.setStretch(2, 5 if low else 3)
        across = _FEW_ACROSS if low and event.size().width() < _NARROW else _ACROSS
        if across != self._across:
            self._place_small(across)

    @property
    def main(self) -> Picture | None:
        """The map that is shown large."""
        return self._gallery.main

    def show_gallery(
        self, image: UInt8[np.ndarray, "row column channel"], gallery: Gallery
    ) -> None:
        """Show other maps over an image."""
        self._gallery, self._shown = gallery, gallery.small
        main = gallery.main
        self.large.setVisible(main is not None)
        self.empty.setVisible(main is None)
        self.empty.tell("Nothing to see yet", gallery.lacking)
        if main is not None:
            self.large.show_image(image, main.values, signed=main.signed)
        self.said.setText(gallery.said)
        for at, view in enumerate(self.small):
            self._show_small(view, image, at)

    def _show_small(
        self, view: ImageView, image: UInt8[np.ndarray, "row column channel"], at: int
    ) -> None:
        there = at < len(self._shown)
        view.setVisible(there)
        if not there:
            return
        picture, main = self._shown[at], self._gallery.main
        view.show_image(image, picture.values, signed=picture.signed, title=picture.title)
        view.setToolTip(f"{picture.key}: {picture.said}")
        if main is not None and main.key == picture.key:
            view.mark(0, 0, *image.shape[:2])

    def _on_pressed(self, at: int, _row: int, _column: int) -> None:
        if at < len(self._shown):
            self.chosen.emit(self._shown[at].key)

    def _on_hover(self, row: int, column: int) -> None:
        self.hovered.emit(row, column)
        main, image = self._gallery.main, self.large.shown
        if main is None or image is None or row < 0:
            self.said.setText(self._gallery.said)
            return
        down = row * main.values.shape[0] // image.height()
        across = column * main.values.shape[1] // image.width()
        self.said.setText(
            f"{main.title}: {float(main.values[down, across]):.4g} at row {row}, column {column}"
        )
