"""Requests of the intervention bench: the prompt with the edits that are on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from microtome.errors import InputError, ModelMismatch
from microtome.jobs import Job
from microtome.metrics import LinearMetric
from microtome.records.analysis import Analysis
from microtome.records.edits import EditSpec
from microtome.records.session import Session
from microtome.records.trace import Trace
from microtome_desktop.jobs.engine import Engine
from microtome_desktop.jobs.request import Request
from microtome_desktop.jobs.requests import metric_of
from microtome_desktop.state.desk import Desk
from microtome_desktop.state.made_by import shows_features
from microtome_desktop.state.notices import Level, Notice

if TYPE_CHECKING:
    from microtome.trying import Tried  # brings torch, which only the model thread may

PREFIX = "edited-"  # of the ids of analyses of the run with edits
QUICK, WHOLE = "edited", "edited/whole"  # parts: its predictions alone, then all of it


@dataclass(frozen=True, slots=True)
class TryEdits(Request):
    """Run the prompt on screen with some edits; predictions come first, as a partial result."""

    slot: ClassVar[str] = "edits"
    # Whoever moves a slider does not want to wait for the self-checks; they start anew later.
    replaces: ClassVar[frozenset[str]] = frozenset({"edits", "checks", "edge changes"})
    about_session: ClassVar[bool] = True
    quiet: ClassVar[bool] = True

    specs: tuple[EditSpec, ...]
    run: Trace | None = field(default=None, repr=False)
    metric: LinearMetric | None = None
    budget: int | None = None

    @property
    def title(self) -> str:
        """What is being done."""
        return "Running the edits"

    def bound(self, desk: Desk) -> Self:
        """With the run and the metric on screen.

        Raises InputError when there is none.
        """
        session = desk.workspace.session
        if session is None or session.clean is None or not session.metric:
            raise InputError("There is nothing to edit yet.", "Run a prompt first.")
        return replace(
            self,
            run=session.clean,
            metric=metric_of(session),
            budget=desk.settings.activations << 20,
        )

    def perform(self, engine: Engine, job: Job) -> Tried:
        """The run, its analyses, and what is wrong with edits that were left out."""
        from microtome.trying import try_edits

        model = engine.loaded
        if self.run is None or self.metric is None:
            raise InputError("The edits were asked of no run.", "Run a prompt first.")
        if model.identity.fingerprint != self.run.model.fingerprint:
            raise ModelMismatch(
                f"The run on screen is of another model than {model.identity.name}.",
                "Attach the session's model.",
            )
        return try_edits(model, self.run, self.specs, self.metric, budget=self.budget, job=job)

    def started(self, desk: Desk) -> None:
        """The panel says so where it takes long."""
        desk.trials.update(running=True)

    def ended(self, desk: Desk) -> None:
        """Nothing runs any more."""
        desk.trials.update(running=False)

    def deliver_partial(self, desk: Desk, name: str, value: Any) -> None:
        """Show the predictions."""
        if name == "tried":
            self._show(desk, value, QUICK)

    def deliver(self, desk: Desk, result: Tried) -> None:
        """Show all of it."""
        self._show(desk, result, WHOLE)
        desk.trials.update(norms=MappingProxyType({**desk.trials.norms, **result.norms}))

    def _show(self, desk: Desk, tried: Tried, part: str) -> None:
        problems = {self.specs[row]: told for row, told in tried.problems.items()}
        tell_problems(desk, self.specs, problems)
        show_edited(desk, tried.edited, tried.analyses, part)


def show_edited(
    desk: Desk, edited: Trace | None, analyses: Mapping[str, Analysis], part: str
) -> None:
    """Put a run with edits, or none, in the place of the one in the session on screen."""
    session = desk.workspace.session
    if session is None or (edited is None and session.edited is None):
        return
    held = {**without_edits(session), **analyses}
    desk.workspace.change(part, edited=edited, analyses=MappingProxyType(held))


def without_edits(session: Session) -> dict[str, Analysis]:
    """The analyses that are not of the run with edits."""
    return {name: one for name, one in session.analyses.items() if not name.startswith(PREFIX)}


def tell_problems(
    desk: Desk, specs: tuple[EditSpec, ...], problems: Mapping[EditSpec, str]
) -> None:
    """Mark the edits that were left out, and tell of those that nobody was told of."""
    told = set(desk.trials.problems.values())
    desk.trials.update(problems=MappingProxyType(dict(problems)))
    for row, spec in enumerate(specs, start=1):
        what = problems.get(spec)
        if what is not None and what not in told:
            title = f"Edit {row}, {spec.action} of {spec.site}, was left out"
            way_out = "The others act. Change it or switch it off in the panel Edits."
            desk.notices.post(Notice(Level.ERROR, title, what, way_out))


@dataclass(frozen=True, slots=True)
class SteerAlongWords(Request):
    """Find the tokens of one or two words, and add the edit that steers along them."""

    slot: ClassVar[str] = "word edit"
    about_session: ClassVar[bool] = True
    quiet: ClassVar[bool] = True

    spec: EditSpec
    words: tuple[str, ...]

    @property
    def title(self) -> str:
        """What is being done."""
        return f"Looking for {', '.join(self.words)}"

    def perform(self, engine: Engine, job: Job) -> EditSpec:
        """The edit with the tokens of the words.

        Raises AnswerError for a word that is not one token.
        """
        model, direction = engine.loaded, self.spec.direction
        if direction is None:
            raise InputError("Words were given to an edit without a direction.", "Steer with it.")
        ids = [int(model.answer_token(word)) for word in self.words]
        found = replace(direction, token=ids[0], other=ids[1] if len(ids) > 1 else None)
        return replace(self.spec, direction=found)

    def deliver(self, desk: Desk, result: EditSpec) -> None:
        """It joins the list."""
        desk.book.add_edit(result)


@dataclass(frozen=True, slots=True)
class ChangeEdges(Request):
    """How the edits change what flows along the edges of the circuit on screen."""

    slot: ClassVar[str] = "edge changes"
    replaces: ClassVar[frozenset[str]] = frozenset({"edge changes"})
    about_session: ClassVar[bool] = True
    quiet: ClassVar[bool] = True

    session: Session | None = field(default=None, repr=False)

    @property
    def title(self) -> str:
        """What is being done."""
        return "Following the edits along the edges"

    def bound(self, desk: Desk) -> Self:
        """With the circuit and both runs on screen."""
        return replace(self, session=desk.workspace.session)

    def perform(self, engine: Engine, job: Job) -> Analysis | None:
        """The change of each edge; None where the runs do not hold what it needs."""
        from microtome.circuits.changed import edge_changes

        held = self.session
        if held is None or held.circuit is None or held.clean is None or held.edited is None:
            return None
        if not (can_change_edges(held) and held.question is not None):
            return None
        single = held.circuit.metadata.get("corrupt") is None
        subject = held.question.prompt if single else held.question.pair or held.question.prompt
        return edge_changes(
            engine.loaded, subject, held.circuit, metric_of(held), held.clean, held.edited, job=job
        )

    def deliver(self, desk: Desk, result: Analysis | None) -> None:
        """Keep it beside the run with edits that it was made of."""
        now = desk.workspace.session
        same = now is not None and self.session is not None and now.edited is self.session.edited
        if result is not None and same:
            desk.workspace.add_analysis(result)


def can_change_edges(session: Session) -> bool:
    """Whether there is a circuit, and both runs hold in memory what its nodes write."""
    runs = (session.clean, session.edited)
    return (
        session.circuit is not None
        and not shows_features(session)
        and all(
            run is not None
            and name in run.activations
            and isinstance(run.activations[name].values, np.ndarray)
            for run in runs
            for name in ("embed", "z", "mlp_out")
        )
    )
