"""Choosing an image of a set: the set, a class, the number, the next one, any one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PySide6.QtWidgets import (
    QAbstractSpinBox,
    QHBoxLayout,
    QSpinBox,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from microtome.prompts import ImageInput
from microtome_desktop.commands.command import CommandId
from microtome_desktop.commands.table import command
from microtome_desktop.state.albums import Album, album_of, asking
from microtome_desktop.views.choice import Choice
from microtome_desktop.views.icons import icon
from microtome_desktop.views.panel import PanelContext

_OWN, _ALL = "Own image", "All classes"
_STEPS = (CommandId.PREVIOUS_IMAGE, CommandId.NEXT_IMAGE, CommandId.RANDOM_IMAGE)
_FROM = (CommandId.OPEN_IMAGE, CommandId.OPEN_IMAGE_FOLDER, CommandId.PASTE_IMAGE)


class AlbumPicker(QWidget):
    """Shows which image of which set the aimed one is, and asks about another of it."""

    def __init__(self, context: PanelContext) -> None:
        super().__init__()
        self._context = context
        self._albums: tuple[Album, ...] = ()
        self._random = np.random.default_rng(0)
        self.choice, self.classes = Choice(), Choice()
        self.choice.setObjectName("image_set")
        self.choice.setToolTip("A set of images, or a folder that was opened")
        self.choice.setAccessibleName("set of images")
        self.classes.setObjectName("image_class")
        self.classes.setToolTip("Only images of this class")
        self.classes.setAccessibleName("class of the images")
        self.number = QSpinBox()
        self.number.setObjectName("image_number")
        self.number.setToolTip("Which image of the set")
        self.number.setAccessibleName("number of the image")
        self.number.setKeyboardTracking(False)
        self.number.setProperty("plain", True)
        self.number.setButtonSymbols(QAbstractSpinBox.ButtonSymbols.NoButtons)
        self.buttons = {wanted: self._button(wanted) for wanted in (*_STEPS, *_FROM)}
        self._lay_out()
        self.choice.activated.connect(self._on_set)
        self.classes.activated.connect(self._on_class)
        self.number.valueChanged.connect(self._on_number)
        context.albums.changed.connect(self._on_album)
        context.albums.aimed.connect(self._on_aim)
        self.offer()

    def _button(self, wanted: CommandId) -> QToolButton:
        row, button = command(wanted), QToolButton()
        button.setObjectName("tiny")
        button.setIcon(icon(row.icon))
        button.setToolTip(row.tip)
        button.setAccessibleName(row.title)
        button.clicked.connect(lambda: self._context.do(wanted))
        return button

    def _lay_out(self) -> None:
        sets, steps = QHBoxLayout(), QHBoxLayout()
        sets.addWidget(self.choice, 3)
        sets.addWidget(self.classes, 2)
        steps.setSpacing(0)  # on a laptop the scroll bar needs what is left
        steps.addWidget(self.buttons[CommandId.PREVIOUS_IMAGE])
        steps.addWidget(self.number, 1)
        for wanted in (CommandId.NEXT_IMAGE, CommandId.RANDOM_IMAGE):
            steps.addWidget(self.buttons[wanted])
        steps.addSpacing(4)
        for wanted in _FROM:
            steps.addWidget(self.buttons[wanted])
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(sets)
        column.addLayout(steps)

    def offer(self) -> None:
        """Offer the sets of the loaded model and what was opened."""
        seen = self._context.library.shelf.facts.seen
        embedded = () if seen is None else tuple(album_of(one) for one in seen.sets)
        self._albums = (*embedded, *self._context.albums.opened)
        self.choice.clear()
        self.choice.addItem(_OWN)
        for album in self._albums:
            self.choice.addItem(album.title, album)
        self.follow()

    @property
    def album(self) -> Album | None:
        """The set that is chosen from."""
        return self._albums[at] if (at := self.choice.currentIndex() - 1) >= 0 else None

    @property
    def _places(self) -> tuple[int, ...]:
        album = self.album
        chosen = self.classes.currentText() if self.classes.currentIndex() > 0 else ""
        return () if album is None else album.places(chosen)

    @property
    def _aimed(self) -> ImageInput | None:
        text = self._context.draft.text
        return text.corrupt_image if self._context.albums.corrupt else text.image

    def follow(self) -> None:
        """Show which image of a set the aimed one is."""
        image = self._aimed
        place = None if self.album is None else self.album.find(image)
        if place is None and image is not None:
            found = ((row, one.find(image)) for row, one in enumerate(self._albums, 1))
            row, place = next(((row, at) for row, at in found if at is not None), (0, None))
            self.choice.setCurrentIndex(row)
            self._show_classes()
        if place is not None and place not in self._places:
            self.classes.setCurrentIndex(0)
        self._show_number(place)

    def _show_classes(self) -> None:
        album = self.album
        held = () if album is None else album.classes
        if [self.classes.itemText(row) for row in range(1, self.classes.count())] != list(held):
            self.classes.clear()
            self.classes.addItems([_ALL, *held])
        self.classes.setVisible(bool(held))

    def _show_number(self, place: int | None) -> None:
        places = self._places
        self.number.blockSignals(True)
        self.number.setRange(0 if place is None else 1, len(places))
        self.number.setSuffix(f" of {len(places):,}")
        self.number.setSpecialValueText(f"{len(places):,} images" if place is None else "")
        self.number.setValue(0 if place is None else places.index(place) + 1)
        self.number.blockSignals(False)
        self.number.setVisible(bool(places))
        for wanted in _STEPS:
            self.buttons[wanted].setVisible(bool(self._albums))

    def _on_set(self, index: int) -> None:
        self._show_classes()
        self.classes.setCurrentIndex(0)
        self._take_first()

    def _on_class(self, index: int) -> None:
        self._take_first()

    def _take_first(self) -> None:
        if self._places:
            self.take(self._places[0])
        else:
            self._show_number(None)

    def _on_number(self, number: int) -> None:
        if 0 < number <= len(self._places):
            self.take(self._places[number - 1])

    def _on_album(self, album: object) -> None:
        self.offer()

    def _on_aim(self, corrupt: bool) -> None:
        self.follow()

    def step(self, by: int) -> None:
        """Go on by so many images, from the end to the beginning."""
        self._pick(lambda count, at: (at + by) % count if at >= 0 else 0)

    def any_one(self) -> None:
        """Take a random image of the set, another than now where there are several."""

        def other(count: int, at: int) -> int:
            return (max(at, 0) + 1 + int(self._random.integers(max(1, count - 1)))) % count

        self._pick(other)

    def _pick(self, chosen: Callable[[int, int], int]) -> None:
        if self.album is None and self._albums:
            self.choice.setCurrentIndex(1)
            self._show_classes()
        places = self._places
        if places and self.album is not None:
            # A second image is looked for from where the first one stands.
            place = self.album.find(self._aimed or self._context.draft.text.image)
            at = places.index(place) if place in places else -1
            self.take(places[chosen(len(places), at)])

    def take(self, place: int) -> None:
        """Ask about an image of the chosen set; its class is the answer, unless one was typed."""
        album, draft = self.album, self._context.draft
        if album is None:
            return
        words = self._context.library.shelf.facts.words
        corrupt = self._context.albums.corrupt
        draft.update(**asking(draft.text, album.image(place), corrupt=corrupt, words=words))
