"""The card of a unit: its images, histogram, selectivity, tuning and the units like it."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QBoxLayout,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from microtome.records.unit_card import UnitCard
from microtome_desktop.presenters.units import (
    card_sentences,
    card_title,
    frequency_curve,
    image_tip,
    orientation_curve,
    similar_rows,
)
from microtome_desktop.views.fonts import text_font
from microtome_desktop.views.image_view import ImageView
from microtome_desktop.views.lazy_rows import LazyColumn
from microtome_desktop.views.number_rows import NumberRows
from microtome_desktop.views.small_histogram import SmallHistogram
from microtome_desktop.views.unit_plots import FrequencyPlot, IndexBars, OrientationPlot

_IMAGES, _ACROSS, _SIDE = 10, 5, 66
_SIMILAR = (
    LazyColumn("unit", "unit", "A unit of the same layer", 96),
    LazyColumn("correlation", "correlation", "Of the activities over all images", 84, right=True),
    LazyColumn("cosine", "weights", "Cosine of the incoming weights", 64, right=True),
)
_SIMILAR_HEIGHT, _NARROW = 200, 520  # pixels


class UnitCardView(QScrollArea):
    """Two columns; emits the name of a similar unit that was chosen."""

    unit_chosen = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.card: UnitCard | None = None
        self.setObjectName("unit_card")
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.headline, self.said = QLabel(), QLabel()
        self.images = tuple(ImageView(side=_SIDE) for _ in range(_IMAGES))
        self.histogram, self.bars = SmallHistogram("images"), IndexBars()
        self.orientation, self.frequency = OrientationPlot(), FrequencyPlot()
        self.similar = NumberRows(
            _SIMILAR, "correlation", "unit", formats={"correlation": ".2f", "cosine": ".2f"}
        )
        self._dress()
        self._lay_out()
        self.similar.chosen.connect(self._on_similar)

    def _dress(self) -> None:
        self.headline.setFont(text_font(15))
        self.said.setObjectName("dim")
        self.said.setWordWrap(True)
        for label in (self.headline, self.said):
            label.setTextFormat(Qt.TextFormat.PlainText)
        self.similar.setObjectName("unit_similar")
        self.similar.setAccessibleName("similar units")
        self.similar.setFixedHeight(_SIMILAR_HEIGHT)
        for at, view in enumerate(self.images):
            view.setObjectName(f"unit_image_{at}")

    def _lay_out(self) -> None:
        inner = QWidget()
        left, right = QVBoxLayout(), QVBoxLayout()
        for column in (left, right):
            column.setSpacing(4)
        grid = QGridLayout()
        grid.setSpacing(4)
        for at, view in enumerate(self.images):
            grid.addWidget(view, at // _ACROSS, at % _ACROSS)
        left.addWidget(_head("Strongest images, and what the unit sees of them"))
        left.addLayout(grid)
        left.addWidget(_head("Strongest activity on each image: how many images"))
        left.addWidget(self.histogram)
        plots = QHBoxLayout()
        plots.addWidget(self.orientation, 1)
        plots.addWidget(self.frequency, 1)
        left.addWidget(_head("Gratings"))
        left.addLayout(plots)
        left.addStretch(1)
        right.addWidget(_head("Selectivity by domain and class"))
        right.addWidget(self.bars)
        right.addWidget(_head("Units like it"))
        right.addWidget(self.similar)
        right.addStretch(1)
        self._both = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self._both.setSpacing(14)
        self._both.addLayout(left, 6)
        self._both.addLayout(right, 5)
        whole = QVBoxLayout(inner)
        whole.setContentsMargins(4, 0, 8, 0)
        whole.setSpacing(5)
        for part in (self.headline, self.said):
            whole.addWidget(part)
        whole.addLayout(self._both, 1)
        self.setWidget(inner)
        for each in (inner, self.viewport()):
            each.setAutoFillBackground(False)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Two columns where there is room, one below the other where there is not."""
        super().resizeEvent(event)
        narrow = event.size().width() < _NARROW
        direction = QBoxLayout.Direction
        self._both.setDirection(direction.TopToBottom if narrow else direction.LeftToRight)

    def show_card(self, card: UnitCard) -> None:
        """Show the card of a unit."""
        self.card = card
        self.headline.setText(card_title(card))
        self.said.setText(card_sentences(card))
        for at, view in enumerate(self.images):
            there = at < len(card.images)
            view.setVisible(there)
            if there:
                name = card.classes[int(card.label[at])]
                view.show_image(card.images[at], title=name)
                view.mark(*card.box[at].tolist())
                view.setToolTip(image_tip(card, at))
        self.histogram.show_counts(card.counts, card.edges)
        names = (*card.domains, *card.classes)
        self.bars.show_bars(names, _joined(card), len(card.domains))
        preferred = card.params["orientation"] if card.params["grating_peak"] > 0 else None
        self.orientation.show_curve(*orientation_curve(card), preferred)
        self.frequency.show_curve(*frequency_curve(card))
        self.similar.show_values(similar_rows(card))
        self.similar.mark(None)

    def _on_similar(self, row: int) -> None:
        if self.card is not None:
            self.unit_chosen.emit(f"{self.card.unit.layer}/{int(self.card.similar[row])}")


def _joined(card: UnitCard) -> np.ndarray:
    return np.concatenate([card.by_domain, card.by_class])


def _head(text: str) -> QLabel:
    label = QLabel(text)
    label.setObjectName("section")
    return label
