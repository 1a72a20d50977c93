"""Requests of the suite panel: suites, circuits by slice, what can go, swaps that flip."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from microtome.errors import InputError
from microtome.jobs import Job
from microtome.records.analysis import Analysis
from microtome.records.edits import EditSpec
from microtome_desktop.jobs.engine import Engine
from microtome_desktop.jobs.request import Request
from microtome_desktop.state.desk import Desk
from microtome_desktop.state.suites import (
    CircuitsWish,
    Data,
    RemovalWish,
    SuiteWish,
    SwapWish,
    Wish,
    with_wish,
)
from microtome_desktop.state.trials import acting_edits

# A slot for each question: one does not end another that runs.
SUITE_SLOT, CIRCUITS_SLOT = "suite", "slice circuits"
REMOVAL_SLOT, SWAPS_SLOT = "removal", "swaps"


@dataclass(frozen=True, slots=True)
class _Request(Request):
    """One analysis, handed out in parts: the wish that is asked for goes with each.

    A kind is its ``slot``, which it replaces, the name of its partial results, and a title.
    """

    about_session: ClassVar[bool] = True
    part: ClassVar[str] = ""
    told: ClassVar[str] = ""

    wish: Wish
    specs: tuple[EditSpec, ...] = ()

    def __init_subclass__(cls) -> None:
        # One that is asked again takes the place of the one before, and of no other kind.
        cls.replaces = frozenset({cls.slot})

    @property
    def title(self) -> str:
        """What is being done, for the status bar."""
        return self.told

    def part_title(self, name: str, value: Any) -> str:
        """What a partial result is called in the job panel."""
        return "the first of it" if name == self.part else ""

    def deliver_partial(self, desk: Desk, name: str, value: Any) -> None:
        """Show what there is of it."""
        if name == self.part:
            self.deliver(desk, value)

    def deliver(self, desk: Desk, result: Analysis) -> None:
        """Add it to the session."""
        desk.workspace.add_analysis(with_wish(result, self.wish, self.specs))


def suite_for(data: Data) -> Any:
    """The suite of some data. Raises InputError for what is none."""
    from microtome.suites.loading import load_suite

    if not data.sources:
        raise InputError("The model has no prompt sets.", "Choose a suite from a file.")
    return load_suite(list(data.sources), limit=data.limit)


@dataclass(frozen=True, slots=True)
class RunSuite(_Request):
    """A suite, before and after the edits that act."""

    slot: ClassVar[str] = SUITE_SLOT
    part: ClassVar[str] = "suite"
    told: ClassVar[str] = "Running the suite"

    wish: SuiteWish

    def bound(self, desk: Desk) -> Self:
        """With the edits that act."""
        return replace(self, specs=acting_edits(desk.workspace.session, desk.trials))

    def perform(self, engine: Engine, job: Job) -> Analysis:
        """The suite; its first cases are handed out before."""
        from microtome.interventions.specs import edits_of
        from microtome.suites.running import run_suite

        edits = edits_of(engine.loaded, self.specs, job=job)
        return run_suite(engine.loaded, suite_for(self.wish.data), edits, job=job)


@dataclass(frozen=True, slots=True)
class CompareSlices(_Request):
    """The circuits of two slices of a suite."""

    slot: ClassVar[str] = CIRCUITS_SLOT
    part: ClassVar[str] = "slice-circuits"
    told: ClassVar[str] = "Finding the circuits of two slices"

    wish: CircuitsWish

    def perform(self, engine: Engine, job: Job) -> Analysis:
        """Both circuits; the first is handed out before."""
        from microtome.suites.slices import slice_circuits

        names = [self.wish.first, self.wish.second]
        return slice_circuits(engine.loaded, suite_for(self.wish.data), names, job=job)


@dataclass(frozen=True, slots=True)
class FindRedundancy(_Request):
    """Which parts can go; the curve grows with each."""

    slot: ClassVar[str] = REMOVAL_SLOT
    part: ClassVar[str] = "redundancy"
    told: ClassVar[str] = "Taking parts out"

    wish: RemovalWish

    def perform(self, engine: Engine, job: Job) -> Analysis:
        """Effects, curve and similarity."""
        from microtome.suites.redundancy import redundancy

        wish = self.wish
        return redundancy(
            engine.loaded, suite_for(wish.data), parts=wish.parts, how=wish.how,
            criterion=wish.criterion, threshold=wish.threshold, job=job,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class SearchSwaps(_Request):
    """Swaps that flip the answer."""

    slot: ClassVar[str] = SWAPS_SLOT
    part: ClassVar[str] = "adversarial"
    told: ClassVar[str] = "Searching for swaps"

    wish: SwapWish

    def perform(self, engine: Engine, job: Job) -> Analysis:
        """The swapped prompts; those of each round are handed out."""
        from microtome.suites.adversarial import adversarial_search

        wish, asked = self.wish, self.wish.question
        if asked.answer is None:
            raise InputError("The answer is not known.", "Type the answer below the prompt.")
        return adversarial_search(
            engine.loaded, asked.prompt, asked.answer, asked.wrong, **wish.asked(), job=job
        )
