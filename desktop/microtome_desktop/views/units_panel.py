"""Units: the table of the units of a layer, and the card of one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from PySide6.QtCore import QSignalBlocker, Qt
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSplitter,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from microtome.errors import InputError
from microtome.images.sets import image_set_names
from microtome.records.analysis import Analysis
from microtome.records.unit_card import UnitTable, card_of
from microtome.records.units import Unit
from microtome_desktop.commands.command import CommandId
from microtome_desktop.jobs.seeing_requests import UNITS_SLOT, ReadCard, ReadUnits
from microtome_desktop.presenters import exports
from microtome_desktop.presenters.seeing_python import unit_lines
from microtome_desktop.presenters.units import (
    NO_SIGHT,
    NO_UNITS,
    set_tip,
    table_columns,
    units_export,
)
from microtome_desktop.state.exports import Table
from microtome_desktop.state.image_features import source_of
from microtome_desktop.state.seeing import UnitsWish, card_in, card_of_others, tables_in
from microtome_desktop.state.selection import Selected
from microtome_desktop.views.elided import ElidedLabel
from microtome_desktop.views.form_fields import choice
from microtome_desktop.views.lazy_rows import LazyColumn
from microtome_desktop.views.number_rows import NumberRows
from microtome_desktop.views.panel import Panel, PanelContext
from microtome_desktop.views.run_buttons import RunButton, RunButtons
from microtome_desktop.views.set_choice import insert_set
from microtome_desktop.views.sight_outline import sight_outline
from microtome_desktop.views.text_flow import EmptyState
from microtome_desktop.views.unit_card import UnitCardView

_COLUMNS = (
    LazyColumn("unit", "unit", "Its number in the layer", 40, right=True),
    LazyColumn("class", "class", "The class that it is most selective for", 70),
    LazyColumn("by_class", "index", "Selectivity for that class: (mean inside − mean outside) / "
               "(sum of both standard deviations)", 50, right=True),
    LazyColumn("domain", "domain", "The domain that it is most selective for", 62),
    LazyColumn("by_domain", "index", "Selectivity for that domain", 50, right=True),
    LazyColumn("largest", "max", "The strongest activity on any image", 50, right=True),
    LazyColumn("share", "on", "Of how many images it is on: above a tenth of its strongest", 46,
               right=True),
    LazyColumn("tuned", "orient.", "Orientation selectivity by gratings, 0 to 1", 56, right=True),
)  # fmt: skip
_FORMATS = {"by_class": ".2f", "by_domain": ".2f", "share": ".0%", "tuned": ".2f", "unit": ".0f"}
_OTHERS = "The images are others than when the table was read. Press Read to read them anew."
_FOLDER = "Folder\N{HORIZONTAL ELLIPSIS}"


class UnitsPanel(Panel):
    """The table at the left, the card at the right."""

    name = "units"
    title = "Units"
    icon = "mdi6.view-grid-outline"

    def __init__(self, context: PanelContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self.layer = choice("units_layer", "layer", ())
        self.images = choice("units_images", "images that are shown", ())
        for images in reversed(image_set_names()):
            insert_set(self.images, images)
        self.images.setCurrentIndex(0)
        self.images.addItem(_FOLDER)
        self.run, self.told = QPushButton("Read"), ElidedLabel()
        self.run.setObjectName("units_run")
        self.rows = NumberRows(_COLUMNS, "by_class", "class", formats=_FORMATS)
        self.rows.setObjectName("units_table")
        self.rows.setAccessibleName("units of the layer")
        self.card, self.empty, self.pages = UnitCardView(), EmptyState(), QStackedWidget()
        self.cards = QStackedWidget()
        self._waiting = EmptyState()
        self._table: UnitTable | None = None
        self._tables: tuple[UnitTable, ...] = ()
        self._shown_card: Analysis | None = None
        self._set_before = 0
        self._asked: tuple[Unit, str] | None = None  # the card that was asked for last
        self._lay_out()
        self._connect()
        self.show_session()

    def _lay_out(self) -> None:
        bar = QHBoxLayout()
        bar.setSpacing(6)
        for word, part in (("Units of", self.layer), ("on", self.images)):
            label = QLabel(word)
            label.setObjectName("dim")
            bar.addWidget(label)
            bar.addWidget(part)
        bar.addWidget(self.run)
        bar.addWidget(self.told, 1)
        self.cards.addWidget(self._waiting)
        self.cards.addWidget(self.card)
        self.parts = QSplitter(Qt.Orientation.Horizontal)
        self.parts.setChildrenCollapsible(False)
        self.parts.addWidget(self.rows)
        self.parts.addWidget(self.cards)
        self.parts.setStretchFactor(0, 4)
        self.parts.setStretchFactor(1, 6)
        self.parts.setSizes([448, 600])
        self.pages.addWidget(self.empty)
        self.pages.addWidget(self.parts)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(10, 6, 8, 6)
        whole.setSpacing(6)
        whole.addLayout(bar)
        whole.addWidget(self.pages, 1)

    def _connect(self) -> None:
        self.buttons = RunButtons(
            self.context,
            RunButton(self.run, UNITS_SLOT, CommandId.READ_UNITS, "Read",
                      "Show the images and gratings to the model"),
        )  # fmt: skip
        self.layer.activated.connect(self._on_choice)
        self.images.activated.connect(self._on_images)
        self.rows.chosen.connect(self._on_row)
        self.card.unit_chosen.connect(self._choose)
        self.empty.offered.connect(self._on_offer)
        self.context.work.changed.connect(self._on_work)
        self.context.workspace.prepared.arrived.connect(self._on_prepared)

    # acts

    @property
    def wish(self) -> UnitsWish:
        """The layer and the images that the boxes say."""
        return UnitsWish(self.layer.currentText(), self._source)

    def read_units(self) -> None:
        """Read the chosen layer. Raises InputError where there is none."""
        if not self.wish.layer or not self._source:
            raise InputError("There is no layer to read.", NO_SIGHT)
        self.context.ask(ReadUnits(self.wish))

    def _on_offer(self) -> None:
        self.context.do(CommandId.READ_UNITS)

    def _on_choice(self, *_: object) -> None:
        self._show()

    def _on_images(self, row: int) -> None:
        if self.images.itemText(row) == _FOLDER:
            folder = QFileDialog.getExistingDirectory(self, "Folder of an image set")
            with QSignalBlocker(self.images):
                if folder:
                    insert_set(self.images, folder)
                at = self.images.findData(folder)
                self.images.setCurrentIndex(at if folder else self._set_before)
        self._set_before = self.images.currentIndex()
        self._show()

    def _on_row(self, row: int) -> None:
        self._choose(f"{self.layer.currentText()}/{row}")

    def _choose(self, unit: str) -> None:
        self.context.selection.update(unit=unit)

    # what there is

    @property
    def _source(self) -> str:
        """A set's name, or its folder."""
        return str(self.images.currentData() or "")

    @property
    def _unit(self) -> Unit | None:
        held = self.context.selection.current.unit
        unit = None if held is None else Unit.parse(held)
        return unit if unit is not None and unit.layer == self.layer.currentText() else None

    # what is shown

    def show_session(self) -> None:
        """Another session: what it holds of units."""
        self._table, self._shown_card, self._asked = None, None, None
        self._offer()
        self._choose_held()
        self.restore_once()
        self._follow()
        self._show()

    def show_model(self) -> None:
        """Layers are the model's."""
        self._offer()
        self._show()

    def show_part(self, part: str) -> None:
        """A table or a card has arrived."""
        if part.startswith(("analyses/unit-table", "analyses/unit-card")):
            self._show()

    def show_selection(self, selected: Selected, changed: frozenset[str]) -> None:
        """Follow the selected unit, also into another layer."""
        if "unit" in changed:
            self._asked = None
            self._follow()
            self._show()

    def showEvent(self, event: QShowEvent) -> None:
        """Ask for what only matters when it is seen."""
        super().showEvent(event)
        self._offer()
        self._show()

    def _on_work(self, *_: object) -> None:
        self.context.later((self, "work"), self.buttons.show)

    def _on_prepared(self, key: object) -> None:
        if isinstance(key, tuple) and key[:1] == ("sight",):
            self.context.later((self, "sight"), self.show_model)

    def _offer(self) -> None:
        """The layers of the model; the last is chosen at first."""
        outline = sight_outline(self.context, ask=self.isVisible())
        names = [] if outline is None else [layer.name for layer in outline.layers]
        if names == [self.layer.itemText(at) for at in range(self.layer.count())]:
            return
        before = self.layer.currentText()
        with QSignalBlocker(self.layer):
            self.layer.clear()
            self.layer.addItems(names)
            at = self.layer.findText(before)
            self.layer.setCurrentIndex(at if at >= 0 else len(names) - 1)

    def _choose_held(self) -> None:
        """Of a session with tables the newest."""
        tables = tables_in(self.context.workspace.session)
        if tables:
            self.layer.setCurrentIndex(max(0, self.layer.findText(tables[-1].layer)))
            self._choose_images(source_of(tables[-1].params))

    def _choose_images(self, images: str) -> None:
        with QSignalBlocker(self.images):
            if images:
                insert_set(self.images, images)
            self.images.setCurrentIndex(max(0, self.images.findData(images)))
        self._set_before = self.images.currentIndex()

    def _follow(self) -> None:
        held = self.context.selection.current.unit
        at = -1 if held is None else self.layer.findText(Unit.parse(held).layer)
        if at >= 0:
            self.layer.setCurrentIndex(at)

    def _show(self) -> None:
        self.buttons.show()
        table = self._held_table()
        if table is None:
            self._show_nothing()
            return
        if table is not self._table:
            self._table = table
            self.rows.show_values(table_columns(table))
        told = f"{len(table.largest)} units on {table.params.get('set_images')} images"
        self.told.setText(told)
        self.told.setToolTip(set_tip(table.params))
        self.pages.setCurrentIndex(1)
        self._show_card(table)

    def _held_table(self) -> UnitTable | None:
        wanted, images = self.layer.currentText(), self._source
        session = self.context.workspace.session
        if session is None:
            return None
        current = self._table
        tables = tables_in(session)
        if current is not None and any(_same(current, each) for each in tables):
            tables = tuple(current if _same(current, each) else each for each in tables)
        for each in reversed(tables):
            if each.layer == wanted and source_of(each.params) == images:
                return each
        return None

    def _show_nothing(self) -> None:
        self._table = None
        self.told.setText("")
        self.pages.setCurrentIndex(0)
        reason = self.context.why_not(CommandId.READ_UNITS)
        ready = not reason and bool(self.layer.count())
        self.empty.tell("What units answer to", reason or NO_UNITS, "Read" if ready else "")

    def _show_card(self, table: UnitTable) -> None:
        unit, workspace = self._unit, self.context.workspace
        self.rows.mark(None if unit is None else unit.index)
        if unit is None:
            self._waiting.tell("Choose a unit", "A row of the table, or a unit in any other view.")
            self.cards.setCurrentIndex(0)
            return
        held = card_in(workspace.session, unit, table)
        if held is None:
            if workspace.offline:
                self._waiting.tell(str(unit), "The session holds no card of this unit.")
                self.cards.setCurrentIndex(0)
            elif self.isVisible() and self._asked != (unit, self._source):
                self._asked = (unit, self._source)
                self.context.ask(
                    ReadCard(unit, self._source, str(table.params.get("set_digest", "")))
                )
            elif card_of_others(workspace.session, unit, table):
                self._waiting.tell(str(unit), _OTHERS)
                self.cards.setCurrentIndex(0)
            return
        if held is not self._shown_card:
            self._shown_card = held
            self.card.show_card(card_of(held))
        self.cards.setCurrentIndex(1)

    # what leaves the panel

    def view_state(self) -> dict[str, Any]:
        """The layer, the images, the unit, and how the table is sorted."""
        key, falling = self.rows.sorted_by()
        unit = self._unit
        return {"layer": self.layer.currentText(), "images": self._source,
                "unit": None if unit is None else str(unit), "sorted": key,
                "descending": falling}  # fmt: skip

    def restore_view(self, held: dict[str, Any]) -> None:
        """Set the panel as a session was saved."""
        layer, images, unit = (held.get(name) for name in ("layer", "images", "unit"))
        if isinstance(layer, str) and self.layer.findText(layer) >= 0:
            self.layer.setCurrentIndex(self.layer.findText(layer))
        if isinstance(images, str) and images:
            self._choose_images(images)
        if held.get("sorted") in {column.key for column in _COLUMNS}:
            self.rows.sort_by(str(held["sorted"]), descending=held.get("descending") is not False)
        if isinstance(unit, str):
            with suppress(InputError):  # a file may hold any text
                self.context.selection.update(unit=str(Unit.parse(unit)))

    def shown_ids(self) -> tuple[str, ...]:
        """The card on screen."""
        return () if self._shown_card is None else (self._shown_card.id,)

    def exported_table(self) -> Callable[[], Table] | str:
        """The table of units, with the index of every class."""
        if self.context.workspace.session is None:
            return exports.NO_RUN
        return NO_UNITS if self._table is None else partial(units_export, self._table)

    def exported_lines(self) -> tuple[str, ...] | str:
        """The table and the card, asked again."""
        session = self.context.workspace.session
        if session is None:
            return exports.NO_RUN
        if self._table is None:
            return NO_UNITS
        return unit_lines(session, self._shown_card, self._table.layer, self._source)


def _same(one: UnitTable, other: UnitTable) -> bool:
    """Whether two readings of an analysis are of one and the same."""
    return one.by_class is other.by_class
