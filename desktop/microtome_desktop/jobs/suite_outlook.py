"""What a question of the suite panel would take, measured before anybody starts it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Self

from microtome.errors import MicrotomeError
from microtome.jobs import Job
from microtome_desktop.jobs.engine import Engine
from microtome_desktop.jobs.request import Request
from microtome_desktop.jobs.suite_requests import suite_for
from microtome_desktop.state.desk import Desk
from microtome_desktop.state.suites import (
    CircuitsWish,
    RemovalWish,
    SuiteOutlook,
    SuiteWish,
    outlook_key,
)
from microtome_desktop.state.trials import acting_edits


@dataclass(frozen=True, slots=True)
class ForeseeSuite(Request):
    """Seconds and runs; the worker times a pass."""

    slot: ClassVar[str] = "foresee suite"
    replaces: ClassVar[frozenset[str]] = frozenset({"foresee suite"})
    about_session: ClassVar[bool] = True
    quiet: ClassVar[bool] = True

    wish: SuiteWish | CircuitsWish | RemovalWish
    sides: int = 1

    @property
    def title(self) -> str:
        """What is being done."""
        return "Estimating a suite"

    def bound(self, desk: Desk) -> Self:
        """With what edits that act double."""
        acting = acting_edits(desk.workspace.session, desk.trials)
        return replace(self, sides=2 if acting else 1)

    def perform(self, engine: Engine, job: Job) -> SuiteOutlook:
        """The estimate, or the problem."""
        from microtome.suites import estimates

        model, wish = engine.loaded, self.wish
        try:
            suite = suite_for(wish.data)
            if isinstance(wish, RemovalWish):
                found = estimates.estimate_redundancy(model, suite, parts=wish.parts, job=job)
            elif isinstance(wish, CircuitsWish):
                slices = [wish.first, wish.second]
                found = estimates.estimate_slice_circuits(model, suite, slices, job=job)
            else:
                found = estimates.estimate_suite(model, suite, sides=self.sides, job=job)
        except MicrotomeError as error:
            return SuiteOutlook(problem=str(error))
        return SuiteOutlook(found.runs, found.seconds)

    def deliver(self, desk: Desk, result: SuiteOutlook) -> None:
        """Give it to the panel."""
        desk.workspace.prepared.put(outlook_key(self.wish), result)

    def ended(self, desk: Desk) -> None:
        """It may be asked for again."""
        desk.workspace.prepared.forget(outlook_key(self.wish))
