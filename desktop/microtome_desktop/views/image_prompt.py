"""The question of a model that sees: an image, an optional second one, and what is seen of them."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeyEvent, QKeySequence
from PySide6.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from microtome.records.seen import preprocessing_of
from microtome_desktop.commands.command import CommandId
from microtome_desktop.state.draft import DraftText, Reading
from microtome_desktop.views.album_picker import AlbumPicker
from microtome_desktop.views.image_slot import ImageSlot
from microtome_desktop.views.panel import PanelContext

_KEYS = {
    Qt.Key.Key_PageDown: CommandId.NEXT_IMAGE, Qt.Key.Key_PageUp: CommandId.PREVIOUS_IMAGE,
}  # fmt: skip


class ImagePrompt(QWidget):
    """Chooses the images of a question and shows them as the model sees them.

    Page Up and Page Down go to other images of the set, Ctrl+V takes one from the clipboard.
    """

    def __init__(self, context: PanelContext) -> None:
        super().__init__()
        self._context = context
        self.picker = AlbumPicker(context)
        self.image = ImageSlot("Image", "Choose an image", optional=False)
        self.corrupt = ImageSlot("Corrupt image", "Optional: a second image", optional=True)
        self.steps = QLabel()
        self.steps.setObjectName("dim")
        self.steps.setWordWrap(True)
        self.steps.setTextFormat(Qt.TextFormat.PlainText)
        pair = QHBoxLayout()
        pair.setSpacing(8)
        pair.addWidget(self.image, 1)
        pair.addWidget(self.corrupt, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(5)
        column.addWidget(self.picker)
        column.addLayout(pair)
        column.addWidget(self.steps)
        self.image.aimed.connect(self._on_image)
        self.corrupt.aimed.connect(self._on_corrupt)
        self.corrupt.cleared.connect(self._on_cleared)
        context.albums.aimed.connect(self._show_aim)
        context.library.changed.connect(self._on_library)
        self._show_aim(context.albums.corrupt)
        self.show_steps()

    def show_draft(self, text: DraftText, reading: Reading) -> None:
        """Show the images of the question; of what was read, what the model sees."""
        for slot, image, seen in (
            (self.image, text.image, reading.seen),
            (self.corrupt, text.corrupt_image, reading.corrupt_seen),
        ):
            known = image is not None and seen is not None and seen.name == image.name
            slot.show_image(image, seen if known else None)
        self.picker.follow()

    def edit(self) -> None:
        """Go to the image, or to the choice of one."""
        chosen = self._context.draft.text.image is not None
        (self.image.view if chosen else self.picker.choice).setFocus()

    def _show_aim(self, corrupt: bool) -> None:
        self.image.mark_aimed(on=not corrupt)
        self.corrupt.mark_aimed(on=corrupt)

    def _on_image(self) -> None:
        self._context.albums.aim(corrupt=False)

    def _on_corrupt(self) -> None:
        self._context.albums.aim(corrupt=True)

    def _on_cleared(self) -> None:
        self._context.draft.update(corrupt_image=None)
        self._context.albums.aim(corrupt=False)

    def _on_library(self, shelf: object, changed: frozenset[str]) -> None:
        if "facts" in changed:
            self.show_steps()
            self.picker.offer()

    def show_steps(self) -> None:
        """Say how images are prepared: by the model, or in review as the file has it."""
        seen, workspace = self._context.library.shelf.facts.seen, self._context.workspace
        lines = () if seen is None else seen.lines
        if workspace.offline and workspace.session is not None:
            lines = preprocessing_of(workspace.session.model)
        self.steps.setText(f"As the model sees it: {', '.join(lines)}." if lines else "")
        self.steps.setVisible(bool(lines))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Page through the set, or paste."""
        if event.matches(QKeySequence.StandardKey.Paste):
            self._context.do(CommandId.PASTE_IMAGE)
        elif (wanted := _KEYS.get(Qt.Key(event.key()))) is not None:
            self._context.do(wanted)
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._context.do(CommandId.RUN)
        else:
            super().keyPressEvent(event)
