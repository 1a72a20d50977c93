"""Suites: what the model still does, which circuits do it, what can go, and what flips it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from PySide6.QtWidgets import QTabWidget, QVBoxLayout, QWidget

from microtome.errors import InputError
from microtome.records.adversarial import ADVERSARIAL, Adversarial, adversarial_of
from microtome.records.analysis import Analysis
from microtome.records.redundancy import REDUNDANCY, Redundancy, redundancy_of
from microtome.records.session import Session
from microtome.records.slice_circuits import (
    SLICE_CIRCUITS,
    CircuitDifference,
    slice_circuits_of,
)
from microtome.records.suite_result import SUITE, SuiteResult, suite_of
from microtome.suites.comparing import compare_slices
from microtome_desktop.commands.command import CommandId
from microtome_desktop.jobs.suite_requests import (
    SUITE_SLOT,
    CompareSlices,
    FindRedundancy,
    RunSuite,
    SearchSwaps,
)
from microtome_desktop.presenters import exports, suite_python
from microtome_desktop.presenters.suites import (
    NO_CIRCUITS,
    NO_REDUNDANCY,
    NO_SUITE,
    NO_SWAPS,
    circuits_table,
    redundancy_table,
    removal_edits,
    slice_lines,
    suite_table,
    suite_text,
    swap_question,
    swaps_table,
)
from microtome_desktop.presenters.sweep_choice import question_on_screen
from microtome_desktop.state.exports import Table
from microtome_desktop.state.suites import (
    KINDS,
    CircuitsWish,
    Data,
    RemovalWish,
    SuiteWish,
    SwapWish,
    latest,
    wish_of,
)
from microtome_desktop.state.work import Piece
from microtome_desktop.views.panel import Panel, PanelContext
from microtome_desktop.views.redundancy_page import RedundancyPage
from microtome_desktop.views.suite_data import SuiteData
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
        self._runs: QWidget | None = None  # the page whose question was asked last
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
        for page, wanted in (
            (self.suite, CommandId.SUITE),
            (self.circuits, CommandId.SLICE_CIRCUITS),
            (self.redundancy, CommandId.REDUNDANCY),
            (self.swaps, CommandId.SWAPS),
        ):
            page.asked.connect(partial(self._on_button, page, wanted))
        self.redundancy.removal_asked.connect(partial(self.context.do, CommandId.REMOVE_PARTS))
        self.swaps.chosen.connect(self._on_chosen)
        self.pages.currentChanged.connect(self._on_page)
        self.context.library.changed.connect(self._on_library)
        self.context.work.changed.connect(self._on_work)

    def _on_button(self, page: QWidget, wanted: CommandId) -> None:
        """Stop what the page runs, or run it."""
        piece = self.job
        if piece is not None and page is self._runs:
            self.context.stop(piece.number)
        else:
            self.context.do(wanted)

    @property
    def job(self) -> Piece | None:
        """What this panel has asked for and still waits for."""
        pieces = (p for p in self.context.work.pieces if p.slot == SUITE_SLOT and p.under_way)
        return next(pieces, None)

    def _on_work(self, *_: object) -> None:
        self.context.later((self, "work"), self._show_able)

    def _ask(self, page: QWidget, request: Any) -> None:
        self._runs = page
        self.context.ask(request)

    # acts

    def run_suite(self) -> None:
        """Run the suite, before and after the edits that act."""
        self.pages.setCurrentWidget(self.suite)
        self._ask(self.suite, RunSuite(SuiteWish(self.data.data())))

    def compare_slices(self) -> None:
        """Find the circuits of the two slices that are chosen, of the suite that was run."""
        self.pages.setCurrentWidget(self.circuits)
        held = self._analysis(SUITE)
        wish = None if held is None else wish_of(held, SuiteWish)
        data = self.data.data() if wish is None else wish.data
        self._ask(self.circuits, CompareSlices(CircuitsWish(data, *self.circuits.chosen)))

    def find_redundancy(self) -> None:
        """Find what can go."""
        self.pages.setCurrentWidget(self.redundancy)
        wish = RemovalWish(self.data.data(), **self.redundancy.settings())
        self._ask(self.redundancy, FindRedundancy(wish))

    def remove_recommended(self) -> None:
        """Take out what can go, as one step. Raises InputError where there is nothing to."""
        found = self._redundancy
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
        wish = SwapWish(asked, page.swaps.value(), page.typed_words(), page.typed_positions())
        self._ask(page, SearchSwaps(wish))

    def _on_chosen(self, row: int) -> None:
        """Put a swapped prompt below the one that it was made of."""
        held, found = self._analysis(ADVERSARIAL), self._swaps
        wish = None if held is None else wish_of(held, SwapWish)
        if found is not None and wish is not None:
            self.context.draft.fill(swap_question(found, row, wish.question))

    # what is shown

    @property
    def _session(self) -> Session | None:
        return self.context.workspace.session

    def _analysis(self, kind: str) -> Analysis | None:
        return latest(self._session, kind, self._shown.get(kind, ""))

    @property
    def _suite(self) -> SuiteResult | None:
        held = self._analysis(SUITE)
        return None if held is None else suite_of(held)

    @property
    def _difference(self) -> CircuitDifference | None:
        held = self._analysis(SLICE_CIRCUITS)
        if held is None:
            return None
        found = slice_circuits_of(held)
        pair = found.slices[:2]
        return compare_slices(found, *pair) if len(pair) == 2 else None

    @property
    def _redundancy(self) -> Redundancy | None:
        held = self._analysis(REDUNDANCY)
        return None if held is None else redundancy_of(held)

    @property
    def _swaps(self) -> Adversarial | None:
        held = self._analysis(ADVERSARIAL)
        return None if held is None else adversarial_of(held)

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
        if kind == SUITE:
            found = self._suite
            self.suite.show_lines(slice_lines(found), suite_text(found))
            self.circuits.offer(() if found is None else found.slices)
        elif kind == SLICE_CIRCUITS:
            self.circuits.show_difference(self._difference)
        elif kind == REDUNDANCY:
            self.redundancy.show_found(self._redundancy)
        else:
            self.swaps.show_found(self._swaps)
        self._show_able()

    def _show_able(self) -> None:
        running = None if self.job is None else self._runs
        for page, wanted, title, tip in self._buttons:
            reason, stops = self.context.why_not(wanted), page is running
            page.button.setText("Stop" if stops else title)
            page.button.setEnabled(stops or not reason)
            page.button.setToolTip("Stop it; what was found stays" if stops else reason or tip)
        reason = self.context.why_not(CommandId.REMOVE_PARTS)
        self.redundancy.remove.setEnabled(not reason)
        tip = "Put the edits that take these parts out on the list, as one step"
        self.redundancy.remove.setToolTip(reason or tip)

    @property
    def _buttons(self) -> tuple[tuple[Any, CommandId, str, str], ...]:
        """Pages with their commands, what their buttons say, and what they do."""
        return (
            (self.suite, CommandId.SUITE, "Run the suite",
             "Run every prompt, before and after the edits that act"),
            (self.circuits, CommandId.SLICE_CIRCUITS, "Compare",
             "Find the circuits of both slices, and compare their strongest edges"),
            (self.redundancy, CommandId.REDUNDANCY, "Find what can go",
             "Take parts out one after another, the least needed first"),
            (self.swaps, CommandId.SWAPS, "Search",
             "Search for swaps that flip the answer of the prompt on screen"),
        )  # fmt: skip

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

    def _on_page(self, index: int) -> None:
        # Swaps are of the prompt on screen, not of a data set.
        self.data.setVisible(self.pages.widget(index) is not self.swaps)

    # what leaves the panel

    def view_state(self) -> dict[str, Any]:
        """Which prompts are chosen, and which page is in front."""
        data = self.data.data()
        return {
            "sources": list(data.sources), "limit": data.limit, "page": self.pages.currentIndex()
        }  # fmt: skip

    def restore_view(self, held: dict[str, Any]) -> None:
        """Set the panel as a session was saved."""
        sources, limit, page = (held.get(name) for name in ("sources", "limit", "page"))
        if isinstance(sources, list) and sources and isinstance(limit, int | None):
            self.data.show_data(Data(tuple(map(str, sources)), limit))
        if isinstance(page, int) and 0 <= page < self.pages.count():
            self.pages.setCurrentIndex(page)

    def exported_table(self) -> Callable[[], Table] | str:
        """What the page in front shows."""
        if self._session is None:
            return exports.NO_RUN
        page = self.pages.currentWidget()
        if page is self.circuits:
            return _table(circuits_table, self._difference, NO_CIRCUITS)
        if page is self.redundancy:
            return _table(redundancy_table, self._redundancy, NO_REDUNDANCY)
        if page is self.swaps:
            return _table(swaps_table, self._swaps, NO_SWAPS)
        return _table(suite_table, self._suite, NO_SUITE)

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
