"""A request for edits whose prompts must have the length of the run on screen."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

from microtome.errors import InputError
from microtome.jobs import Job
from microtome.records.edits import EditSpec
from microtome.records.trace import Trace
from microtome_desktop.jobs.engine import Engine
from microtome_desktop.jobs.request import Request
from microtome_desktop.state.desk import Desk


@dataclass(frozen=True, slots=True)
class AddFitting(Request):
    """Leave those of the edits' prompts that have the run's length, and add the edits."""

    slot: ClassVar[str] = "fitting edit"
    about_session: ClassVar[bool] = True
    quiet: ClassVar[bool] = True

    specs: tuple[EditSpec, ...]
    run: Trace | None = field(default=None, repr=False)

    @property
    def title(self) -> str:
        """What is being done."""
        return "Choosing prompts of the same length"

    def bound(self, desk: Desk) -> Self:
        """With the run on screen.

        Raises InputError when there is none.
        """
        session = desk.workspace.session
        if session is None or session.clean is None:
            raise InputError("There is nothing to edit yet.", "Run a prompt first.")
        return replace(self, run=session.clean)

    def perform(self, engine: Engine, job: Job) -> tuple[EditSpec, ...]:
        """The edits over the prompts that fit.

        Raises EditError when there are none.
        """
        from microtome.interventions.fitting import prompts_of_length

        if self.run is None:
            raise InputError("The edit was asked of no run.", "Run a prompt first.")
        source = self.run.source
        lengths = len(self.run.tokens), 0 if source is None else len(source.tokens)
        return tuple(
            replace(spec, prompts=prompts_of_length(engine.loaded, spec.prompts, lengths))
            if spec.of_one_length
            else spec
            for spec in self.specs
        )

    def deliver(self, desk: Desk, result: tuple[EditSpec, ...]) -> None:
        """They join the list; it is said how many prompts were taken."""
        desk.book.add_edits(result)
        tokens = 0 if self.run is None else len(self.run.tokens)
        taken, given = result[0].prompts, len(self.specs[0].prompts)
        if len(taken) < given:
            desk.notices.info(
                f"Over {len(taken):,} of {given:,} prompts",
                f"Those with {tokens} tokens, as the prompt on screen: each position takes "
                "the values that they have there.",
            )
