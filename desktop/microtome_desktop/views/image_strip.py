"""The tokens of a run on an image: its patches as a grid over it, others as chips beside it."""

from __future__ import annotations

from PySide6.QtCore import QPoint, QPointF, Qt, Signal
from PySide6.QtGui import QContextMenuEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from microtome.prompts import ImageInput
from microtome_desktop.presenters.image_text import image_name, image_tip
from microtome_desktop.presenters.patches import PatchGrid
from microtome_desktop.presenters.strip import Strip
from microtome_desktop.views.image_view import ImageView
from microtome_desktop.views.token_chips import Chip, TokenChips

_SIDE = 108  # pixels of the screen


class ImageStrip(QWidget):
    """Emits positions, as the chips of a text do; of a net without patches there is one."""

    clicked = Signal(int)
    hovered = Signal(int)  # -1 when the pointer leaves
    menu_asked = Signal(int, QPoint)  # position, where on the screen

    def __init__(self) -> None:
        super().__init__()
        self._image: ImageInput | None = None
        self._drawing: Strip | None = None
        self._grid: PatchGrid | None = None
        self._selected: int | None = None
        self.view = ImageView(side=_SIDE)
        self.view.setAccessibleName("the image as the model sees it")
        self.view.setFixedSize(_SIDE, _SIDE)
        self.leading = TokenChips("tokens before the image")
        self.name, self.said = QLabel(), QLabel()
        for label in (self.name, self.said):
            label.setTextFormat(Qt.TextFormat.PlainText)
            label.setWordWrap(True)
            label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.said.setObjectName("dim")
        beside = QVBoxLayout()
        beside.setSpacing(6)
        beside.addWidget(self.name)
        beside.addWidget(self.leading)
        beside.addWidget(self.said)
        beside.addStretch(1)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(12)
        row.addWidget(self.view)
        row.addLayout(beside, 1)
        self.view.pressed.connect(self._on_pressed)
        self.view.hovered.connect(self._on_hovered)
        self.leading.clicked.connect(self.clicked)
        self.leading.hovered.connect(self._on_leading)
        self.leading.menu_asked.connect(self.menu_asked)

    def show_run(
        self,
        image: ImageInput,
        drawing: Strip,
        grid: PatchGrid | None,
        chips: tuple[Chip, ...],
    ) -> None:
        """Draw an image and what its patches are coloured by; ``chips`` are of all positions."""
        self._image, self._drawing, self._grid = image, drawing, grid
        overlay = None if grid is None else grid.map(drawing.values)
        signed = overlay is not None and bool((overlay < 0).any())
        self.view.show_image(image.values, overlay, signed=signed)
        if grid is not None:
            self.view.show_grid(grid.rows, grid.columns)
        self.name.setText(image_name(image))
        self.view.setToolTip(image_tip(image, None))
        count = 0 if grid is None else grid.leading
        self.leading.show_rows(chips[:count])
        self.leading.setVisible(count > 0)
        self.select(self._selected)

    def select(self, position: int | None) -> None:
        """Frame the patch, or the chip, of a position."""
        self._selected = position
        grid, image = self._grid, self._image
        part = None
        if grid is not None and image is not None and position is not None:
            part = grid.part(position, image.size)
        self.view.mark(*(part or (0, 0, 0, 0)))
        leads = grid is not None and position is not None and position < grid.leading
        self.leading.select(position if leads else None)
        self._say(position)

    def _say(self, position: int | None) -> None:
        """What a position is and what its colour means."""
        drawing, grid = self._drawing, self._grid
        if drawing is None:
            return
        if grid is None:
            self.said.setText("A convolutional net reads the whole image: it has no patches.")
        elif position is None or position >= len(drawing.tokens):
            cells = f"{grid.rows} × {grid.columns} patches"
            self.said.setText(f"{cells}; a click selects the position of one.")
        else:
            what, note = drawing.tokens[position], drawing.notes[position]
            if position >= grid.leading:
                what = f"patch in row {what.replace(',', ', column ')}"
            self.said.setText(f"position {position}: {what}{f': {note}' if note else ''}")

    def _position(self, row: int, column: int) -> int:
        if self._image is None or row < 0:
            return -1
        return 0 if self._grid is None else self._grid.position(row, column, self._image.size)

    def _on_pressed(self, row: int, column: int) -> None:
        self.clicked.emit(self._position(row, column))

    def _on_hovered(self, row: int, column: int) -> None:
        self._on_leading(self._position(row, column))

    def _on_leading(self, position: int) -> None:
        self._say(self._selected if position < 0 else position)
        self.hovered.emit(position)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """Ask for what can be done at the patch under the pointer."""
        inside = self.view.mapFrom(self, event.pos())
        row, column = self.view.pixel_at(QPointF(inside))
        if row >= 0:
            self.menu_asked.emit(self._position(row, column), event.globalPos())
