"""Requests about sparse dictionaries: what a file is, opening it, and what a text shows of it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

from microtome.errors import DictionaryError, MicrotomeError, Offline
from microtome.jobs import Job
from microtome.records.analysis import Analysis
from microtome.records.checks import CheckResult
from microtome.records.dictionary import DictionaryIdentity
from microtome.records.neuron_prints import layer_of_neurons
from microtome_desktop.jobs.checking import checked, keep_checks, tell_failures
from microtome_desktop.jobs.engine import Engine
from microtome_desktop.jobs.request import Request, Thread
from microtome_desktop.state.desk import Desk
from microtome_desktop.state.dictionaries import LookedAt

if TYPE_CHECKING:
    from microtome.models.download import Download
    from microtome.records.trace import Trace

INDEX_SLOT = "feature index"
_TRIED = 2_048  # tokens that an estimate reads

_TO_FETCH = "Press Ask the hub to see what would be fetched, or choose the folder of a local copy."


@dataclass(frozen=True, slots=True)
class LookAtDictionaries(Request):
    """What each of some dictionaries is, and whether it fits the model; nothing is loaded.

    Without names these are the embedded ones, of which those that fit are told.
    """

    slot: ClassVar[str] = "look at dictionary"
    replaces: ClassVar[frozenset[str]] = frozenset({"look at dictionary"})
    quiet: ClassVar[bool] = True

    names: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """What is being done."""
        return "Looking at dictionaries"

    def perform(self, engine: Engine, job: Job) -> tuple[LookedAt, ...]:
        """The answers; what is wrong is part of them."""
        if engine.model is None and not self.names:
            return ()  # none is built in for no model, and nothing heavy is imported to see it
        from microtome.features.formats.finding import embedded_dictionaries

        model = engine.loaded
        if self.names:
            return tuple(_looked(name, model, job) for name in self.names)
        held = (_looked(name, model, job) for name in embedded_dictionaries())
        return tuple(one for one in held if not one.problem)

    def deliver(self, desk: Desk, result: tuple[LookedAt, ...]) -> None:
        """Show them in the dialog."""
        for one in result:
            desk.dictionaries.show(one)


def _looked(name: str, model: Any, job: Job) -> LookedAt:
    from microtome.features.fitting import expect_file_fits
    from microtome.features.formats.files import inspect_dictionary

    told = None
    try:
        told = inspect_dictionary(name, job=job)
        expect_file_fits(told, model)
    except Offline as error:
        return LookedAt(name, None, f"{error.what} {_TO_FETCH}", absent=True)
    except MicrotomeError as error:
        return LookedAt(name, told, str(error))
    return LookedAt(name, told, told.problem)


@dataclass(frozen=True, slots=True)
class PlanDictionary(Request):
    """What of a dictionary of the hub would be fetched; what is wrong is part of the answer."""

    thread: ClassVar[Thread] = Thread.NETWORK
    slot: ClassVar[str] = "plan dictionary"
    replaces: ClassVar[frozenset[str]] = frozenset({"plan dictionary"})

    name: str

    @property
    def title(self) -> str:
        """What is being done, for the status bar."""
        return f"Asking the hub for {self.name}"

    def perform(self, engine: Engine, job: Job) -> LookedAt:
        """The plans; nothing is fetched."""
        from microtome.features.formats.files import plan_download

        try:
            plans = plan_download(self.name)
        except MicrotomeError as error:
            return LookedAt(self.name, None, str(error))
        return LookedAt(self.name, None, absent=bool(plans), plans=plans)

    def deliver(self, desk: Desk, result: LookedAt) -> None:
        """Show them in the dialog."""
        desk.dictionaries.show(result)


@dataclass(frozen=True, slots=True)
class FetchDictionary(Request):
    """Fetch what the user has seen the size and the destination of."""

    thread: ClassVar[Thread] = Thread.NETWORK
    slot: ClassVar[str] = "fetch dictionary"
    replaces: ClassVar[frozenset[str]] = frozenset({"fetch dictionary"})

    name: str
    plans: tuple[Download, ...] = field(repr=False)

    @property
    def title(self) -> str:
        """What is being done, for the status bar."""
        return f"Downloading {self.name}"

    def perform(self, engine: Engine, job: Job) -> LookedAt:
        """What has come; settings may name more, which is asked about again.

        Raises Offline, DictionaryError, UnsafeDictionary.
        """
        from microtome.features.formats.files import inspect_dictionary
        from microtome.models.download import fetch

        for plan in self.plans:
            fetch(plan, job)
        try:
            return LookedAt(self.name, inspect_dictionary(self.name, job=job))
        except Offline as error:
            return LookedAt(self.name, None, f"{error.what} {_TO_FETCH}", absent=True)

    def deliver(self, desk: Desk, result: LookedAt) -> None:
        """Show it; whether it fits is looked at when it is opened."""
        desk.dictionaries.show(result)


@dataclass(frozen=True, slots=True)
class OpenDictionary(Request):
    """Load a dictionary, or a transcoder for each layer, beside the model."""

    slot: ClassVar[str] = "dictionary"
    replaces: ClassVar[frozenset[str]] = frozenset({"dictionary"})
    restless: ClassVar[str] = "A dictionary is loaded in one step."

    name: str

    @property
    def title(self) -> str:
        """What is being done, for the status bar."""
        return f"Opening {self.name}"

    def perform(self, engine: Engine, job: Job) -> Opened:
        """What is open now, and its check. Raises what ``open_dictionary`` raises."""
        opened = open_dictionary(engine, self.name, job)
        rows = checked(engine, (one.fingerprint for one in opened), job)
        return Opened(opened, rows, engine.loaded.identity.fingerprint)

    def deliver(self, desk: Desk, result: Opened) -> None:
        """Look at it, and keep what its check found with the others; one that failed is told."""
        desk.dictionaries.add(*result.dictionaries)
        held, model = desk.library.shelf.checks, desk.workspace.model
        if held is not None and model is not None and model.fingerprint == result.model:
            keep_checks(desk, held.joined(result.rows), result.model)
        tell_failures(desk, result.rows)


@dataclass(frozen=True, slots=True)
class Opened:
    """Dictionaries that are open now, what check 14 found of each, and the model's fingerprint."""

    dictionaries: tuple[DictionaryIdentity, ...]
    rows: tuple[CheckResult, ...]
    model: str


def open_dictionary(engine: Engine, name: str, job: Job) -> tuple[DictionaryIdentity, ...]:
    """Load it beside the model. Raises DictionaryMismatch, DictionaryError, UnsafeDictionary."""
    from microtome.features.fitting import expect_file_fits, expect_fit
    from microtome.features.formats.files import (
        inspect_dictionary,
        load_dictionary,
        load_transcoders,
    )
    from microtome.records.dictionary_file import ONE

    model, told = engine.loaded, inspect_dictionary(name, job=job)
    expect_file_fits(told, model)
    if told.kind == ONE:
        one = load_dictionary(name, job=job)
        expect_fit(one.identity, model)
        engine.dictionaries[one.identity.fingerprint] = one
        return (one.identity,)
    found = load_transcoders(name, job=job)
    for layer in found.layers:
        expect_fit(layer.identity, model)
    engine.hold_set(found)
    return tuple(layer.identity for layer in found.layers)


def coder_of(engine: Engine, fingerprint: str) -> Any:
    """What has the codes: an open dictionary, or a layer's neurons. Raises DictionaryError."""
    layer = layer_of_neurons(fingerprint)
    if layer is not None:
        from microtome.features.neurons import Neurons

        found = Neurons(engine.loaded, layer)
        if found.identity.fingerprint != fingerprint:
            raise DictionaryError(
                f"These are neurons of another model than {engine.loaded.identity.name}.",
                "Load the model that the session was made with.",
            )
        return found
    if fingerprint not in engine.dictionaries:
        raise DictionaryError("The dictionary is not open.", "Open it from the Features menu.")
    return engine.dictionaries[fingerprint]


def text_path(text: str) -> str:
    """The file of an embedded text that is asked for by name; else what was given."""
    import microtome_resources as resources

    return str(resources.text_path(text)) if text in resources.text_names() else text


@dataclass(frozen=True, slots=True)
class IndexFeatures(Request):
    """Read a text through a dictionary; ``named`` is what the dictionary is called."""

    slot: ClassVar[str] = INDEX_SLOT
    replaces: ClassVar[frozenset[str]] = frozenset({INDEX_SLOT})
    about_session: ClassVar[bool] = True

    fingerprint: str
    named: str
    text: str  # an embedded text by its name, a file or a folder
    tokens: int

    @property
    def title(self) -> str:
        """What is being done, for the status bar."""
        return f"Looking through a text for {self.named}"

    def perform(self, engine: Engine, job: Job) -> Analysis:
        """The index. Raises CorpusError, DictionaryMismatch."""
        from microtome.features.indexing import feature_index
        from microtome.records.feature_index import index_analysis

        coder = coder_of(engine, self.fingerprint)
        found = feature_index(
            engine.loaded, coder, text_path(self.text), limit=self.tokens, job=job
        )
        # What the file of a session needs, so that the lines of Python read the same text.
        asked = {"text": self.text, "limit": self.tokens}
        return index_analysis(replace(found, params={**found.params, **asked}))

    def deliver(self, desk: Desk, result: Analysis) -> None:
        """Add it to the session."""
        desk.workspace.add_analysis(result)


@dataclass(frozen=True, slots=True)
class ForeseeIndex(Request):
    """How long it would take to read a text: a small part of it is read."""

    slot: ClassVar[str] = "foresee index"
    replaces: ClassVar[frozenset[str]] = frozenset({"foresee index"})
    quiet: ClassVar[bool] = True

    fingerprint: str
    text: str
    tokens: int

    @property
    def title(self) -> str:
        """What is being done."""
        return "Estimating an index"

    @property
    def key(self) -> tuple[str, str, str, int]:
        """What the answer is kept under."""
        return "foresee index", self.fingerprint, self.text, self.tokens

    def perform(self, engine: Engine, job: Job) -> Foreseen:
        """Seconds, or the problem."""
        from microtome.features.indexing import feature_index

        few = min(_TRIED, self.tokens)
        began = time.perf_counter()
        try:
            coder = coder_of(engine, self.fingerprint)
            read = feature_index(engine.loaded, coder, text_path(self.text), limit=few, job=job)
        except MicrotomeError as error:
            return Foreseen(problem=str(error))
        seconds = time.perf_counter() - began
        # A text that is shorter than the part that was tried has been read to its end.
        whole = read.n_positions < few // 2
        return Foreseen(seconds if whole else seconds * self.tokens / few)

    def deliver(self, desk: Desk, result: Foreseen) -> None:
        """Give it to the dialog."""
        desk.workspace.prepared.put(self.key, result)

    def ended(self, desk: Desk) -> None:
        """It may be asked for again."""
        desk.workspace.prepared.forget(self.key)


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What reading a text would take at most."""

    seconds: float = 0.0
    problem: str = ""
    nbytes: int = 64


@dataclass(frozen=True, slots=True)
class EncodeRun(Request):
    """Which features are on in the run on screen, and how strongly."""

    slot: ClassVar[str] = "encode run"
    replaces: ClassVar[frozenset[str]] = frozenset({"encode run"})
    about_session: ClassVar[bool] = True
    quiet: ClassVar[bool] = True

    fingerprint: str
    run: Trace = field(repr=False)

    @property
    def title(self) -> str:
        """What is being done."""
        return "Finding features of the prompt"

    @property
    def key(self) -> tuple[str, str, Trace]:
        """What the answer is kept under."""
        return run_key(self.fingerprint, self.run)

    def perform(self, engine: Engine, job: Job) -> Any:
        """The codes, [position, feature]."""
        from microtome.features.reading import codes_of_run

        return codes_of_run(engine.loaded, coder_of(engine, self.fingerprint), self.run, job=job)

    def deliver(self, desk: Desk, result: Any) -> None:
        """Give it to the panel."""
        desk.workspace.prepared.put(self.key, result)

    def ended(self, desk: Desk) -> None:
        """It may be asked for again."""
        desk.workspace.prepared.forget(self.key)


def run_key(fingerprint: str, run: Trace) -> tuple[str, str, Trace]:
    """What the codes of a run are kept under."""
    return "codes", fingerprint, run
