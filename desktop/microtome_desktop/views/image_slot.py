"""The place of one image in the prompt panel: what the model sees of it, and its name."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from microtome.prompts import ImageInput
from microtome_desktop.presenters.image_text import image_tip, size_text
from microtome_desktop.views.card import tiny_button
from microtome_desktop.views.elided import ElidedLabel
from microtome_desktop.views.icons import icon
from microtome_desktop.views.image_view import ImageView

_SIDE = 112  # pixels


class ImageSlot(QWidget):
    """A title that says that choices are for this image, the image, and its name below."""

    aimed = Signal()
    cleared = Signal()

    def __init__(self, title: str, hint: str, *, optional: bool) -> None:
        super().__init__()
        self.head = QToolButton()
        self.head.setObjectName("slot")
        self.head.setText(title)
        self.head.setCheckable(True)
        self.head.setToolTip(f"{hint}. What is chosen, opened or pasted is for the marked one")
        self.view = ImageView(side=_SIDE)
        self.view.setAccessibleName(title)
        self.view.setFixedHeight(_SIDE)
        self.empty = QToolButton()
        self.empty.setObjectName("empty_slot")
        self.empty.setIcon(icon("mdi6.image-plus-outline"))
        self.empty.setIconSize(QSize(24, 24))
        self.empty.setText(hint.replace(": ", ":\n"))
        self.empty.setAccessibleName(f"{title}: {hint}")
        self.empty.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextUnderIcon)
        self.empty.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.empty.setFixedHeight(_SIDE)
        self.clear = tiny_button("Ask without this image")
        self.clear.setIcon(icon("mdi6.close"))
        self.name, self.size_told = ElidedLabel(""), ElidedLabel("")
        self._optional = optional
        self._lay_out()
        self.head.clicked.connect(self._on_head)
        self.empty.clicked.connect(self._on_head)
        self.view.pressed.connect(self._on_head)
        self.clear.clicked.connect(self.cleared)
        self.show_image(None, None)

    def _lay_out(self) -> None:
        above = QHBoxLayout()
        above.setSpacing(2)
        above.addWidget(self.head)
        above.addStretch(1)
        above.addWidget(self.clear)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(3)
        column.addLayout(above)
        column.addWidget(self.view)
        column.addWidget(self.empty)
        column.addWidget(self.name)
        column.addWidget(self.size_told)

    def show_image(self, image: ImageInput | None, seen: ImageInput | None) -> None:
        """Show an image; ``seen`` is what the model sees of it, once that is known."""
        shown = seen or image
        self.view.show_image(None if shown is None else shown.values)
        self.view.setVisible(image is not None)
        self.empty.setVisible(image is None)
        self.clear.setVisible(self._optional and image is not None)
        self.name.setText("" if image is None else image.name)
        self.size_told.setText("" if image is None else size_text(image))
        self.view.setToolTip("" if image is None else image_tip(image, seen))

    def mark_aimed(self, *, on: bool) -> None:
        """Whether choices are for this image."""
        self.head.setChecked(on)

    def _on_head(self, *_: object) -> None:
        self.head.setChecked(True)
        self.aimed.emit()
