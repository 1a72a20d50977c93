"""The features of a sparse dictionary, or neurons as one: a table of all, and the card of one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import (
    QScrollArea,
    QSplitter,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from microtome.records.feature_index import FeatureIndex
from microtome.records.marks import feature_target
from microtome.records.neuron_prints import layer_of_neurons
from microtome.records.session import Session
from microtome_desktop.commands.command import CommandId
from microtome_desktop.jobs.feature_requests import INDEX_SLOT
from microtome_desktop.presenters import exports
from microtome_desktop.presenters.feature_card import FeatureCard, card_table, feature_card
from microtome_desktop.presenters.feature_python import feature_lines
from microtome_desktop.presenters.feature_sources import NO_INDEX, FeatureSource, feature_sources
from microtome_desktop.presenters.feature_table import KEYS, FeatureTable, feature_table
from microtome_desktop.presenters.notes import target_title, with_note
from microtome_desktop.state.exports import Table
from microtome_desktop.state.features import index_with, labels_in, notes_in
from microtome_desktop.state.selection import Selected
from microtome_desktop.state.work import Piece
from microtome_desktop.views.card_export import CardExport
from microtome_desktop.views.feature_bar import IMAGES, INDEX, FeatureBar
from microtome_desktop.views.feature_card import FeatureCardView
from microtome_desktop.views.feature_hover import FeatureHover
from microtome_desktop.views.feature_naming import FeatureNaming
from microtome_desktop.views.feature_rows import FeatureRows
from microtome_desktop.views.feature_run import FeatureRun
from microtome_desktop.views.feature_start import FeatureStart
from microtome_desktop.views.image_features import IMAGE_FEATURES, ImageFeatures
from microtome_desktop.views.panel import Panel, PanelContext
from microtome_desktop.views.preparing import prepared_by

_PREPARED = frozenset({"feature table", "feature card", "codes", IMAGE_FEATURES})


class FeaturesPanel(Panel):
    """Which dictionary above, its features at the left, one of them at the right."""

    name = "features"
    title = "Features"
    icon = "mdi6.creation"

    def __init__(self, context: PanelContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self._sources: tuple[FeatureSource, ...] = ()
        self._key: object = None  # of the table that is shown
        self.table: FeatureTable | None = None
        self.card: FeatureCard | None = None
        self._prepare = prepared_by(context)
        self.bar = FeatureBar()
        self.source, self.search, self.said = self.bar.source, self.bar.search, self.bar.said
        self.look = self.bar.look
        self.rows, self.view = FeatureRows(), FeatureCardView()
        self.run = FeatureRun(self, context, self.view)
        self.hovering = FeatureHover(self, context)
        self.card_menu = CardExport(context, self.view.export, self.view, self._card_table)
        self.naming = FeatureNaming(self, context, self.view)
        self.start, self.images = FeatureStart(context), ImageFeatures(context)
        self._lay_out()
        self._connect()
        self.show_session()

    def _lay_out(self) -> None:
        self.area = QScrollArea()
        self.area.setObjectName("clear")
        self.area.setWidgetResizable(True)
        self.area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.area.setWidget(self.view)
        self.area.viewport().setAutoFillBackground(False)
        self.view.setAutoFillBackground(False)
        self.area.setMinimumWidth(220)
        self.both = QSplitter(Qt.Orientation.Horizontal)
        self.both.setChildrenCollapsible(False)
        self.both.addWidget(self.rows)
        self.both.addWidget(self.area)
        self.both.setStretchFactor(0, 5)
        self.both.setStretchFactor(1, 4)
        self.pages = QStackedWidget()
        self.pages.addWidget(self.start)
        self.pages.addWidget(self.both)
        self.pages.addWidget(self.images)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(10, 6, 8, 6)
        whole.setSpacing(4)
        whole.addWidget(self.bar)
        whole.addWidget(self.pages, 1)

    def _connect(self) -> None:
        self.bar.chosen.connect(self.context.dictionaries.choose)
        self.bar.open.clicked.connect(partial(self.context.do, CommandId.OPEN_DICTIONARY))
        self.bar.view_chosen.connect(self._show)
        self.look.clicked.connect(self._on_look)
        self.bar.searched.connect(self._on_search)
        self.rows.chosen.connect(self.choose)
        self.images.chosen.connect(self.choose)
        self.view.feature_chosen.connect(self.choose)
        self.view.proposal_wanted.connect(partial(self.context.do, CommandId.PROPOSE_LABELS))
        self.view.noted.connect(self._on_noted)
        self.view.position_chosen.connect(self._on_position)
        self.context.dictionaries.changed.connect(self._on_dictionaries)
        self.context.workspace.prepared.arrived.connect(self._on_prepared)
        self.context.work.changed.connect(self._on_work)

    # what is chosen

    @property
    def _session(self) -> Session | None:
        return self.context.workspace.session

    @property
    def current(self) -> FeatureSource | None:
        """The dictionary that is looked at."""
        wanted = self.context.dictionaries.current
        return next((one for one in self._sources if one.fingerprint == wanted), None)

    @property
    def feature(self) -> int | None:
        """The feature whose card is shown: the selected one, if it is of this dictionary."""
        held, source = self.context.selection.current.feature, self.current
        if held is None or source is None or self.table is None or held[0] != source.fingerprint:
            return None
        return held[1] if 0 <= held[1] < self.table.n_features else None

    def choose(self, feature: int) -> None:
        """Select a feature of the dictionary, here and everywhere."""
        if self.current is not None:
            self.context.selection.update(feature=(self.current.fingerprint, feature))

    @property
    def labels(self) -> dict[int, str]:
        """The user's labels of this dictionary."""
        source = self.current
        return {} if source is None else labels_in(self._session, source.fingerprint)

    @property
    def notes(self) -> dict[int, str]:
        """What the user wrote on features of this dictionary."""
        source = self.current
        return {} if source is None else notes_in(self._session, source.fingerprint)

    def _on_look(self) -> None:
        piece = self._job()
        if piece is not None:
            self.context.stop(piece.number)
        else:
            self.context.do(CommandId.INDEX_FEATURES)

    def _job(self) -> Piece | None:
        pieces = (p for p in self.context.work.pieces if p.slot == INDEX_SLOT and p.under_way)
        return next(pieces, None)

    def _on_search(self, text: str) -> None:
        self.rows.search(text)
        self._say()

    def _on_position(self, position: int) -> None:
        self.context.selection.update(position=position, prompt=None)

    def _on_noted(self, target: str, text: str) -> None:
        session, book = self._session, self.context.book
        if session is not None:
            now = datetime.now(UTC).isoformat(timespec="seconds")
            title = f"Note on {target_title(session, target)}"
            book.mark(title, notes=with_note(book.marks, target, text, now))

    # what is shown

    def show_session(self) -> None:
        """Offer what there is, and show what was chosen."""
        self.restore_once()
        self._offer()

    def show_model(self) -> None:
        """Neurons come and go with the model."""
        self._offer()

    def show_part(self, part: str) -> None:
        """An index or labels have arrived, or another run."""
        if part.startswith(("analyses/feature-index", "analyses/feature-selectivity")):
            self.bar.look_by(INDEX if part.startswith("analyses/feature-index") else IMAGES)
            self._offer()
        elif part == "marks" or part.startswith("analyses/feature-labels"):
            self._show_labels()
        elif part == "traces" or part.startswith("analyses/shared-"):
            self.run.show(self.current, self.feature)

    def show_selection(self, selected: Selected, changed: frozenset[str]) -> None:
        """Follow a feature that was selected, also one of another dictionary."""
        if "feature" in changed:
            if selected.feature is not None:
                known = {one.fingerprint for one in self._sources}
                if selected.feature[0] in known:
                    self.context.dictionaries.choose(selected.feature[0])
            self.rows.mark(self.feature)
            self.images.mark()
            self._show_card()
        if "position" in changed:
            self.view.chips.select(selected.position)

    def _on_dictionaries(self) -> None:
        self.context.later((self, "dictionaries"), self._offer)

    def _on_work(self, *_: object) -> None:
        self.context.later((self, "work"), self._show_able)

    def _on_prepared(self, key: object) -> None:
        if isinstance(key, tuple) and key and key[0] in _PREPARED:
            self.context.later((self, "prepared"), self._show)

    def _offer(self) -> None:
        workspace, open_ones = self.context.workspace, self.context.dictionaries
        model = None if workspace.offline else workspace.model
        self._sources = feature_sources(self._session, open_ones.held, model)
        known = [one.fingerprint for one in self._sources]
        if open_ones.current not in known:
            indexed = [each for each in known if index_with(self._session, each) is not None]
            open_ones.choose(indexed[0] if indexed else "")
        self.bar.offer(self._sources, open_ones.current)
        self._show()

    def _show(self) -> None:
        source = self.current
        held = None if source is None else index_with(self._session, source.fingerprint)
        self.source.setToolTip("" if source is None else source.told)
        both = held is not None and self.images.fits(source)
        self.bar.view.setVisible(both)
        if held is None or (both and self.bar.by_images):
            self._show_nothing(source)
        elif self._key is not held:
            table = self._prepare(("feature table", held), partial(feature_table, held))
            if table is None:
                self._show_nothing(source, "The index is being read…")
            else:
                self.naming.fingerprint = source.fingerprint if source is not None else ""
                self._key, self.table = held, self.naming.table(table)
                self.rows.show_table(self.table, self.labels, self.notes)
                self.rows.mark(self.feature)
                self.pages.setCurrentWidget(self.both)
                self._show_card()
        else:
            self._show_card()
        self.search.setHidden(self.pages.currentWidget() is self.images)
        self._say()
        self._show_able()

    def _show_nothing(self, source: FeatureSource | None, why: str = "") -> None:
        self._key = self.table = self.card = None
        self.rows.show_table(None, {})
        seen = not why and self.images.show_for(source)
        if not seen:
            self.start.show_for(source, why)
        self.pages.setCurrentWidget(self.images if seen else self.start)

    def _show_card(self) -> None:
        feature, table, source = self.feature, self.table, self.current
        self.area.setVisible(feature is not None)
        if feature is None or table is None or source is None:
            self.card = None
            return
        if self.card is None or self.card.feature != feature or self._card_of is not table.index:
            key = ("feature card", table.index, feature)
            make = partial(feature_card, table, feature, self.labels)
            found = make() if table.in_memory else self._prepare(key, make)
            if not isinstance(found, FeatureCard):
                return
            self.card, self._card_of = found, table.index
            layer = layer_of_neurons(source.fingerprint)
            kind = "Feature" if layer is None else "Neuron"
            name = source.name if layer is None else f"layer {layer}"
            self.view.show_card(found, name, kind=kind)
            self.naming.show(table, feature)
            self._show_note()
            self.area.verticalScrollBar().setValue(0)
        self.run.show(self.current, self.feature)

    _card_of: FeatureIndex | None = None

    def _show_labels(self) -> None:
        if self.table is not None:
            self.table = self.naming.table(self.table)
        self.rows.show_labels(self.table, self.labels, self.notes)
        if self.feature is not None and self.table is not None:
            self.naming.show(self.table, self.feature)
            self._show_note()

    def _show_note(self) -> None:
        source, feature = self.current, self.feature
        if source is not None and feature is not None:
            target = feature_target(source.fingerprint, feature)
            self.view.show_note(target, self.context.book.marks.note(target))

    def _say(self) -> None:
        table = self.table
        if table is None:
            self.said.setText(self.images.told())
            return
        shown, whole = len(self.rows.rows), table.n_features
        dead = int((table.figures["rate"] == 0).sum())
        told = f"{shown:,} of {whole:,}" if shown < whole else f"{whole:,} features"
        params = table.index.params
        self.said.setText(
            f"{told} · {dead:,} silent · {table.index.n_positions:,} positions of "
            f"{params.get('corpus', 'a text')}"
        )

    def _show_able(self) -> None:
        piece, why_not = self._job(), self.context.why_not
        self.bar.show_able(
            stops=piece is not None, why_no_index=why_not(CommandId.INDEX_FEATURES),
            why_no_open=why_not(CommandId.OPEN_DICTIONARY),
        )  # fmt: skip
        self.start.show_work(piece)
        self.images.show_able()

    def showEvent(self, event: QShowEvent) -> None:
        """Ask for what only matters when it is seen."""
        super().showEvent(event)
        self.run.show(self.current, self.feature)

    # what leaves the panel

    def view_state(self) -> dict[str, Any]:
        """Which dictionary and feature, and how the table is sorted and searched."""
        key, descending = self.rows.sorted_by()
        source = self.current
        return {
            "dictionary": "" if source is None else source.fingerprint,
            "feature": self.images.feature if self.table is None else self.feature,
            "sorted": key,
            "descending": descending,
            "search": self.search.text(),
            "view": self.bar.view.currentText(),
            "columns": self.rows.columns.state(),
        }

    def restore_view(self, held: dict[str, Any]) -> None:
        """Set the panel as a session was saved."""
        dictionary, feature = held.get("dictionary"), held.get("feature")
        if held.get("sorted") in KEYS:
            self.rows.sort_by(str(held["sorted"]), descending=held.get("descending") is not False)
        self.rows.columns.restore(held.get("columns"))
        self.bar.look_by(str(held.get("view", IMAGES)))
        if isinstance(held.get("search"), str):
            self.search.setText(held["search"])
        if isinstance(dictionary, str) and dictionary:
            self.context.dictionaries.choose(dictionary)
            if isinstance(feature, int):
                self.context.selection.update(feature=(dictionary, feature))

    def _card_table(self) -> Callable[[], Table] | None:
        if self.card is None:
            return None
        feature = self.card.feature
        return partial(
            card_table, self.card, self.labels.get(feature, ""), self.notes.get(feature, "")
        )

    def exported_table(self) -> Callable[[], Table] | str:
        """The rows of the table, sorted and searched as it is."""
        if self._session is None:
            return exports.NO_RUN
        return self.rows.exported() or self.images.exported() or NO_INDEX

    def exported_lines(self) -> tuple[str, ...] | str:
        """The index, and the row of the selected feature."""
        session, source = self._session, self.current
        if session is None:
            return exports.NO_RUN
        held = None if source is None else index_with(session, source.fingerprint)
        if held is None or self.table is None:
            return self.images.lines() or NO_INDEX
        return feature_lines(session, held, self.feature)
