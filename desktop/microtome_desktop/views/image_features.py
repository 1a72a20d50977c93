"""The page of the Features panel for a model that sees: what features answer to among images."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import (
    QFileDialog,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QSplitter,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from microtome.images.sets import image_set_names
from microtome.records.analysis import Analysis
from microtome.records.feature_selectivity import FeatureSelectivity, selectivity_of
from microtome.records.neuron_prints import layer_of_neurons
from microtome_desktop.commands.command import CommandId
from microtome_desktop.jobs.image_feature_requests import ShowImages
from microtome_desktop.presenters.feature_sources import FeatureSource
from microtome_desktop.presenters.image_features import (
    NO_IMAGES,
    example_tip,
    feature_columns,
    feature_sentence,
    features_export,
    image_feature_lines,
    left_out,
)
from microtome_desktop.presenters.units import images_title
from microtome_desktop.state.exports import Table
from microtome_desktop.state.image_features import selectivities, source_of
from microtome_desktop.views.fonts import text_font
from microtome_desktop.views.form_fields import choice
from microtome_desktop.views.image_view import ImageView
from microtome_desktop.views.lazy_rows import LazyColumn
from microtome_desktop.views.number_rows import NumberRows
from microtome_desktop.views.panel import PanelContext
from microtome_desktop.views.preparing import prepared_by
from microtome_desktop.views.text_flow import EmptyState

IMAGE_FEATURES = "image features"  # begins the key of what is prepared
_COLUMNS = (
    LazyColumn("feature", "feature", "Its number in the dictionary", 56, right=True),
    LazyColumn("class", "class", "The class that it is most selective for", 60),
    LazyColumn("by_class", "index", "Selectivity for that class: (mean inside − mean outside) / "
               "(sum of both standard deviations) of its mean code over an image", 50, right=True),
    LazyColumn("domain", "domain", "The domain that it is most selective for", 60),
    LazyColumn("by_domain", "index", "Selectivity for that domain", 50, right=True),
    LazyColumn("rate", "rate", "At how many places of the images it is on", 48, right=True),
    LazyColumn("peak", "max", "Its largest code at any place", 48, right=True),
)  # fmt: skip
_FORMATS = {"feature": ".0f", "by_class": ".2f", "by_domain": ".2f", "rate": ".1%"}
_ACROSS, _IMAGES, _SIDE = 5, 10, 96
_FOLDER = "Folder\N{HORIZONTAL ELLIPSIS}"


class ImageFeatures(QWidget):
    """The table at the left, the strongest images of the chosen feature at the right."""

    chosen = Signal(int)

    def __init__(self, context: PanelContext) -> None:
        super().__init__()
        self._context, self._prepare = context, prepared_by(context)
        self._source: FeatureSource | None = None
        self._feature: int | None = None
        self.held: FeatureSelectivity | None = None
        self.images = choice("feature_images", "images that are shown", ())
        self.run, self.visualise = QPushButton("Show"), QPushButton("Visualise")
        self.run.setObjectName("feature_images_run")
        self.visualise.setObjectName("feature_visualise")
        self.rows = NumberRows(_COLUMNS, "by_class", "class", formats=_FORMATS)
        self.rows.setObjectName("image_feature_table")
        self.rows.setAccessibleName("features on images")
        self.headline, self.said = QLabel(), QLabel()
        self.views = tuple(ImageView(side=_SIDE) for _ in range(_IMAGES))
        self.empty, self.waiting = EmptyState(), EmptyState()
        self.pages, self.cards = QStackedWidget(), QStackedWidget()
        self._lay_out()
        self.run.clicked.connect(self.read)
        self.visualise.clicked.connect(partial(context.do, CommandId.VISUALISE_FEATURE))
        self.images.activated.connect(self._on_images)
        self.rows.chosen.connect(self.chosen)

    def _lay_out(self) -> None:
        bar = QHBoxLayout()
        label = QLabel("On images of")
        label.setObjectName("dim")
        for part in (label, self.images, self.run):
            bar.addWidget(part)
        bar.addStretch(1)
        self.waiting.tell("Choose a feature", "A row of the table shows its strongest images.")
        self.cards.addWidget(self.waiting)
        self.cards.addWidget(self._scrolled(self._card()))
        self.parts = QSplitter(Qt.Orientation.Horizontal)
        self.parts.setChildrenCollapsible(False)
        self.parts.addWidget(self.rows)
        self.parts.addWidget(self.cards)
        self.parts.setStretchFactor(0, 5)
        self.parts.setStretchFactor(1, 4)
        self.pages.addWidget(self.empty)
        self.pages.addWidget(self.parts)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(6)
        whole.addLayout(bar)
        whole.addWidget(self.pages, 1)

    def _scrolled(self, card: QWidget) -> QScrollArea:
        area = QScrollArea()
        area.setObjectName("clear")
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(card)
        area.setMinimumWidth(220)
        for each in (card, area.viewport()):
            each.setAutoFillBackground(False)
        return area

    def _card(self) -> QWidget:
        self.headline.setFont(text_font(15))
        self.said.setObjectName("dim")
        self.said.setWordWrap(True)
        for label in (self.headline, self.said):
            label.setTextFormat(Qt.TextFormat.PlainText)
        top, grid, card = QHBoxLayout(), QGridLayout(), QWidget()
        top.addWidget(self.headline, 1)
        top.addWidget(self.visualise)
        grid.setSpacing(4)
        for at, view in enumerate(self.views):
            view.setObjectName(f"feature_image_{at}")
            grid.addWidget(view, at // _ACROSS, at % _ACROSS)
        column = QVBoxLayout(card)
        column.setContentsMargins(4, 0, 8, 0)
        column.setSpacing(6)
        column.addLayout(top)
        column.addWidget(self.said)
        column.addLayout(grid)
        column.addStretch(1)
        return card

    # what is shown

    @property
    def feature(self) -> int | None:
        """The selected feature, where it is one of these."""
        source, held = self._source, self._context.selection.current.feature
        if self.held is None or source is None or held is None or held[0] != source.fingerprint:
            return None
        return held[1] if 0 <= held[1] < len(self.held.rate) else None

    def fits(self, source: FeatureSource | None) -> bool:
        """Whether a dictionary can be looked at here: it is of a model that sees, no neurons."""
        session = self._context.workspace.session
        sees = session is not None and session.model.sees
        return source is not None and sees and layer_of_neurons(source.fingerprint) is None

    def show_for(self, source: FeatureSource | None) -> bool:
        """Look at a dictionary; false where it does not fit."""
        session = self._context.workspace.session
        if source is None or not self.fits(source):
            self._source = self.held = None
            return False
        found = selectivities(session, source.fingerprint)
        fresh = self._source is None or self._source.fingerprint != source.fingerprint
        self._source = source
        self._offer([source_of(one) for one in found], fresh=fresh)
        mine = [one for one in found if source_of(one) == self._images]
        self._show(mine[-1] if mine else None)
        return True

    @property
    def _images(self) -> str:
        """A set's name, or its folder."""
        return str(self.images.currentData() or "")

    def _offer(self, held: list[str], *, fresh: bool) -> None:
        """Sets that are embedded or were shown; of a dictionary that comes anew, the last shown."""
        session = self._context.workspace.session
        own = () if session is None else image_set_names(session.model.name.partition("@")[0])
        names = tuple(dict.fromkeys((*own, *image_set_names())))[::-1]  # the first comes last
        before = self._images
        with QSignalBlocker(self.images):
            for images in (*names, *held):
                self._insert(images)
            if self.images.findText(_FOLDER) < 0:
                self.images.addItem(_FOLDER)
            wanted = held[-1] if held and fresh else before
            self.images.setCurrentIndex(max(0, self.images.findData(wanted)))

    def _insert(self, images: str) -> None:
        """Offer a set in front; of two folders of one name the second is told by its place."""
        if self.images.findData(images) < 0:
            named = images_title(images)
            self.images.insertItem(0, named if self.images.findText(named) < 0 else images, images)
            self.images.setItemData(0, images, Qt.ItemDataRole.ToolTipRole)

    def _show(self, analysis: Analysis | None) -> None:
        if analysis is None:
            self.held = None
        elif self.held is None or self.held.analysis is not analysis:
            key = (IMAGE_FEATURES, analysis)
            found = self._prepare(key, partial(selectivity_of, analysis))
            self.held = found if isinstance(found, FeatureSelectivity) else None
            if self.held is not None:
                self.rows.show_values(feature_columns(self.held))
        self.show_able()
        self.pages.setCurrentIndex(0 if self.held is None else 1)
        if self.held is None and self._source is not None:
            reason = self._context.why_not(CommandId.INDEX_FEATURES)
            self.empty.tell(self._source.name, reason or NO_IMAGES)
        self.mark()

    def show_able(self) -> None:
        """What the buttons can do, and why not."""
        for button, wanted, tip in (
            (self.run, CommandId.INDEX_FEATURES, "Show these images to the model and all features"),
            (self.visualise, CommandId.VISUALISE_FEATURE,
             "Make pictures for this feature, in the tab Visualise"),
        ):  # fmt: skip
            reason = self._context.why_not(wanted)
            button.setEnabled(not reason)
            button.setToolTip(reason or tip)

    def mark(self) -> None:
        """Show the selected feature."""
        feature, held = self.feature, self.held
        self.rows.mark(feature)
        self.show_able()
        self.cards.setCurrentIndex(0 if feature is None else 1)
        if feature is None or held is None or self._source is None:
            return
        self.headline.setText(f"Feature {feature} \N{MIDDLE DOT} {held.analysis.params['layer']}")
        self.said.setText(feature_sentence(held, feature))
        examples = held.examples(feature)
        for at, view in enumerate(self.views):
            view.setVisible(at < len(examples))
            if at < len(examples):
                kept, row = examples[at]
                name = held.classes[int(held.label[row])]
                title = f"{name} {float(held.strongest[feature, kept]):.3g}"
                view.show_image(held.thumbnails[row], held.map_of(feature, kept), title=title)
                view.setToolTip(example_tip(held, feature, kept, row))

    def told(self) -> str:
        """What is shown, for the bar above."""
        if self.held is None:
            return ""
        silent, params = int((self.held.rate == 0).sum()), self.held.analysis.params
        return (
            f"{len(self.held.rate):,} features · {silent:,} silent · "
            f"{params['set_images']:,} images of {params['images']}{left_out(self.held)}"
        )

    # acts

    @property
    def alone(self) -> bool:
        """Whether the dictionary can be shown images alone: a net without sites reads no text."""
        session = self._context.workspace.session
        return self._source is not None and session is not None and session.model.n_layers == 0

    def read(self) -> None:
        """Show the chosen images to the dictionary."""
        if self._source is not None and self._images:
            asked = ShowImages(self._source.fingerprint, self._source.name, self._images)
            self._context.ask(asked)

    def _on_images(self, row: int) -> None:
        if self.images.itemText(row) == _FOLDER:
            folder = QFileDialog.getExistingDirectory(self, "Folder of an image set")
            with QSignalBlocker(self.images):
                if folder:
                    self._insert(folder)
                self.images.setCurrentIndex(max(0, self.images.findData(folder)))
        self.show_for(self._source)

    # what leaves the panel

    def exported(self) -> Callable[[], Table] | None:
        """What makes the table of all features; None where there is none."""
        return None if self.held is None else partial(features_export, self.held)

    def lines(self) -> tuple[str, ...] | None:
        """The lines of Python that repeat it."""
        session = self._context.workspace.session
        if session is None or self.held is None:
            return None
        return image_feature_lines(session, self.held, self._images)
