"""Requests about graphs of features: make one, look at transcoders, try edits, write on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Self

from microtome.errors import (
    DictionaryMismatch,
    InputError,
    MicrotomeError,
)
from microtome.jobs import Job
from microtome.prompts import Question
from microtome.records.analysis import Analysis
from microtome.records.dictionary import DictionaryIdentity
from microtome.records.dictionary_file import DictionaryFile
from microtome.records.feature_edit import FeatureEditSpec
from microtome.records.marks import Marks
from microtome.records.session import Session
from microtome_desktop.jobs.engine import Engine
from microtome_desktop.jobs.examine import show_new
from microtome_desktop.jobs.request import Request
from microtome_desktop.state.carried import carried_analyses
from microtome_desktop.state.desk import Desk
from microtome_desktop.state.feature_sets import set_for, set_of
from microtome_desktop.state.library import OpenedSet

if TYPE_CHECKING:
    from microtome.features.transcoders import Transcoders  # brings torch

_OF_RUN = {"logit-lens", "direct-attribution", "head-scores", "projection", "site-statistics"}


def transcoders_in(engine: Engine, where: str, job: Job) -> Transcoders:
    """The transcoders of a name or folder, loaded once; a set of before makes room."""
    held = engine.transcoders.get(where)
    if held is None:
        from microtome.features.formats.files import load_transcoders

        engine.transcoders.clear()
        held = engine.transcoders[where] = load_transcoders(where, job=job)
    return held


def hold_layers(engine: Engine, transcoders: Transcoders) -> tuple[DictionaryIdentity, ...]:
    """Keep each layer's features as a dictionary of their own, for cards; what they are."""
    engine.hold_set(transcoders)
    return tuple(one.identity for one in transcoders.layers)


@dataclass(frozen=True, slots=True)
class MadeGraph:
    """A session with a graph of features, and the set that it was made with."""

    session: Session
    used: OpenedSet
    layers: tuple[DictionaryIdentity, ...]


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
            asked = asked or (typed.question() if typed.asked else None)
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
        from microtome.attributing import attribute

        model, question, held = engine.loaded, self.question, self.held
        if question is None:
            raise InputError("There is no prompt.", "Type one.")
        transcoders = transcoders_in(engine, self.where, job)
        ran = None
        if held is not None and held.clean is not None:
            ran = held.clean, _of_prompt(held.metric)
        found = attribute(
            model, transcoders, question, edits=self.edits, ran=ran, budget=self.budget, job=job
        )
        layers = hold_layers(engine, transcoders)
        used = OpenedSet(
            self.where, transcoders.name, model.identity.fingerprint, layers[0].fingerprint
        )
        analyses = MappingProxyType(self._kept(model) | dict(found.analyses))
        return MadeGraph(replace(found, analyses=analyses), used, layers)

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
        desk.dictionaries.keep(*result.layers)
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


def _groups(marks: Marks) -> Marks:
    return Marks(names=marks.names, supernodes=marks.supernodes, pins=marks.pins)


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
