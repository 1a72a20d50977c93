"""Labels where the window does not wait for them: read from a file, or proposed and scored."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Self

from microtome.errors import DictionaryError, MicrotomeError
from microtome.jobs import Job
from microtome.records.analysis import Analysis
from microtome.records.feature_labels import LabelSet, labels_analysis
from microtome_desktop.jobs.engine import Engine
from microtome_desktop.jobs.feature_requests import Foreseen, coder_of
from microtome_desktop.jobs.request import Request, Thread
from microtome_desktop.state.desk import Desk
from microtome_desktop.state.features import index_with
from microtome_desktop.state.label_files import labels_of_file
from microtome_desktop.state.proposals import with_proposals

LABEL_SLOT, FORESEE_LABELS = "propose labels", "foresee labels"
INSTALLED = "installed labellers"  # what their names are kept under


@dataclass(frozen=True, slots=True)
class ReadLabels(Request):
    """Take the labels of a file, as one step to undo."""

    thread: ClassVar[Thread] = Thread.IO
    slot: ClassVar[str] = "labels"
    about_session: ClassVar[bool] = True
    restless: ClassVar[str] = "A file is read in one step."

    path: Path
    fingerprint: str
    n_features: int
    reads: str = ""

    @property
    def title(self) -> str:
        """What is being done, for the status bar."""
        return f"Reading {self.path.name}"

    def perform(self, engine: Engine, job: Job) -> Analysis:
        """The labels. Raises InputError."""
        found = labels_of_file(self.path, self.fingerprint, self.n_features, self.reads)
        return labels_analysis(found)

    def deliver(self, desk: Desk, result: Analysis) -> None:
        """Put them beside what the session holds."""
        many = result.arrays["feature"].values.shape[0]
        told = f"{many:,} label{'s' * (many != 1)}"
        desk.book.put_results(f"Import {told}", {result.id: result})
        desk.notices.info(f"{told} of {self.path.name}")


@dataclass(frozen=True, slots=True)
class Labelling:
    """Who proposes labels for which features of a dictionary.

    They are scored by so many ``pairs`` of texts; ``who`` is as ``labeller_named`` takes it.
    """

    fingerprint: str
    who: str
    features: tuple[int, ...]
    pairs: int


@dataclass(frozen=True, slots=True)
class _OfIndex(Request):
    """Bound with the index that it is about."""

    labelling: Labelling
    index: Analysis | None = field(default=None, repr=False)

    def bound(self, desk: Desk) -> Self:
        """With the index of the dictionary."""
        return replace(self, index=index_with(desk.workspace.session, self.labelling.fingerprint))

    def propose(self, engine: Engine, features: tuple[int, ...], job: Job) -> LabelSet:
        """Proposals of some features. Raises what the labeller and the engine raise."""
        from microtome.features.labellers import labeller_named
        from microtome.features.labelling import label_features
        from microtome.records.feature_index import index_of

        if self.index is None:
            raise DictionaryError("No text was looked through yet.", "Look through one first.")
        wanted, model = self.labelling, engine.loaded
        coder = coder_of(engine, wanted.fingerprint)
        named = labeller_named(wanted.who, model, job=job)
        return label_features(
            model, coder, index_of(self.index), named.labeller, features, origin=named.name,
            pairs=wanted.pairs, job=job,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class ProposeLabels(_OfIndex):
    """Have labels proposed; what is there is seen at once, and stays when it is stopped."""

    slot: ClassVar[str] = LABEL_SLOT
    replaces: ClassVar[frozenset[str]] = frozenset({LABEL_SLOT})
    about_session: ClassVar[bool] = True

    @property
    def title(self) -> str:
        """What is being done, for the status bar."""
        many = len(self.labelling.features)
        return f"Proposing {many:,} label{'s' * (many != 1)}"

    def part_title(self, name: str, value: Any) -> str:
        """What a partial result is called in the job panel."""
        return "labels so far" if name == "labels" else ""

    def perform(self, engine: Engine, job: Job) -> LabelSet:
        """The proposals. Raises InputError, ModelError, DictionaryError."""
        return self.propose(engine, self.labelling.features, job)

    def deliver_partial(self, desk: Desk, name: str, value: Any) -> None:
        """Put what was found into the session."""
        session = desk.workspace.session
        if name == "labels" and session is not None:
            desk.workspace.add_analysis(with_proposals(session, value))

    def deliver(self, desk: Desk, result: LabelSet) -> None:
        """Put all of it there, and say how many."""
        if result.text:
            self.deliver_partial(desk, "labels", result)
        many = len(result.text)
        desk.notices.info(f"{many:,} label{'s' * (many != 1)} proposed by {result.origin}")


@dataclass(frozen=True, slots=True)
class ForeseeLabels(_OfIndex):
    """How long it takes: one feature is named and scored."""

    slot: ClassVar[str] = FORESEE_LABELS
    replaces: ClassVar[frozenset[str]] = frozenset({FORESEE_LABELS})
    quiet: ClassVar[bool] = True

    @property
    def title(self) -> str:
        """What is being done."""
        return "Estimating labels"

    @property
    def key(self) -> tuple[str, Labelling]:
        """What the answer is kept under."""
        return FORESEE_LABELS, self.labelling

    def perform(self, engine: Engine, job: Job) -> Foreseen:
        """Seconds, or the problem."""
        features = self.labelling.features
        try:
            began = time.perf_counter()
            self.propose(engine, (), job)
            loaded = time.perf_counter()
            self.propose(engine, features[:1], job)
        except MicrotomeError as error:
            return Foreseen(problem=str(error))
        once = loaded - began
        each = max(0.0, time.perf_counter() - loaded - once)
        return Foreseen(once + each * len(features))

    def deliver(self, desk: Desk, result: Foreseen) -> None:
        """Give it to the dialog."""
        desk.workspace.prepared.put(self.key, result)

    def ended(self, desk: Desk) -> None:
        """It may be asked for again."""
        desk.workspace.prepared.forget(self.key)


@dataclass(frozen=True, slots=True)
class Installed:
    """The names of labellers that installed packages offer."""

    names: tuple[str, ...]
    nbytes: int = 64


@dataclass(frozen=True, slots=True)
class FindLabellers(Request):
    """Which labellers are installed; none of them is loaded."""

    thread: ClassVar[Thread] = Thread.IO
    slot: ClassVar[str] = INSTALLED
    quiet: ClassVar[bool] = True

    @property
    def title(self) -> str:
        """What is being done."""
        return "Looking for labellers"

    def perform(self, engine: Engine, job: Job) -> Installed:
        """Their names."""
        from microtome.features.label_plugins import installed_labellers

        return Installed(installed_labellers())

    def deliver(self, desk: Desk, result: Installed) -> None:
        """Give them to the dialog."""
        desk.workspace.prepared.put(INSTALLED, result)
