"""Requests about graphs of features: make one, look at transcoders, try edits, write on."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Self

from microtome.errors import (
    DictionaryMismatch,
    InputError,
    MemoryExceeded,
    MicrotomeError,
    megabytes,
)
from microtome.jobs import Job
from microtome.prompts import Question
from microtome.records.analysis import Analysis
from microtome.records.circuit import Circuit
from microtome.records.dictionary_file import DictionaryFile
from microtome.records.feature_edit import FeatureEditSpec
from microtome.records.marks import Marks
from microtome.records.memory import free_memory
from microtome.records.session import Session
from microtome.records.trace import Trace
from microtome_desktop.jobs.engine import Engine
from microtome_desktop.jobs.examine import show_new
from microtome_desktop.jobs.request import Request
from microtome_desktop.state.carried import carried_analyses
from microtome_desktop.state.desk import Desk
from microtome_desktop.state.feature_sets import set_for, set_of
from microtome_desktop.state.library import OpenedSet

if TYPE_CHECKING:
    from microtome.features.transcoders import Transcoders  # brings torch

_WORDS_OF = 500  # features whose words are told at once
_MOST_PRODUCTS = 1 << 31  # multiplications that finding them may take
_OF_RUN = {"logit-lens", "direct-attribution", "head-scores", "projection", "site-statistics"}
_FREE_SHARE = 0.9  # of the free memory that a graph may take


def transcoders_in(engine: Engine, where: str, job: Job) -> Transcoders:
    """The transcoders of a name or folder, loaded once; a set of before makes room."""
    held = engine.transcoders.get(where)
    if held is None:
        from microtome.features.formats.files import load_transcoders

        engine.transcoders.clear()
        held = engine.transcoders[where] = load_transcoders(where, job=job)
    return held


@dataclass(frozen=True, slots=True)
class MadeGraph:
    """A session with a graph of features, and the set that it was made with."""

    session: Session
    used: OpenedSet


@dataclass(frozen=True, slots=True)
class MakeFeatureGraph(Request):
    """Make the attribution graph of the prompt that is typed, or of a run with edits of features.

    ``where`` names the transcoders, those of the model when it is empty. The graph becomes a run
    of the history beside the one on screen.
    """

    slot: ClassVar[str] = "feature graph"
    replaces: ClassVar[frozenset[str]] = frozenset({"feature graph", "checks"})

    where: str = ""
    edits: tuple[FeatureEditSpec, ...] = ()
    question: Question | None = None
    held: Session | None = field(default=None, repr=False)
    budget: int | None = None  # of activations of a run, in bytes

    @property
    def title(self) -> str:
        """What is being done, for the status bar."""
        return "Making the graph with the edits" if self.edits else "Making the feature graph"

    def part_title(self, name: str, value: Any) -> str:
        """What it takes, told before it is made."""
        return str(value) if name == "memory" else ""

    def bound(self, desk: Desk) -> Self:
        """With the question, the run on screen where it is of that question, and the transcoders.

        Raises InputError without a prompt or transcoders.
        """
        session, asked = desk.workspace.session, self.question
        if self.edits and session is not None:
            asked, where = session.question, set_of(session, desk.library)
        else:
            typed = desk.draft.text
            asked = asked or (typed.question() if typed.prompt.strip() else None)
            where = set_for(desk.workspace, desk.library)
        where = self.where or where
        if asked is None or not where:
            raise InputError("There is no prompt, or there are no transcoders.", "Type a prompt.")
        asked = replace(asked, corrupt=None)
        budget = desk.settings.activations << 20
        held = session if session is not None and _is_run_of(desk, session, asked) else None
        return replace(self, question=asked, where=where, held=held, budget=budget)

    def perform(self, engine: Engine, job: Job) -> MadeGraph:
        """The graph as a session of its own.

        Raises what ``attribution_graph`` raises, MemoryExceeded before it is begun.
        """
        from microtome.circuits.attribution.edited import change_of
        from microtome.circuits.attribution.estimate import estimate_attribution
        from microtome.circuits.attribution.feature_words import feature_words, features_in
        from microtome.circuits.attribution.graph import attribution_graph
        from microtome.examining import first_run

        model, question = engine.loaded, self.question
        if question is None:
            raise InputError("There is no prompt.", "Type one.")
        job.progress("Reading the transcoders", 0, 3)
        transcoders = transcoders_in(engine, self.where, job)
        job.progress("Estimating the memory", 1, 3)
        need = estimate_attribution(model, transcoders, question.prompt, job=job)
        job.partial("memory", need)
        _expect_room(need.total)
        changes = tuple(change_of(spec) for spec in self.edits)
        job.progress("Following features back", 2, 3)
        circuit = attribution_graph(model, transcoders, question.prompt, changes=changes, job=job)
        few = max(1, _MOST_PRODUCTS // (model.identity.d_model * max(1, model.identity.vocabulary)))
        some = features_in(circuit, min(_WORDS_OF, few))
        words = feature_words(model, transcoders, some, job=job)
        if self.held is None or self.held.clean is None:
            run, metric = first_run(model, question, budget=self.budget, job=job)
        else:
            run, metric = self.held.clean, _of_prompt(self.held.metric)
        identity = transcoders.layers[0].identity
        used = OpenedSet(
            self.where, transcoders.name, model.identity.fingerprint, identity.fingerprint
        )
        session = self._session(model, _with_edits(circuit, self.edits), run, metric, words)
        return MadeGraph(session, used)

    def _session(
        self, model: Any, circuit: Circuit, run: Trace, metric: Any, words: Analysis | None
    ) -> Session:
        return Session(
            model.identity, (run,), circuit,
            analyses=self._kept(model) | ({} if words is None else {words.id: words}),
            question=self.question, metric=metric, uuid=str(uuid.uuid4()),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            versions=model.identity.versions,
        )  # fmt: skip

    def _kept(self, model: Any) -> dict[str, Analysis]:
        """What is as true of the same run beside another graph."""
        if self.held is None:
            return {}
        own = {one.id: one for one in self.held.analyses.values() if one.kind in _OF_RUN}
        return carried_analyses(self.held, model.identity.fingerprint) | own

    def deliver(self, desk: Desk, result: MadeGraph) -> None:
        """Show it as a run of its own, with groups and names that the graph before it had."""
        held, before = desk.library.shelf.transcoders, desk.workspace.session
        if result.used.path != result.used.name:
            others = (one for one in held if one.path != result.used.path)
            desk.library.update(transcoders=(result.used, *others))
        session = result.session
        if self.edits and before is not None:
            session = replace(session, marks=_groups(before.marks))
        show_new(desk, session)


def _is_run_of(desk: Desk, session: Session, asked: Question) -> bool:
    """Whether the run on screen is one of the prompt and the metric that are asked for."""
    held = session.question
    return (
        held is not None
        and not desk.workspace.offline
        and session.clean is not None
        and (held.prompt, held.answer, held.wrong) == (asked.prompt, asked.answer, asked.wrong)
        and bool(session.metric)
    )


def _of_prompt(metric: Any) -> dict[str, Any]:
    return {name: value for name, value in metric.items() if name != "value_corrupt"}


def _with_edits(circuit: Circuit, edits: tuple[FeatureEditSpec, ...]) -> Circuit:
    if not edits:
        return circuit
    told = {"feature_edits": [spec.as_json() for spec in edits]}
    return replace(circuit, metadata={**circuit.metadata, **told})


def _groups(marks: Marks) -> Marks:
    return Marks(names=marks.names, supernodes=marks.supernodes, pins=marks.pins)


def _expect_room(need: int) -> None:
    free = free_memory()
    if free is not None and need > _FREE_SHARE * free:
        raise MemoryExceeded(
            f"The graph takes {megabytes(need)}, but {megabytes(free)} are free.",
            "Use a shorter prompt, or close other programs.",
        )


@dataclass(frozen=True, slots=True)
class LookedAt:
    """What a folder of transcoders holds, and why it cannot be used with the loaded model."""

    path: str
    file: DictionaryFile | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class InspectTranscoders(Request):
    """Look at a folder of transcoders without loading it; ``take`` gets what was found."""

    slot: ClassVar[str] = "inspect transcoders"
    replaces: ClassVar[frozenset[str]] = frozenset({"inspect transcoders"})
    quiet: ClassVar[bool] = True

    path: str
    take: Callable[[LookedAt], None] = field(repr=False)

    @property
    def title(self) -> str:
        """What is being done."""
        return f"Looking at {self.path}"

    def perform(self, engine: Engine, job: Job) -> LookedAt:
        """What it is; what is wrong with it is part of the answer."""
        from microtome.features.fitting import expect_file_fits
        from microtome.features.formats.files import inspect_dictionary
        from microtome.records.dictionary_file import ONE

        file = None
        try:
            file = inspect_dictionary(self.path, job=job)
            if file.problem:
                return LookedAt(self.path, file, file.problem)
            if file.kind == ONE:
                raise DictionaryMismatch(
                    "This is one dictionary; a graph needs transcoders for all layers.",
                    "Choose the folder of a whole set.",
                )
            expect_file_fits(file, engine.loaded)
        except MicrotomeError as error:
            return LookedAt(self.path, file, str(error))
        return LookedAt(self.path, file)

    def deliver(self, desk: Desk, result: LookedAt) -> None:
        """Hand it over."""
        self.take(result)
