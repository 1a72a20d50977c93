"""All heads in one table: detectors, direct attribution, and what patching and ablating does."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from PySide6.QtCore import QPoint
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QLineEdit, QPushButton, QVBoxLayout, QWidget

from microtome_desktop.commands.command import CommandId
from microtome_desktop.jobs.head_requests import HEADS_SLOT, HeadEffects
from microtome_desktop.presenters import exports
from microtome_desktop.presenters.head_effects import missing
from microtome_desktop.presenters.head_python import heads_lines
from microtome_desktop.presenters.head_table import (
    DIRECT,
    SCORES,
    HeadTable,
    head_table,
    heads_table,
    told,
)
from microtome_desktop.state.edit_places import head_place
from microtome_desktop.state.exports import Table
from microtome_desktop.state.selection import Selected
from microtome_desktop.state.work import Piece
from microtome_desktop.views.edit_menu import offer_edits
from microtome_desktop.views.elided import ElidedLabel
from microtome_desktop.views.head_rows import HeadRows
from microtome_desktop.views.panel import Panel, PanelContext

_PARTS = frozenset({"traces", "metric", f"analyses/{SCORES}", f"analyses/{DIRECT}"})
_SWEEPS = "analyses/sweep-"
_NO_RUN = "Run a prompt to see its heads."


class HeadsPanel(Panel):
    """A row for each head, which follows the selection and leads it."""

    name = "heads"
    title = "Heads"
    icon = "mdi6.table-eye"

    def __init__(self, context: PanelContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self._stale = True
        self.words = QLineEdit()
        self.count = QLabel()
        self.compute = QPushButton("Compute")
        self.table = HeadRows()
        self.told = ElidedLabel()
        self._lay_out()
        self.words.textChanged.connect(self._on_words)
        self.compute.clicked.connect(self._on_compute)
        self.table.chosen.connect(self._on_chosen)
        self.table.customContextMenuRequested.connect(self._on_menu)
        context.work.changed.connect(self._on_work)
        self.show_session()

    def _lay_out(self) -> None:
        self.words.setObjectName("head_filter")
        self.words.setAccessibleName("filter the heads")
        self.words.setPlaceholderText("Filter: L1, H3, induction …")
        self.words.setClearButtonEnabled(True)
        self.count.setObjectName("dim")
        self.compute.setObjectName("head_effects")
        line = QHBoxLayout()
        line.addWidget(self.words, 1)
        line.addWidget(self.count)
        line.addWidget(self.compute)
        column = QVBoxLayout(self)
        column.setContentsMargins(10, 6, 6, 6)
        column.addLayout(line)
        column.addWidget(self.table, 1)
        column.addWidget(self.told)

    # what is shown

    def show_session(self) -> None:
        """List the heads of the session when they are looked at."""
        self.restore_once()
        self._stale = True
        if self.isVisible():
            self._fill()

    def show_part(self, part: str) -> None:
        """Show other numbers of the heads, also those of a sweep that fills."""
        if part in _PARTS or part.startswith(_SWEEPS):
            self.show_session()

    def show_model(self) -> None:
        """Measuring needs the session's model."""
        self._show_compute()

    def showEvent(self, event: QShowEvent) -> None:
        """Fill the table now that somebody looks."""
        super().showEvent(event)
        self._fill()

    def _fill(self) -> None:
        if not self._stale:
            return
        self._stale = False
        session = self.context.workspace.session
        table = None if session is None or session.clean is None else head_table(session)
        self.table.show_table(table)
        self._sort_as_saved()
        self.told.setText(_NO_RUN if session is None or table is None else told(table, session))
        self._tell()
        self._show_compute()
        self._mark()

    def _tell(self) -> None:
        table = self.table.shown
        shown = self.table.sorted.rowCount()
        self.count.setText("" if table is None else f"{shown:,} of {table.n_rows:,}")

    def _on_words(self, words: str) -> None:
        self.table.filter(words)
        self._tell()
        self._mark()

    # the selection

    def show_selection(self, selected: Selected, changed: frozenset[str]) -> None:
        """Mark the head that is selected."""
        if changed & {"layer", "head"} and not self._stale:
            self._mark()

    def _mark(self) -> None:
        table, now = self.table.shown, self.context.selection.current
        self.table.mark(None if table is None else table.row(now.layer, now.head))

    def _on_chosen(self, row: int) -> None:
        table, now = self.table.shown, self.context.selection.current
        if table is None:
            return
        layer, head = table.place(row)
        if (now.layer, now.head) != (layer, head):
            self.context.selection.update(layer=layer, head=head, neuron=None, node=None)

    def _on_menu(self, at: QPoint) -> None:
        """What can be done to the head under the cursor; of the keyboard, to the current one."""
        table, rows = self.table.shown, self.table
        index = rows.indexAt(at)
        row = rows.row_at(index if index.isValid() else rows.currentIndex())
        if table is not None and row is not None:
            place = head_place(*table.place(row))
            offer_edits(self.context, (place,), rows.viewport().mapToGlobal(at), self)

    # the effects

    @property
    def job(self) -> Piece | None:
        """The measuring that is under way."""
        pieces = self.context.work.pieces
        return next((p for p in pieces if p.slot == HEADS_SLOT and p.under_way), None)

    def measure(self) -> str:
        """Start the sweeps that the session lacks; why not, as text, else empty."""
        session = self.context.workspace.session
        if reason := self._why_not():
            return reason
        wishes = () if session is None else missing(session)
        if not wishes:
            return "The session has the effects of all heads already."
        self.context.ask(HeadEffects(wishes))
        return ""

    def _why_not(self) -> str:
        return self.context.why_not(CommandId.HEAD_EFFECTS)

    def _on_compute(self) -> None:
        piece = self.job
        if piece is not None:
            self.context.stop(piece.number)
        else:
            self.context.do(CommandId.HEAD_EFFECTS)

    def _on_work(self) -> None:
        self.context.later((self, "work"), self._show_compute)

    def _show_compute(self) -> None:
        session, piece = self.context.workspace.session, self.job
        lacking = () if session is None else missing(session)
        self.compute.setVisible(bool(lacking) or piece is not None)
        names = " and ".join("ablation" if wish.ablates else "patching" for wish in lacking)
        self.compute.setText("Compute" if piece is None else "Stop")
        reason = "" if piece is not None else self._why_not()
        self.compute.setEnabled(not reason)
        self.compute.setToolTip(reason or f"Measure {names} of every head")

    # what leaves the panel

    def view_state(self) -> dict[str, Any]:
        """How the table is sorted and filtered."""
        return {**self.table.order(), "words": self.words.text()}

    def restore_view(self, held: dict[str, Any]) -> None:
        """Sort and filter as a session was saved."""
        self._saved = (str(held.get("by", "")), bool(held.get("descending", False)))
        self.words.setText(str(held.get("words", "")))

    _saved: tuple[str, bool] | None = None

    def _sort_as_saved(self) -> None:
        table: HeadTable | None = self.table.shown
        if self._saved is None or table is None:
            return
        (by, descending), self._saved = self._saved, None
        names = ["", *(column.name for column in table.columns)]
        if by in names:
            self.table.sort_by(names.index(by), descending=descending)

    def exported_table(self) -> Callable[[], Table] | str:
        """The heads that are shown, in their order, at full precision."""
        session = self.context.workspace.session
        if session is None or session.clean is None:
            return exports.NO_RUN
        self._fill()
        return partial(heads_table, session, self.table.rows())

    def exported_lines(self) -> tuple[str, ...] | str:
        """All numbers of all heads."""
        session = self.context.workspace.session
        return exports.NO_RUN if session is None else heads_lines(session)
