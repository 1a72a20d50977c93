"""Requests that load a model, read what is typed, and check the model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from microtome.errors import MicrotomeError, ModelMismatch
from microtome.jobs import Job
from microtome.prompts import Question
from microtome.records.checks import CheckReport
from microtome.records.coverage import Coverage
from microtome.records.memory import MemoryNeed, memory_tip
from microtome.records.model import ModelIdentity
from microtome_desktop.jobs.checking import checked, keep_checks, tell_failures
from microtome_desktop.jobs.engine import Engine, share_of_machine
from microtome_desktop.jobs.examine import SESSION_SLOTS
from microtome_desktop.jobs.request import Request
from microtome_desktop.state.desk import Desk
from microtome_desktop.state.draft import DraftText, Needs, Reading
from microtome_desktop.state.library import Machine, ModelFacts, Seen
from microtome_desktop.state.notices import Level, Notice
from microtome_desktop.state.settings import PRECISIONS


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model that is ready, and what panels need of it."""

    identity: ModelIdentity
    facts: ModelFacts
    machine: Machine
    coverage: Coverage
    memory: MemoryNeed | None = None


@dataclass(frozen=True, slots=True)
class LoadModel(Request):
    """Load a model by embedded name, folder or hub id of the local cache.

    ``fingerprint`` is set to attach the model of a session: another one is refused.
    """

    slot: ClassVar[str] = "model"
    replaces: ClassVar[frozenset[str]] = SESSION_SLOTS | {"model", "checks", "read"}
    restless: ClassVar[str] = "A model is loaded in one step."
    asks_first: ClassVar[bool] = True

    name: str
    device: str = "cpu"
    fingerprint: str = ""
    remember: bool = False  # among the recent models: a folder or a hub id
    dtype: str = ""  # the precision; that of the settings when none is named
    threads: int | None = None  # those of the settings when none are named

    @property
    def title(self) -> str:
        """What is being done, for the status bar."""
        return f"Loading {self.name}"

    @property
    def missed(self) -> bool:
        """No: it loads as quickly the next time."""
        return False

    def bound(self, desk: Desk) -> Self:
        """With the precision and the threads that the user has chosen."""
        if self.dtype and self.threads is not None:
            return self
        threads = desk.settings.threads if self.threads is None else self.threads
        return replace(self, dtype=self.dtype or desk.settings.dtype, threads=threads)

    def started(self, desk: Desk) -> None:
        """Say which model is on its way."""
        desk.library.update(loading=self.name)

    def perform(self, engine: Engine, job: Job) -> Loaded:
        """The model is in the engine afterwards; a failed load leaves the old one there.

        Raises ModelMismatch when the session was made by another model.
        """
        job.progress("Starting the engine", 0, 1)
        machine = share_of_machine(self.threads or 0)
        from microtome.models.coverage import coverage

        model = self.opened(job)
        if self.fingerprint and model.identity.fingerprint != self.fingerprint:
            raise ModelMismatch(
                f"{self.name} is not the model that made this session: its weights differ.",
                "Choose the folder or checkpoint the session was made with.",
            )
        engine.take(model)
        return Loaded(model.identity, _facts(model), machine, coverage(model), model.memory)

    def opened(self, job: Job) -> Any:
        """The model itself. Raises what ``load_model`` does."""
        from microtome.models.loading import load_model

        dtype = self.dtype or PRECISIONS[0]
        return load_model(self.name, device=self.device, dtype=dtype, job=job)

    def delivered(self, desk: Desk) -> None:
        """Put a model that is to be remembered among the recent ones."""
        if self.remember:
            desk.settings.remember_model(self.name)

    def deliver(self, desk: Desk, result: Loaded) -> None:
        """The model can be used."""
        desk.library.update(
            modules=(),
            facts=result.facts,
            machine=result.machine,
            coverage=result.coverage,
            memory=result.memory,
            checks=None,
        )
        sees = result.identity.sees
        desk.draft.use_model(as_ids=not result.facts.has_tokenizer and not sees, sees=sees)
        desk.workspace.set_model(result.identity)
        if result.memory is not None and not result.memory.circuit_fits:
            what = memory_tip(result.memory)
            desk.notices.post(
                Notice(Level.WARNING, "A circuit may not fit", what, "Close other programs.")
            )
        self.delivered(desk)

    def ended(self, desk: Desk) -> None:
        """Nothing is on its way any more."""
        if desk.library.shelf.loading == self.name:
            desk.library.update(loading="")


def _facts(model: Any) -> ModelFacts:
    from microtome.examining import prompt_sets_of

    return ModelFacts(
        seen=_seen(model),
        words=tuple(model.vocabulary_words()),  # without a tokenizer the classes, if any
        has_tokenizer=model.tokenizer is not None,
        prompt_sets=prompt_sets_of(model),
    )


def _seen(model: Any) -> Seen | None:
    """What a model that sees is given, and the sets of images that come with Microtome."""
    if model.sight is None:
        return None
    from microtome.images.sets import image_set_names, load_image_set

    held = [load_image_set(name) for name in image_set_names()]
    held.sort(key=lambda one: one.model != model.identity.name.partition("@")[0])  # its own first
    sight = model.sight
    return Seen(sight.shape, sight.classes, sight.preprocessing.lines(), tuple(held))


@dataclass(frozen=True, slots=True)
class ReadDraft(Request):
    """How the model splits what is typed; what is wrong with it is part of the answer."""

    slot: ClassVar[str] = "read"
    replaces: ClassVar[frozenset[str]] = frozenset({"read"})
    quiet: ClassVar[bool] = True

    text: DraftText
    budget: int | None = None  # of activations, in bytes; that of the settings when none is given

    @property
    def title(self) -> str:
        """What is being done."""
        return "Reading the prompt"

    def bound(self, desk: Desk) -> Self:
        """With the budget that the user has chosen."""
        return self if self.budget else replace(self, budget=desk.settings.activations << 20)

    def perform(self, engine: Engine, job: Job) -> Reading:
        """The tokens of both prompts, and a plain sentence for each thing that is wrong."""
        if engine.model is None or not self.text.asked:
            return Reading()
        try:
            reading = _read(engine.model, self.text.question(), engine.model.tokenize)
            return replace(reading, needs=_needs(engine.model, reading, self.budget))
        except MicrotomeError as error:
            return Reading(problem=str(error))

    def deliver(self, desk: Desk, result: Reading) -> None:
        """Show it beside the fields."""
        desk.draft.read(result, self.text)


def _read(model: Any, question: Question, tokenize: Any) -> Reading:
    clean = tokenize(question.prompt)
    corrupt = None if question.corrupt is None else tokenize(question.corrupt)
    problem = "" if corrupt is None else clean.unlike(corrupt)
    if problem:
        problem = f"{problem} A pair needs the same number."
    sides = [((), ()) if tokens is None else _both_sides(tokens) for tokens in (clean, corrupt)]
    return Reading(
        clean=sides[0][0],
        corrupt=sides[1][0],
        unknown_clean=sides[0][1],
        unknown_corrupt=sides[1][1],
        problem=problem,
        answer_problem=_answer_problem(model, question.answer),
        wrong_problem=_answer_problem(model, question.wrong),
        seen=clean.image,
        corrupt_seen=None if corrupt is None else corrupt.image,
    )


def _needs(model: Any, reading: Reading, budget: int | None) -> Needs | None:
    """What a run would take, None where nobody knows and for a prompt that cannot be run."""
    if reading.problem or not reading.clean:
        return None
    if model.sight is not None and not model.whole:
        return None  # what a circuit of channels takes depends on the module
    from microtome.circuits.memory import run_memory
    from microtome.records.memory import free_memory

    pair = bool(reading.corrupt) and model.whole and not model.anatomy.routed
    found = run_memory(model, len(reading.clean), pair=pair, budget=budget)
    return Needs(found.kept, found.peak, free_memory(), found.left_out)


def _both_sides(tokens: Any) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """The tokens that are read, those of an encoder first, and which of them are not known."""
    read = tokens.source
    if read is None:
        return tokens.texts, tokens.unknown
    unknown = (*read.unknown, *(at + len(read) for at in tokens.unknown))
    return (*read.texts, *tokens.texts), unknown


def _answer_problem(model: Any, answer: str | int | None) -> str:
    if answer is None:
        return ""
    try:
        model.answer_token(answer)
    except MicrotomeError as error:
        return str(error)
    return ""


@dataclass(frozen=True, slots=True)
class RunChecks(Request):
    """The numeric self-checks of the loaded model."""

    slot: ClassVar[str] = "checks"
    replaces: ClassVar[frozenset[str]] = frozenset({"checks"})

    fingerprint: str

    @property
    def title(self) -> str:
        """What is being done, for the status bar."""
        return "Checking the model's numbers"

    @property
    def missed(self) -> bool:
        """No: it begins by itself."""
        return False

    def perform(self, engine: Engine, job: Job) -> CheckReport:
        """What each check found."""
        from microtome.selfcheck.suite import self_check

        found = self_check(engine.loaded, job=job)
        return found.joined(checked(engine, engine.dictionaries, job))

    def deliver(self, desk: Desk, result: CheckReport) -> None:
        """Keep the report with the model and the session; a failed check is told."""
        model = desk.workspace.model
        if model is not None and model.fingerprint == self.fingerprint:
            keep_checks(desk, result, self.fingerprint)
            tell_failures(desk, result.failures, result.model)
