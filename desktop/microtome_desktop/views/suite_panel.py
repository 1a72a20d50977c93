"""Suites: what the model still does, which circuits do it, what can go, and what flips it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QLabel, QTabWidget, QVBoxLayout, QWidget

from microtome.errors import InputError
from microtome.records.adversarial import ADVERSARIAL
from microtome.records.analysis import Analysis
from microtome.records.redundancy import REDUNDANCY
from microtome.records.session import Session
from microtome.records.slice_circuits import SLICE_CIRCUITS
from microtome.records.suite_result import SUITE
from microtome_desktop.commands.command import CommandId
from microtome_desktop.jobs.suite_requests import (
    CompareSlices,
    FindRedundancy,
    RunSuite,
    SearchSwaps,
)
from microtome_desktop.presenters import exports, suite_python
from microtome_desktop.presenters.suite_records import Held, held_in
from microtome_desktop.presenters.suites import (
    NO_CIRCUITS,
    NO_REDUNDANCY,
    NO_SUITE,
    circuits_table,
    noted,
    redundancy_table,
    removal_edits,
    slice_lines,
    suite_table,
    suite_text,
)
from microtome_desktop.presenters.swaps import (
    NO_NODES,
    NO_SWAPS,
    node_selection,
    nodes_table,
    swap_question,
    swaps_table,
)
from microtome_desktop.presenters.sweep_choice import question_on_screen
from microtome_desktop.state.exports import Table
from microtome_desktop.state.selection import Selected
from microtome_desktop.state.suites import (
    KINDS,
    TASK,
    CircuitsWish,
    Data,
    RemovalWish,
    SuiteWish,
    SwapWish,
    Wish,
    wish_of,
)
from microtome_desktop.views.panel import Panel, PanelContext
from microtome_desktop.views.redundancy_page import RedundancyPage
from microtome_desktop.views.run_buttons import RunButton, RunButtons
from microtome_desktop.views.suite_data import SuiteData
from microtome_desktop.views.suite_outlook import SuiteOutlooks
from microtome_desktop.views.suite_page import CircuitsPage, SuitePage
from microtome_desktop.views.swap_page import SwapPage


class SuitePanel(Panel):
    """Prompts with answers above, and a page for each question about them."""

    name = "suite"
    title = "Suite"
    icon = "mdi6.clipboard-list-outline"

    def __init__(self, context: PanelContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self.data = SuiteData()
        self.suite, self.circuits = SuitePage(), CircuitsPage()
        self.redundancy, self.swaps = RedundancyPage(), SwapPage()
        self._shown: dict[str, str] = {}  # kind -> id of the analysis that arrived last
        self.outlooks = SuiteOutlooks(self, context, self._asked)
        self.buttons = self._run_buttons()
        self.pages = QTabWidget()
        self.pages.setDocumentMode(True)
        for page, title in (
            (self.suite, "Slices"),
            (self.circuits, "Circuits"),
            (self.redundancy, "What can go"),
            (self.swaps, "Swaps"),
        ):
            self.pages.addTab(page, title)
        column = QVBoxLayout(self)
        column.setContentsMargins(10, 6, 8, 6)
        column.setSpacing(4)
        column.addWidget(self.data)
        column.addWidget(self.pages, 1)
        self._connect()
        self.show_session()

    def _connect(self) -> None:
        self.redundancy.removal_asked.connect(partial(self.context.do, CommandId.REMOVE_PARTS))
        self.swaps.chosen.connect(self._on_chosen)
        self.swaps.node_chosen.connect(self._on_node)
        self.swaps.changed.connect(self._show_data)
        self.pages.currentChanged.connect(self._on_page)
        self.data.changed.connect(self.outlooks.look)
        self.redundancy.parts.currentIndexChanged.connect(self.outlooks.look)
        for box in (self.circuits.first, self.circuits.second):
            box.currentIndexChanged.connect(self.outlooks.look)
        self.context.library.changed.connect(self._on_library)
        self.context.work.changed.connect(self._on_work)

    def _on_work(self, *_: object) -> None:
        self.context.later((self, "work"), self._show_able)

    def _asked(self) -> tuple[Wish, QLabel] | None:
        """What the page in front would ask now, and where it says what that takes."""
        page, workspace = self.pages.currentWidget(), self.context.workspace
        if workspace.session is None or workspace.offline or not self.data.data().sources:
            return None
        if page is self.redundancy:
            return self._removal_wish(), page.outlook
        if page is self.circuits:
            wish = self._circuits_wish()
            return (wish, page.outlook) if wish.first and wish.second else None
        if page is self.suite:
            return SuiteWish(self.data.data()), page.outlook
        return None

    def _removal_wish(self) -> RemovalWish:
        return RemovalWish(self.data.data(), **self.redundancy.settings())

    def _circuits_wish(self) -> CircuitsWish:
        """Of the suite that was run."""
        held = self._analysis(SUITE)
        wish = None if held is None else wish_of(held, SuiteWish)
        data = self.data.data() if wish is None else wish.data
        return CircuitsWish(data, *self.circuits.chosen)

    # acts

    def run_suite(self) -> None:
        """Run the suite, before and after the edits that act."""
        self.pages.setCurrentWidget(self.suite)
        self.context.ask(RunSuite(SuiteWish(self.data.data())))

    def compare_slices(self) -> None:
        """Find the circuits of the two slices that are chosen, of the suite that was run."""
        self.pages.setCurrentWidget(self.circuits)
        self.context.ask(CompareSlices(self._circuits_wish()))

    def find_redundancy(self) -> None:
        """Find what can go."""
        self.pages.setCurrentWidget(self.redundancy)
        self.context.ask(FindRedundancy(self._removal_wish()))

    def remove_recommended(self) -> None:
        """Take out what can go, as one step. Raises InputError where there is nothing to."""
        found = self._held(REDUNDANCY).found
        if found is None:
            raise InputError("It is not known what can go.", "Find it first.")
        specs = removal_edits(found, self.context.book.marks.edits)
        parts = len(found.recommended)
        title = f"Remove {parts} part{'s' * (parts != 1)}"
        self.context.book.mark(title, edits=(*self.context.book.marks.edits, *specs))

    def search_swaps(self) -> None:
        """Search for swaps that flip the answer of the prompt on screen. Raises InputError."""
        self.pages.setCurrentWidget(self.swaps)
        asked = question_on_screen(self._session, self.context.draft.text)
        if asked is None:
            raise InputError("There is no prompt.", "Run one first.")
        page = self.swaps
        wish = SwapWish(
            asked, page.swaps.value(), page.typed_words(), page.typed_positions(), page.takes,
            self.data.data().sources if page.takes == TASK else (),
        )  # fmt: skip
        wish.asked()
        self.context.ask(SearchSwaps(wish))

    def _on_chosen(self, row: int) -> None:
        """Put a swapped prompt below the one that it was made of."""
        held = self._held(ADVERSARIAL)
        found, analysis = held.found, held.analysis
        wish = None if analysis is None else wish_of(analysis, SwapWish)
        if found is not None and wish is not None:
            self.context.draft.fill(swap_question(found, row, wish.question))

    def _on_node(self, name: str) -> None:
        """Select a node that carries the change, in the graph and in all plots."""
        session = self._session
        chosen = node_selection(None if session is None else session.circuit, name)
        self.context.selection.update(**chosen, edge=None, others=())

    # what is shown

    def show_selection(self, selected: Selected, changed: frozenset[str]) -> None:
        """Mark the node that is selected."""
        if "node" in changed:
            self.swaps.mark(selected.node)

    @property
    def _session(self) -> Session | None:
        return self.context.workspace.session

    def _held(self, kind: str) -> Held:
        return held_in(self._session, kind, self._shown.get(kind, ""))

    def _analysis(self, kind: str) -> Analysis | None:
        return self._held(kind).analysis

    def show_session(self) -> None:
        """All that the session holds of it."""
        self._shown = {}
        self._offer()
        self.restore_once()
        for kind in KINDS:
            self._show(kind)
        self._show_able()

    def show_part(self, part: str) -> None:
        """What has arrived, and edits that act or not."""
        session = self._session
        if part in {"traces", "metric"}:
            self._show_able()
        if session is None or not part.startswith("analyses/"):
            return
        held = session.analyses.get(part.partition("/")[2])
        if held is not None and held.kind in KINDS:
            self._shown[held.kind] = held.id
            self._show(held.kind)

    def show_model(self) -> None:
        """All of it needs the session's model."""
        self._show_able()

    def _show(self, kind: str) -> None:
        held = self._held(kind)
        found, note = held.found, held.note
        if kind == SUITE:
            self.suite.show_lines(slice_lines(found), noted(suite_text(found), note))
            self.circuits.offer(() if found is None else found.slices)
        elif kind == SLICE_CIRCUITS:
            self.circuits.show_difference(found, note)
        elif kind == REDUNDANCY:
            self.redundancy.show_found(found, note)
        else:
            self.swaps.show_found(found, note)
        self._show_able()

    def _show_able(self) -> None:
        self.buttons.show()
        reason = self.context.why_not(CommandId.REMOVE_PARTS)
        self.redundancy.remove.setEnabled(not reason)
        tip = "Put the edits that take these parts out on the list, as one step"
        self.redundancy.remove.setToolTip(reason or tip)
        self.outlooks.look()

    def _run_buttons(self) -> RunButtons:
        rows: tuple[tuple[Any, CommandId, str, str], ...] = (
            (self.suite, CommandId.SUITE, "Run the suite",
             "Run every prompt, before and after the edits that act"),
            (self.circuits, CommandId.SLICE_CIRCUITS, "Compare",
             "Find the circuits of both slices, and compare their strongest edges"),
            (self.redundancy, CommandId.REDUNDANCY, "Find what can go",
             "Take parts out one after another, the least needed first"),
            (self.swaps, CommandId.SWAPS, "Search",
             "Search for swaps that flip the answer of the prompt on screen"),
        )  # fmt: skip
        stop = "Stop it; what was found stays"
        made = (
            RunButton(page.button, page.slot, wanted, title, tip, stop)
            for page, wanted, title, tip in rows
        )
        return RunButtons(self.context, *made)

    def _on_library(self, shelf: object, changed: frozenset[str]) -> None:
        if "facts" in changed:
            self._offer()

    def _offer(self) -> None:
        session, follows = self._session, self.data.follows
        of = "" if session is None else session.model.name
        self.data.offer(self.context.library.shelf.facts.prompt_sets, of)
        # Beside results stands what they are of; else all tasks means those of the model.
        if follows and all(self._analysis(kind) is None for kind in KINDS):
            self.data.follow()

    def _on_page(self, _index: int) -> None:
        self._show_data()
        self.outlooks.look()

    def _show_data(self) -> None:
        # Swaps are of the prompt on screen; of the prompts above it is the words that count.
        on_swaps = self.pages.currentWidget() is self.swaps
        self.data.setVisible(not on_swaps or self.swaps.takes == TASK)
        self.data.limit.setVisible(not on_swaps)

    def showEvent(self, event: QShowEvent) -> None:
        """Say what it takes once it is looked at."""
        super().showEvent(event)
        self.outlooks.look()

    # what leaves the panel

    def view_state(self) -> dict[str, Any]:
        """Which prompts and pages are in front, and what each page is set to."""
        data = self.data.data()
        return {
            "sources": list(data.sources),
            "limit": data.limit,
            "page": self.pages.currentIndex(),
            "circuits": list(self.circuits.chosen),
            "removal": self.redundancy.view_state(),
            "swaps": self.swaps.view_state(),
        }

    def restore_view(self, held: dict[str, Any]) -> None:
        """Set the panel as a session was saved."""
        sources, limit, page = (held.get(name) for name in ("sources", "limit", "page"))
        if isinstance(sources, list) and sources and isinstance(limit, int | None):
            self.data.show_data(Data(tuple(map(str, sources)), limit))
        if isinstance(page, int) and 0 <= page < self.pages.count():
            self.pages.setCurrentIndex(page)
        chosen, removal, swaps = (held.get(name) for name in ("circuits", "removal", "swaps"))
        if isinstance(chosen, list):
            self.circuits.choose(*map(str, chosen[:2]))
        if isinstance(removal, dict):
            self.redundancy.restore_view(removal)
        if isinstance(swaps, dict):
            self.swaps.restore_view(swaps)

    def shown_ids(self) -> tuple[str, ...]:
        """What the page in front shows."""
        held = self._analysis(KINDS[self.pages.currentIndex()])
        return () if held is None else (held.id,)

    def exported_table(self) -> Callable[[], Table] | str:
        """What the page in front shows."""
        if self._session is None:
            return exports.NO_RUN
        page = self.pages.currentWidget()
        if page is self.circuits:
            return _table(circuits_table, self._held(SLICE_CIRCUITS).found, NO_CIRCUITS)
        if page is self.redundancy:
            return _table(redundancy_table, self._held(REDUNDANCY).found, NO_REDUNDANCY)
        if page is self.swaps:
            found = self._held(ADVERSARIAL).found
            if self.swaps.on_nodes:
                return _table(nodes_table, found, NO_NODES)
            return _table(swaps_table, found, NO_SWAPS)
        return _table(suite_table, self._held(SUITE).found, NO_SUITE)

    def exported_lines(self) -> tuple[str, ...] | str:
        """What the page in front shows, asked again."""
        session = self._session
        if session is None:
            return exports.NO_RUN
        kind, why, lines = {
            0: (SUITE, NO_SUITE, suite_python.suite_lines),
            1: (SLICE_CIRCUITS, NO_CIRCUITS, suite_python.circuits_lines),
            2: (REDUNDANCY, NO_REDUNDANCY, suite_python.redundancy_lines),
            3: (ADVERSARIAL, NO_SWAPS, suite_python.swaps_lines),
        }[self.pages.currentIndex()]
        held = self._analysis(kind)
        return why if held is None else lines(session, held)


def _table(make: Callable[[Any], Table], found: Any, why: str) -> Callable[[], Table] | str:
    return why if found is None else partial(make, found)
