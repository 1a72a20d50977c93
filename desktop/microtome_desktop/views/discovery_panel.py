"""Discovery: rival circuits of a task, each with its faithfulness curve, at any size."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QSplitter, QStackedLayout, QVBoxLayout, QWidget
from shiboken6 import isValid

from microtome.errors import InputError
from microtome.records.analysis import Analysis
from microtome_desktop.commands.command import CommandId
from microtome_desktop.presenters import exports
from microtome_desktop.presenters.contest import MOST_COMPARED, TOLD, Contest
from microtome_desktop.presenters.discovery_judge import KNOWN_AREAS
from microtome_desktop.presenters.discovery_python import discovery_lines
from microtome_desktop.presenters.discovery_tables import edge_table
from microtome_desktop.presenters.edge_places import PlacedEdge
from microtome_desktop.state.carried import left_behind
from microtome_desktop.state.discoveries import Search, search_of
from microtome_desktop.state.exports import Table
from microtome_desktop.state.selection import Selected
from microtome_desktop.views.discovery_asking import DiscoveryAsking
from microtome_desktop.views.discovery_dial import DiscoveryDial
from microtome_desktop.views.discovery_middle import DiscoveryMiddle, Page
from microtome_desktop.views.discovery_tests import NO_CIRCUIT, DiscoveryTests
from microtome_desktop.views.panel import Panel, PanelContext
from microtome_desktop.views.preparing import prepared_by
from microtome_desktop.views.reopening import reopen_run
from microtome_desktop.views.rival_list import RivalList
from microtome_desktop.views.text_flow import EmptyState

_WIDTHS = (272, 480, 310)  # pixels of the three parts at first
_LEAST = 150  # pixels of the middle's height
_FEWEST = 2  # circuits that can be compared
_PREPARED = TOLD | {KNOWN_AREAS}
_FOLLOWED = tuple(
    f"analyses/{kind}-" for kind in ("discovery", "faithfulness", "judgement", "stability", "known")
)


class DiscoveryPanel(Panel):
    """Asks for circuits, lists the rivals, and shows one at the size that the dial says."""

    name = "discovery"
    title = "Discovery"
    icon = "mdi6.set-center"

    def __init__(self, context: PanelContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self.contest = Contest(prepared_by(context))
        self.asking, self.rivals = DiscoveryAsking(context), RivalList()
        self.middle = DiscoveryMiddle()
        self.graph = self.middle.graph
        self.right = DiscoveryDial(self.contest, self.middle)
        self.tests = DiscoveryTests(context, self.right, self)
        self.empty, self.note = EmptyState(), QLabel()
        self.shown_id = ""
        self._lay_out()
        self._listen()
        self.show_session()

    def _lay_out(self) -> None:
        self.split = QSplitter(Qt.Orientation.Horizontal)
        self.split.setChildrenCollapsible(False)
        for part, least, share in (
            (self._beside_note(), 176, 1), (self.middle, 176, 6), (self.right, 212, 2),
        ):  # fmt: skip
            part.setMinimumWidth(least)
            self.split.addWidget(part)
            self.split.setStretchFactor(self.split.count() - 1, share)
        # Else the panel would grow with its pages, and a laptop's screen would not hold the window.
        self.middle.setMinimumHeight(_LEAST)
        self.split.setSizes(list(_WIDTHS))
        self._stack = QStackedLayout()
        self._stack.addWidget(self.empty)
        self._stack.addWidget(self.split)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(10, 4, 8, 4)
        whole.setSpacing(5)
        whole.addWidget(self.asking)
        whole.addLayout(self._stack, 1)

    def _beside_note(self) -> QWidget:
        """The list, and beneath it what it had to leave out."""
        held = QWidget()
        self.note.setObjectName("dim")
        self.note.setWordWrap(True)
        self.note.hide()
        column = QVBoxLayout(held)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.rivals, 1)
        column.addWidget(self.note)
        return held

    def _listen(self) -> None:
        self.empty.offered.connect(self._on_reopen)
        self.asking.found.connect(self._on_found)
        self.rivals.chosen.connect(self._on_chosen)
        self.rivals.ticked.connect(self._on_ticked)
        self.rivals.too_many.connect(self._on_too_many)
        self.rivals.forget_asked.connect(self._on_forget)
        self.graph.chosen.connect(self._on_component)
        self.graph.layer_chosen.connect(self._on_layer)
        self.middle.places.chosen.connect(self._on_place)
        self.context.work.changed.connect(self._on_work)
        self.context.workspace.prepared.arrived.connect(self._on_prepared)

    def run(self) -> None:
        """Look for the circuit, or show it at once if the session has it."""
        self.asking.run()

    def compare(self) -> None:
        """Show what the ticked circuits share."""
        if len(self.rivals.ticks) < _FEWEST:
            self.rivals.tick(self.contest.partner(self.shown_id))
        self.middle.show_page(Page.COMPARE)

    @property
    def why_not(self) -> str:
        """Why no circuit can be looked for, empty when one can."""
        return self.asking.why_not

    def _on_found(self, analysis: Analysis) -> None:
        self._show(analysis.id)

    def _on_work(self) -> None:
        self.context.later((self, "work"), self._show_work)

    def _on_prepared(self, key: object) -> None:
        # A panel that was replaced hears of it as long as anything holds it.
        if isValid(self) and isinstance(key, tuple) and key[0] in _PREPARED:
            self.context.later((self, "prepared"), self._show_front)

    def _show_work(self) -> None:
        self._list()
        self.tests.tell()

    # what is shown

    def show_session(self) -> None:
        """Offer the circuits of the session, and show the last one."""
        self.asking.show_question()
        self.restore_once()
        self._refresh()

    def show_part(self, part: str) -> None:
        """Follow circuits, curves and judgements that come."""
        if part.startswith(_FOLLOWED):
            self._refresh(part.partition("/")[2])
        if part in {"traces", "metric"}:
            self.asking.show_question()

    def show_model(self) -> None:
        """A search needs the session's model."""
        self.asking.show_question()
        self._show_front()

    def _refresh(self, changed: str = "") -> None:
        self.contest.use(self.context.workspace.session)
        ids, arrived = self.contest.ids, self.contest.find(changed)
        if arrived is not None and search_of(arrived) == self.asking.asked:
            self.shown_id = changed
        if self.shown_id not in ids:
            self.shown_id = ids[-1] if ids else ""
        self._show(self.shown_id)

    def _show(self, wanted: str) -> None:
        self.shown_id = wanted
        self._list()
        front = self.contest.find(wanted)
        self._stack.setCurrentIndex(int(front is not None))
        self._show_front()
        if front is None:
            self.graph.show_circuit(None, None)
            self._tell_empty()
        else:
            selected = self.context.selection.current
            self.graph.show_place(selected.layer, selected.head)

    def _tell_empty(self) -> None:
        session = self.context.workspace.session
        advice = NO_CIRCUIT if session is not None else "Run a prompt first."
        left = left_behind(self.context.history.runs, session)
        if left is None:
            self.empty.tell("No circuit yet", self._unread or advice)
            return
        run, count = left
        circuits = "1 circuit is" if count == 1 else f"{count} circuits are"
        where = f"{circuits} in run {run.number} of the History. Circuits of a pair stay with it."
        self.empty.tell("No circuit of this prompt yet", where, f"Reopen run {run.number}")

    def _on_reopen(self) -> None:
        left = left_behind(self.context.history.runs, self.context.workspace.session)
        if left is not None:
            reopen_run(self.context, left[0])

    def _show_front(self) -> None:
        front = self.contest.find(self.shown_id)
        self.contest.compare((*self.rivals.ticks, self.shown_id))
        self.right.front = front  # before it is asked what can be done with it
        self.right.show_front(front, self.rivals.ticks, self.tests.why_not)

    def _on_ticked(self) -> None:
        self._show_front()
        self._list()

    def _on_too_many(self) -> None:
        self._tell_note(f"{MOST_COMPARED} circuits at most are compared: untick one first.")

    def _on_forget(self) -> None:
        self.context.do(CommandId.FORGET_CIRCUIT)

    def _list(self) -> None:
        contest = self.contest
        rows = contest.rows(running=self.asking.job is not None)
        for _ in range(2):  # a new row is ticked, and then has a colour
            contest.compare((*self.rivals.ticks, self.shown_id))
            looks = {one.id: (contest.colour(one), contest.mark(one)) for one in contest.held}
            self.rivals.show_rivals(rows, looks, self.shown_id)
        self._tell_note(self._unread)

    def _tell_note(self, text: str) -> None:
        self.note.setText(text)
        self.note.setVisible(bool(text))

    @property
    def _unread(self) -> str:
        """What the list has to leave out."""
        count = self.contest.unread
        circuits = "1 circuit" if count == 1 else f"{count} circuits"
        told = f"{circuits} of this session cannot be read: damaged or of another version."
        return told if count else ""

    def _on_chosen(self, wanted: str) -> None:
        if wanted == self.shown_id:
            return
        self._show(wanted)
        front = self.contest.find(wanted)
        search = None if front is None else search_of(front)
        if search is not None:
            self.asking.controls.show_search(search)
            self.asking.look()

    # the selection

    def _on_component(self, layer: int | None, head: int | None) -> None:
        self.context.selection.update(layer=layer, head=head, neuron=None, node=None, edge=None)

    def _on_place(self, row: PlacedEdge) -> None:
        front = self.right.front
        search = None if front is None else search_of(front)
        here = search is not None and not search.data  # else positions are those of other prompts
        at = {"position": row.position} if here else {}
        self.context.selection.update(
            layer=row.layer, head=row.head, neuron=None, node=None, edge=None, **at
        )

    def _on_layer(self, layer: int) -> None:
        self.context.selection.update(layer=layer, head=None, node=None, edge=None)

    def show_selection(self, selected: Selected, changed: frozenset[str]) -> None:
        """Focus what is selected."""
        if changed & {"layer", "head"}:
            self.graph.show_place(selected.layer, selected.head)

    # what leaves the panel

    def view_state(self) -> dict[str, Any]:
        """What is asked for, which circuit is shown, and at which size."""
        return {
            "search": self.asking.controls.search().as_json(),
            "shown": self.shown_id,
            "count": self.right.count,
            "signed": self.right.signed,
            "ticked": list(self.rivals.ticks),
            "page": int(self.middle.page),
            "settings": self.asking.fold.isChecked(),
        }

    def restore_view(self, held: dict[str, Any]) -> None:
        """Ask and show as a session was saved."""
        with suppress(InputError):  # of another version
            self.asking.controls.show_search(Search.from_json(held.get("search")))
        self.shown_id = str(held.get("shown", ""))
        count, page, ticked = (held.get(name) for name in ("count", "page", "ticked"))
        self.right.count = count if isinstance(count, int) and count > 0 else 0
        self.right.signed = bool(held.get("signed", True))
        self.asking.fold.setChecked(bool(held.get("settings", False)))
        self.asking.look()
        self._refresh()
        self.rivals.tick([str(one) for one in ticked] if isinstance(ticked, list) else [])
        if page in set(Page):
            self.middle.show_page(Page(page))

    def exported_table(self) -> Callable[[], Table] | str:
        """Every edge with its score, and whether it is in the circuit on screen."""
        front = self.right.front
        if front is None:
            return NO_CIRCUIT if self.context.workspace.session else exports.NO_RUN
        ranked = self.contest.ranked(front)
        if ranked is None:
            return self.right.nothing
        places = self.contest.places(front)
        if places is not None:
            kept = ranked.kept(self.right.now, signed=self.right.signed)
            return partial(places.table, kept, by_score=self.right.signed)
        return partial(edge_table, ranked, self.right.now, self.right.signed)

    def exported_lines(self) -> tuple[str, ...] | str:
        """The search and the curve."""
        session, front = self.context.workspace.session, self.right.front
        if session is None or front is None:
            return exports.NO_RUN if session is None else NO_CIRCUIT
        return discovery_lines(session, search_of(front))

    def finish_drawing(self) -> None:
        """Complete what is still being drawn: for exports and tests."""
        self.graph.canvas.finish()
