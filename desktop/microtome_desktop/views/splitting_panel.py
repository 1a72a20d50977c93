"""Feature splitting: a small and a large dictionary side by side."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QLineEdit, QSplitter, QStackedWidget, QVBoxLayout, QWidget

from microtome.records.analysis import Analysis
from microtome_desktop.commands.command import CommandId
from microtome_desktop.jobs.split_requests import SPLIT_SLOT, CompareDictionaries
from microtome_desktop.presenters import exports
from microtome_desktop.presenters.splitting import (
    KEYS,
    SplitTable,
    pairs_offered,
    said_of,
    split_lines,
    split_table,
    splits_export,
)
from microtome_desktop.state.exports import Table
from microtome_desktop.state.features import Labels, index_with, labels_in
from microtome_desktop.state.selection import Selected
from microtome_desktop.state.splits import Side, comparison_of, sides_of, splits_in
from microtome_desktop.state.work import Piece
from microtome_desktop.views.elided import ElidedLabel
from microtome_desktop.views.panel import Panel, PanelContext
from microtome_desktop.views.preparing import prepared_by
from microtome_desktop.views.split_asking import SplitAsking
from microtome_desktop.views.split_drawing import SplitDrawing
from microtome_desktop.views.split_rows import SplitRows
from microtome_desktop.views.text_flow import EmptyState

NOTHING = "Nothing was compared yet: press Compare."
_ADVICE = (
    "A large dictionary often has several narrow features where a small one has a wide one. "
    "Compare reads a text through both and finds for each small feature the large ones that are "
    "on where it is and write along it."
)
_TYPING_MS = 150


class SplittingPanel(Panel):
    """The features of the small dictionary at the left, the parts of one of them at the right."""

    name = "splitting"
    title = "Splitting"
    icon = "mdi6.source-branch"

    def __init__(self, context: PanelContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self.table: SplitTable | None = None
        self._key: object = None  # of the table that is shown
        self._feature: int | None = None
        self._prepare = prepared_by(context)
        self.asking = SplitAsking(context.settings)
        self.search = QLineEdit()
        self.search.setObjectName("split_search")
        self.search.setPlaceholderText("Search labels, tokens, numbers, also of parts")
        self.search.setAccessibleName("search features")
        self.search.setClearButtonEnabled(True)
        self.rows, self.drawing, self.said = SplitRows(), SplitDrawing(), ElidedLabel()
        self.empty = EmptyState()
        self._typing = QTimer(self, singleShot=True, interval=_TYPING_MS)
        self._lay_out()
        self._connect()
        self.show_session()

    def _lay_out(self) -> None:
        left = QWidget()
        column = QVBoxLayout(left)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        for part in (self.search, self.rows, self.said):
            column.addWidget(part)
        self.both = QSplitter(Qt.Orientation.Horizontal)
        self.both.setChildrenCollapsible(False)
        self.both.addWidget(left)
        self.both.addWidget(self.drawing)
        self.both.setStretchFactor(0, 4)
        self.both.setStretchFactor(1, 6)
        self.both.setSizes([350, 530])
        self.pages = QStackedWidget()
        self.pages.addWidget(self.empty)
        self.pages.addWidget(self.both)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(10, 6, 8, 6)
        whole.setSpacing(6)
        whole.addWidget(self.asking)
        whole.addWidget(self.pages, 1)

    def _connect(self) -> None:
        self.asking.pair_chosen.connect(self._show)
        self.asking.asked.connect(self._on_compare)
        self.empty.offered.connect(self._on_compare)
        self.search.textChanged.connect(self._typing.start)
        self._typing.timeout.connect(lambda: self.rows.search(self.search.text()))
        self.rows.chosen.connect(self._on_row)
        self.drawing.whole_chosen.connect(self._on_row)
        self.drawing.part_chosen.connect(self._on_part_chosen)
        self.drawing.part_hovered.connect(self._on_hover)
        self.context.dictionaries.changed.connect(self._on_dictionaries)
        self.context.workspace.prepared.arrived.connect(self._on_prepared)
        self.context.work.changed.connect(self._on_work)

    # what is chosen

    @property
    def comparison(self) -> Analysis | None:
        """The comparison of the chosen pair, None where it was not made."""
        pair = self.asking.chosen()
        return None if pair is None else comparison_of(self.context.workspace.session, pair)

    @property
    def feature(self) -> int | None:
        """The feature of the small dictionary whose parts are shown."""
        return self._feature

    def _prints(self) -> tuple[str, str]:
        held = self.comparison
        told = {} if held is None else held.params
        return str(told.get("small_fingerprint", "")), str(told.get("large_fingerprint", ""))

    def _labels(self) -> tuple[Labels, Labels]:
        session, (small, large) = self.context.workspace.session, self._prints()
        return labels_in(session, small), labels_in(session, large)

    def _on_row(self, feature: int) -> None:
        self.context.selection.update(feature=(self._prints()[0], feature))

    def _on_part_chosen(self, feature: int) -> None:
        self.context.selection.update(feature=(self._prints()[1], feature))

    def _on_hover(self, feature: int) -> None:
        found = (self._prints()[1], feature) if feature >= 0 else None
        self.context.selection.update(hovered_feature=found)

    def _on_compare(self) -> None:
        piece = self._job()
        if piece is not None:
            self.context.stop(piece.number)
        else:
            self.compare()

    def compare(self) -> None:
        """Compare the chosen pair, also once more."""
        wish = self.asking.wish()
        if wish is not None and not self.context.why_not(CommandId.SPLIT_FEATURES):
            self.context.ask(CompareDictionaries(wish))

    def _job(self) -> Piece | None:
        pieces = (p for p in self.context.work.pieces if p.slot == SPLIT_SLOT and p.under_way)
        return next(pieces, None)

    # what is shown

    def show_session(self) -> None:
        """Offer the pairs, and show what was compared."""
        self._offer()
        self._choose_compared()
        self.restore_once()
        self._show()

    def show_model(self) -> None:
        """Embedded pairs are the model's."""
        self._offer()
        self._show()

    def show_part(self, part: str) -> None:
        """A comparison, an index or labels have arrived."""
        if part.startswith(("analyses/feature-splits", "analyses/feature-index")):
            self._offer()
            if part.startswith("analyses/feature-splits"):
                self._choose_compared()
            self._show()
        elif part == "marks" or part.startswith("analyses/feature-labels"):
            self.rows.show_labels(self._labels()[0])
            self._show_feature()

    def show_selection(self, selected: Selected, changed: frozenset[str]) -> None:
        """Follow the selected feature, whichever of the two it belongs to."""
        if "feature" in changed:
            self._follow()
            self._show_feature()

    def _on_dictionaries(self) -> None:
        self.context.later((self, "dictionaries"), self._offer)

    def _on_work(self, *_: object) -> None:
        self.context.later((self, "work"), self._show_able)

    def _on_prepared(self, key: object) -> None:
        if isinstance(key, tuple) and key[:1] == ("feature splits",):
            self.context.later((self, "prepared"), self._show)

    def _offer(self) -> None:
        workspace = self.context.workspace
        model = None if workspace.offline else workspace.model
        held = self.context.dictionaries.held
        self.asking.offer(pairs_offered(workspace.session, held, model))
        self._show_able()

    def _choose_compared(self) -> None:
        """Of a session that comes or a comparison that arrives, show what there is."""
        found = splits_in(self.context.workspace.session)
        if found and self.comparison is None:
            self.asking.choose(sides_of(found[-1]))

    def _show(self) -> None:
        session, held = self.context.workspace.session, self.comparison
        if held is None:
            self._show_nothing()
        else:
            indexes = tuple(index_with(session, each) for each in self._prints())
            key = ("feature splits", held, *indexes)
            if self._key != key:
                table = self._prepare(key, partial(split_table, held, *indexes))
                if table is None:
                    self._show_nothing("The comparison is being read…")
                    return
                self._key, self.table = key, table
                self.rows.show_table(table, self._labels()[0])
                self.said.setText(said_of(table))
                self.said.setToolTip(said_of(table))
                self.pages.setCurrentWidget(self.both)
                self._follow()
            self._show_feature()
        self._show_able()

    def _show_nothing(self, why: str = "") -> None:
        self._key = self.table = self._feature = None
        self.rows.show_table(None, {})
        self.pages.setCurrentWidget(self.empty)
        reason, pair = self.context.why_not(CommandId.SPLIT_FEATURES), self.asking.chosen()
        title = "How features split" if pair is None else self.asking.pair.currentText()
        able = not (why or reason or pair is None)
        self.empty.tell(title, why or reason or _ADVICE, "Compare" if able else "")

    def _follow(self) -> None:
        """The small feature that is selected, or of which the selected one is a part."""
        table, selected = self.table, self.context.selection.current.feature
        if table is None:
            return
        small, large = self._prints()
        if selected is not None and selected[0] == small and selected[1] < table.n_features:
            self._feature = selected[1]
        elif selected is not None and selected[0] == large:
            parts = () if self._feature is None else table.splits.parts(self._feature)
            if selected[1] not in {number for number, _, _ in parts}:
                whole = table.whole(selected[1])
                self._feature = self._feature if whole is None else whole
        if self._feature is None and len(self.rows.rows):
            self._feature = int(self.rows.rows[0])

    def _show_feature(self) -> None:
        table, selected = self.table, self.context.selection.current.feature
        self.rows.mark(self._feature)
        if table is None or self._feature is None:
            self.drawing.show_split(None, ("", ""))
            return
        told = table.splits.params
        names = (str(told.get("small", "")), str(told.get("large", "")))
        self.drawing.show_split(table.split(self._feature, *self._labels()), names)
        of_large = selected is not None and selected[0] == self._prints()[1]
        self.drawing.mark(selected[1] if of_large and selected is not None else None)

    def _show_able(self) -> None:
        stops, reason = self._job() is not None, self.context.why_not(CommandId.SPLIT_FEATURES)
        again = "Compare again" if self.comparison is not None else "Compare"
        self.asking.compare.setText("Stop" if stops else again)
        self.asking.compare.setEnabled(stops or not reason)
        tip = "Read the text through both, and find what each small feature splits into"
        self.asking.compare.setToolTip("Stop it" if stops else reason or tip)

    # what leaves the panel

    def view_state(self) -> dict[str, Any]:
        """Which pair and feature, and how the table is sorted and searched."""
        key, descending = self.rows.sorted_by()
        pair = self.asking.chosen()
        return {
            "pair": [] if pair is None else [side.name for side in pair],
            "feature": self._feature,
            "sorted": key,
            "descending": descending,
            "search": self.search.text(),
        }

    def restore_view(self, held: dict[str, Any]) -> None:
        """Set the panel as a session was saved."""
        pair, feature = held.get("pair"), held.get("feature")
        if isinstance(pair, list) and len(pair) == 2:
            self.asking.choose((Side(str(pair[0])), Side(str(pair[1]))))
        if held.get("sorted") in KEYS:
            self.rows.sort_by(str(held["sorted"]), descending=held.get("descending") is not False)
        if isinstance(held.get("search"), str):
            self.search.setText(held["search"])
        if isinstance(feature, int) and feature >= 0:
            self._feature = feature

    def shown_ids(self) -> tuple[str, ...]:
        """The one on screen."""
        return () if self.comparison is None else (self.comparison.id,)

    def exported_table(self) -> Callable[[], Table] | str:
        """A row for each part of each feature."""
        if self.context.workspace.session is None:
            return exports.NO_RUN
        return (
            NOTHING if self.table is None else partial(splits_export, self.table, *self._labels())
        )

    def exported_lines(self) -> tuple[str, ...] | str:
        """The comparison, and the parts of the feature that is shown."""
        session, held = self.context.workspace.session, self.comparison
        if session is None:
            return exports.NO_RUN
        return NOTHING if held is None else split_lines(session, held, self._feature)
