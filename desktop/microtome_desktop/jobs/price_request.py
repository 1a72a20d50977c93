"""The request for what the edits cost on every task of the model."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

from microtome.errors import InputError
from microtome.jobs import Job
from microtome.prompt_sets import PromptSet
from microtome.records.analysis import Analysis
from microtome.records.edits import EditSpec
from microtome_desktop.jobs.engine import Engine
from microtome_desktop.jobs.request import Request
from microtome_desktop.state.desk import Desk
from microtome_desktop.state.trials import acting_edits


@dataclass(frozen=True, slots=True)
class TakePrice(Request):
    """Every prompt set of the model without and with the edits that act; rows come one by one."""

    slot: ClassVar[str] = "price"
    replaces: ClassVar[frozenset[str]] = frozenset({"price"})
    about_session: ClassVar[bool] = True

    limit: int | None = None  # pairs of each set
    specs: tuple[EditSpec, ...] = ()
    sets: tuple[PromptSet, ...] = field(default=(), repr=False)

    @property
    def title(self) -> str:
        """What is being done, for the status bar."""
        return "Taking the price of the edits"

    def bound(self, desk: Desk) -> Self:
        """With the edits that act, and the prompt sets of the model.

        Raises InputError when there are none of either.
        """
        acting = acting_edits(desk.workspace.session, desk.trials)
        if not acting:
            raise InputError("No edit acts.", "Switch one on, or add one.")
        sets = desk.library.shelf.facts.prompt_sets
        if not sets:
            raise InputError("The model has no prompt sets.", "Use mt.edit_price with your own.")
        return replace(self, specs=acting, sets=sets)

    def part_title(self, name: str, value: Any) -> str:
        """What a partial result is called in the job panel."""
        return "the first tasks"

    def perform(self, engine: Engine, job: Job) -> Analysis:
        """The price; each row is handed out before the next is taken."""
        from microtome.analysis.price import edit_price
        from microtome.interventions.specs import edits_of

        edits = edits_of(engine.loaded, self.specs, job=job)
        return edit_price(engine.loaded, edits, self.sets, limit=self.limit, job=job)

    def deliver_partial(self, desk: Desk, name: str, value: Any) -> None:
        """Show the rows that there are."""
        if name == "price":
            desk.workspace.add_analysis(value)

    def deliver(self, desk: Desk, result: Analysis) -> None:
        """Keep the whole table."""
        desk.workspace.add_analysis(result)
