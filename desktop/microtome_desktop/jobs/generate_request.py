"""The request that lets the model go on from the prompt, without and with the edits."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

from microtome.errors import InputError
from microtome.jobs import Job
from microtome.prompts import Prompt
from microtome.records.analysis import Analysis
from microtome.records.edits import EditSpec
from microtome.records.generation import Generation, generation_analysis
from microtome_desktop.jobs.engine import Engine
from microtome_desktop.jobs.request import Request
from microtome_desktop.state.desk import Desk
from microtome_desktop.state.trials import acting_edits


@dataclass(frozen=True, slots=True)
class Writing:
    """How text is drawn: see ``microtome.interventions.generation``."""

    n_tokens: int = 20
    temperature: float = 0.0
    top_k: int | None = None
    top_p: float | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True)
class GenerateText(Request):
    """Two texts from one prompt by the same random numbers; the second with the edits that act."""

    slot: ClassVar[str] = "generate"
    replaces: ClassVar[frozenset[str]] = frozenset({"generate"})
    about_session: ClassVar[bool] = True

    writing: Writing
    specs: tuple[EditSpec, ...] = ()
    prompt: Prompt | None = field(default=None, repr=False)

    @property
    def title(self) -> str:
        """What is being done, for the status bar."""
        return "Writing without and with edits" if self.specs else "Writing"

    def bound(self, desk: Desk) -> Self:
        """With the prompt on screen, and the edits that act on it.

        Raises InputError when there is no run.
        """
        session = desk.workspace.session
        if session is None or session.clean is None:
            raise InputError("There is nothing to go on from.", "Run a prompt first.")
        acting = acting_edits(session, desk.trials)
        return replace(self, prompt=session.clean.as_prompt, specs=acting)

    def started(self, desk: Desk) -> None:
        """What was written before goes."""
        desk.trials.update(before=None, after=None, generating=True)

    def ended(self, desk: Desk) -> None:
        """Nothing is written any more."""
        desk.trials.update(generating=False)

    def part_title(self, name: str, value: Any) -> str:
        """What a partial result is called in the job panel."""
        return "text" if name == "generation" else ""

    def perform(self, engine: Engine, job: Job) -> Analysis:
        """Both texts."""
        from microtome.interventions.generation import generate
        from microtome.interventions.specs import edits_of

        model, w = engine.loaded, self.writing
        if self.prompt is None:
            raise InputError("There is nothing to go on from.", "Run a prompt first.")
        made = edits_of(model, self.specs, job=job)
        texts = [
            generate(
                model, self.prompt, w.n_tokens, edits=edits, temperature=w.temperature,
                top_k=w.top_k, top_p=w.top_p, seed=w.seed, job=job,
            )
            for edits in (((), made) if made else ((),))
        ]  # fmt: skip
        return generation_analysis(*texts)

    def deliver_partial(self, desk: Desk, name: str, value: Any) -> None:
        """Show what is written so far."""
        if name == "generation" and isinstance(value, Generation):
            desk.trials.update(**{"after" if value.edits else "before": value})

    def deliver(self, desk: Desk, result: Analysis) -> None:
        """Keep both texts."""
        desk.workspace.add_analysis(result)
