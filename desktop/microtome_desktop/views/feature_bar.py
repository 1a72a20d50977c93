"""Above the features: which dictionary, the search, how many there are, and what can be opened."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSignalBlocker, Qt, QTimer, Signal
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QPushButton, QWidget

from microtome_desktop.presenters.feature_sources import FeatureSource
from microtome_desktop.views.choice import Choice
from microtome_desktop.views.elided import ElidedLabel

IMAGES, INDEX = "Images", "Patches"  # the two ways to look at features of a transformer that sees
_TYPING_MS = 150  # a search waits for the next letter


class FeatureBar(QWidget):
    """Emits what was chosen and searched."""

    chosen = Signal(str)  # the fingerprint of a dictionary
    searched = Signal(str)
    view_chosen = Signal()  # images or the index

    def __init__(self) -> None:
        super().__init__()
        self.source = Choice()
        self.source.setObjectName("feature_source")
        self.source.setAccessibleName("dictionary")
        self.source.setPlaceholderText("no dictionary")
        self.view = Choice()
        self.view.setObjectName("feature_view")
        self.view.setAccessibleName("what features are shown by")
        self.view.addItems([IMAGES, INDEX])
        self.view.setToolTip(
            "By whole images and their classes, or by single patches, as words are"
        )
        self.view.hide()
        self.search = QLineEdit()
        self.search.setObjectName("feature_search")
        self.search.setPlaceholderText("Search labels, notes, tokens, numbers")
        self.search.setAccessibleName("search features")
        self.search.setClearButtonEnabled(True)
        self.said = ElidedLabel()
        self.open, self.look = QPushButton("Open…"), QPushButton()
        self.open.setObjectName("feature_open")
        self.look.setObjectName("feature_look")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(6)
        for part, stretch in (
            (self.source, 3), (self.view, 0), (self.search, 3), (self.said, 2), (self.open, 0),
            (self.look, 0),
        ):  # fmt: skip
            row.addWidget(part, stretch)
        self._typing = QTimer(self, singleShot=True, interval=_TYPING_MS)
        self.source.activated.connect(self._on_source)
        self.view.activated.connect(self._on_view)
        self.search.textChanged.connect(self._typing.start)
        self._typing.timeout.connect(self._on_typed)

    @property
    def by_images(self) -> bool:
        """Whether images are chosen, where there are both."""
        return self.view.currentText() == IMAGES

    def look_by(self, view: str) -> None:
        """Choose images or the index."""
        self.view.setCurrentIndex(max(0, self.view.findText(view)))

    def offer(self, sources: Sequence[FeatureSource], current: str) -> None:
        """What there is, and which of it is looked at."""
        with QSignalBlocker(self.source):
            self.source.clear()
            for at, one in enumerate(sources):
                self.source.addItem(one.name, one.fingerprint)
                self.source.setItemData(at, one.told, Qt.ItemDataRole.ToolTipRole)
            self.source.setCurrentIndex(self.source.findData(current) if current else -1)

    def show_able(self, *, stops: bool, why_no_index: str, why_no_open: str) -> None:
        """What the buttons do now, and why not."""
        self.look.setText("Stop" if stops else "Look through…")
        self.look.setEnabled(stops or not why_no_index)
        tip = "Read a text, and keep where each feature is on"
        self.look.setToolTip("Stop it" if stops else why_no_index or tip)
        self.open.setEnabled(not why_no_open)
        self.open.setToolTip(why_no_open or "Open a sparse dictionary of the loaded model")

    def _on_source(self, row: int) -> None:
        self.chosen.emit(str(self.source.itemData(row)))

    def _on_view(self, _row: int) -> None:
        self.view_chosen.emit()

    def _on_typed(self) -> None:
        self.searched.emit(self.search.text())
