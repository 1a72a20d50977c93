"""The intervention bench: the list of edits, and what the model says without and with them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from PySide6.QtCore import Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QHBoxLayout,
    QPushButton,
    QSplitter,
    QTabWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from microtome.records.generation import GENERATION
from microtome.records.price import EDIT_PRICE
from microtome.records.session import Session
from microtome_desktop.commands.command import CommandId
from microtome_desktop.jobs.edit_requests import QUICK, WHOLE
from microtome_desktop.jobs.generate_request import GenerateText, Writing
from microtome_desktop.jobs.price_request import TakePrice
from microtome_desktop.presenters import as_python_edits, exports
from microtome_desktop.presenters.edits import (
    NO_EDIT,
    Words,
    edit_lines,
    effects,
    known_words,
    metric_change,
    said_of,
)
from microtome_desktop.presenters.predictions import heading
from microtome_desktop.presenters.price import (
    NO_PRICE,
    price_in,
    price_lines,
    price_table,
    price_text,
)
from microtome_desktop.presenters.writing import text_of, texts_of
from microtome_desktop.state.exports import Table
from microtome_desktop.state.selection import Selected
from microtome_desktop.views.edit_effect import EffectView
from microtome_desktop.views.edit_form import EditForm
from microtome_desktop.views.edit_list import EditList
from microtome_desktop.views.edit_price import PriceView
from microtome_desktop.views.edit_sets import SetsMenu
from microtome_desktop.views.edit_writing import WritingView
from microtome_desktop.views.elided import ElidedLabel
from microtome_desktop.views.icons import icon
from microtome_desktop.views.panel import Panel, PanelContext

_LOW = 240  # pixels of a panel that has no room for the list above what the edits do


class EditsPanel(Panel):
    """Edits to switch, slide, order, keep and add; beneath, predictions before and after."""

    name = "edits"
    title = "Edits"
    icon = "mdi6.needle"

    def __init__(self, context: PanelContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self._words = Words({})
        self.add = QPushButton("Add\N{HORIZONTAL ELLIPSIS}")
        self.add.setCheckable(True)
        self.add.setToolTip("Write an edit down: site, what, where")
        self.said = ElidedLabel()
        self.sets = _tool("mdi6.playlist-check", "Named sets of edits")
        self.sets.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.clear = _tool("mdi6.playlist-remove", "Remove all edits")
        self.form = EditForm(context)
        self.list = EditList()
        self.effect = EffectView()
        self.writing = WritingView()
        self.price = PriceView()
        self.pages = QTabWidget()
        self.pages.setDocumentMode(True)
        self.pages.addTab(self.effect, "Predictions")
        self.pages.addTab(self.writing, "Text")
        self.pages.addTab(self.price, "Price")
        self.sets.setMenu(SetsMenu(context, self))
        self._lay_out()
        self._connect()
        self.show_session()

    def _lay_out(self) -> None:
        bar = QHBoxLayout()
        bar.setSpacing(6)
        bar.addWidget(self.add)
        bar.addWidget(self.said, 1)
        bar.addWidget(self.effect.change, 1)
        bar.addWidget(self.sets)
        bar.addWidget(self.clear)
        self.parts = QSplitter(Qt.Orientation.Vertical)
        self.parts.setChildrenCollapsible(False)
        self.parts.addWidget(self.list)
        self.parts.addWidget(self.pages)
        self._moved = False  # the user has shared the room otherwise
        self._low = False
        self.parts.splitterMoved.connect(self._on_moved)
        column = QVBoxLayout(self)
        column.setContentsMargins(10, 6, 8, 6)
        column.setSpacing(4)
        column.addLayout(bar)
        column.addWidget(self.form)
        column.addWidget(self.parts, 1)
        self.form.hide()

    def _on_moved(self, _place: int, _index: int) -> None:
        self._moved = True

    def resizeEvent(self, event: QResizeEvent) -> None:
        """The list keeps what it needs, up to half of the room; on a low screen it is a tab."""
        super().resizeEvent(event)
        room = self.parentWidget()
        self._arrange(low=room is not None and room.height() < _LOW)
        self._share()

    def _arrange(self, *, low: bool) -> None:
        if low == self._low:
            return
        self._low = low
        if low:
            self.pages.insertTab(0, self.list, "List")
            self.pages.setCurrentIndex(0)
        else:
            self.parts.insertWidget(0, self.list)  # which takes it out of the tabs
            self.list.show()
        self._show_parts()

    def _show_parts(self) -> None:
        """List and tabs, unless the fields of a new edit need their room."""
        self.parts.setVisible(not (self._low and self.add.isChecked()))

    def _share(self) -> None:
        if not self._moved and not self._low:
            room = self.parts.height()
            wanted = min(self.list.inside.sizeHint().height() + 6, room // 2)
            self.parts.setSizes([wanted, room - wanted])

    def _connect(self) -> None:
        book, context = self.context.book, self.context
        self.add.toggled.connect(self._on_add)
        self.clear.clicked.connect(self._on_clear)
        self.form.added.connect(self._on_added)
        self.list.switched.connect(self._on_switched)
        self.list.strength_moved.connect(book.set_strength)
        self.list.settled.connect(book.settle)
        self.list.removed.connect(self._on_removed)
        self.list.moved.connect(book.move_edit)
        self.writing.asked.connect(self._on_writing)
        self.price.asked.connect(self._on_price)
        context.trials.changed.connect(self._on_trials)
        context.library.changed.connect(self._on_library)

    # acts

    def _on_add(self, wanted: bool) -> None:
        self.form.setVisible(wanted)
        self._show_parts()
        if wanted:
            self.form.begin()

    def write(self) -> None:
        """Open the fields for a new edit, and go there."""
        self.add.setChecked(True)
        self.form.begin()

    def _on_added(self) -> None:
        self.add.setChecked(False)

    def _on_clear(self) -> None:
        self.context.do(CommandId.CLEAR_EDITS)

    def _on_switched(self, row: int, on: bool) -> None:
        self.context.book.switch_edit(row, on=on)

    def _on_removed(self, row: int) -> None:
        self.context.book.remove_edit(row)
        if self.list.rows:
            self.list.rows[min(row, len(self.list.rows) - 1)].setFocus()

    def _on_writing(self, writing: Writing) -> None:
        self.context.ask(GenerateText(writing))

    def write_text(self) -> None:
        """Let the model write, by the settings in the fields."""
        self.pages.setCurrentWidget(self.writing)
        self.writing.ask()

    def _on_price(self, limit: int | None) -> None:
        self.context.ask(TakePrice(limit))

    def take_price(self) -> None:
        """Run every task of the model without and with the edits."""
        self.pages.setCurrentWidget(self.price)
        self.price.ask()

    def exported_table(self) -> Callable[[], Table] | str:
        """The price where that is in front, else the predictions without and with the edits."""
        session = self._session
        if session is None:
            return exports.NO_RUN
        if self._shows_price:
            price = price_in(session)
            return NO_PRICE if price is None else partial(price_table, price)
        if session.edited is None:
            return NO_EDIT
        return partial(exports.edits_table, session, self.context.selection.current.position)

    def exported_lines(self) -> tuple[str, ...] | str:
        """The edits and their price, or both runs."""
        session, position = self._session, self.context.selection.current.position
        if session is None:
            return exports.NO_RUN
        if self._shows_price:
            return as_python_edits.edit_price_lines(session)
        return as_python_edits.edits_lines(session, position)

    # what is shown

    @property
    def _shows_price(self) -> bool:
        return self.pages.currentWidget() is self.price

    @property
    def _session(self) -> Session | None:
        return self.context.workspace.session

    def show_session(self) -> None:
        """The edits and the effect of another session."""
        self._words = known_words(self._session)
        self._show_list()
        self._show_effect()
        self._show_texts()
        self._show_price()

    def show_part(self, part: str) -> None:
        """What was changed, undone, or has been run."""
        if part in {"traces", "metric"}:
            self.show_session()
        elif part in {"marks", "marks/edits"}:
            self._show_list()
            self._say()
        elif part in {QUICK, WHOLE}:
            self._show_effect()
            self._show_price()
        elif part == f"analyses/{GENERATION}":
            self._show_texts()
        elif part == f"analyses/{EDIT_PRICE}":
            self._show_price()

    def show_model(self) -> None:
        """With its model, a session's edits can be run."""
        self._show_list()
        self._say()

    def show_selection(self, selected: Selected, changed: frozenset[str]) -> None:
        """Predictions at another position."""
        if "position" in changed:
            self._show_effect()

    def _on_trials(self, names: frozenset[str]) -> None:
        if names & {"problems", "norms"}:
            self.context.later((self, "list"), self._show_list)
        if "running" in names:
            self.context.later((self, "say"), self._say)
        if names & {"before", "after", "generating"}:
            self.context.later((self, "texts"), self._show_texts)

    def _on_library(self, shelf: object, changed: frozenset[str]) -> None:
        if changed & {"facts"}:
            self.form.offer()
            self.price.set_able(self.context.why_not(CommandId.PRICE))

    def _show_list(self) -> None:
        trials, offline = self.context.trials, self.context.workspace.offline
        lines = edit_lines(self._session, self._words, trials.problems, trials.norms)
        able = self._session is not None and not offline
        rows = len(self.list.rows)
        self.list.show_lines(lines, enabled=able)
        if len(lines) != rows:
            self._share()
        reason = "" if able else self.context.why_not(CommandId.ADD_EDIT)
        self.add.setEnabled(able)
        self.writing.set_able(self.context.why_not(CommandId.GENERATE))
        self.price.set_able(self.context.why_not(CommandId.PRICE))
        self.add.setToolTip(reason or "Write an edit down: site, what, where")
        self.clear.setEnabled(bool(lines) and able)
        if not able:
            self.add.setChecked(False)

    def _show_effect(self) -> None:
        position = self.context.selection.current.position
        rows = effects(self._session, position)
        place = heading(self._session, position) if rows else ""
        self.effect.show_effects(rows, metric_change(self._session), place)
        self._say()

    def _show_texts(self) -> None:
        trials = self.context.trials
        pair = (trials.before, trials.after)
        if not trials.generating and pair == (None, None):
            pair = texts_of(self._session)
        self.writing.show_texts(text_of(*pair), text_of(*reversed(pair)))

    def _show_price(self) -> None:
        price = price_in(self._session)
        self.price.show_price(price_lines(price), price_text(self._session, price))

    def _say(self) -> None:
        text = said_of(self._session, offline=self.context.workspace.offline)
        self.said.setText(text)
        self.said.setVisible(bool(text) or self.effect.change.isHidden())


def _tool(picture: str, tip: str) -> QToolButton:
    button = QToolButton()
    button.setObjectName("tiny")
    button.setIcon(icon(picture))
    button.setToolTip(tip)
    button.setAccessibleName(tip)
    return button
