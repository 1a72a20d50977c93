"""Which features share a neuron, and which neurons a feature shares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from microtome.jobs import Job
from microtome.records.analysis import Analysis
from microtome.records.dictionary import DictionaryIdentity
from microtome_desktop.jobs.engine import Engine
from microtome_desktop.jobs.feature_requests import (
    IndexFeatures,
    coder_of,
    open_dictionary,
    text_path,
)
from microtome_desktop.jobs.request import Request
from microtome_desktop.state.desk import Desk

_SLOT = "sharing"


@dataclass(frozen=True, slots=True)
class Shared:
    """The result, with what had to be opened for it."""

    analysis: Analysis
    opened: tuple[DictionaryIdentity, ...] = ()
    index: Analysis | None = None


@dataclass(frozen=True, slots=True)
class FindSharing(Request):
    """How all features of a dictionary go together with a neuron, over a text.

    A dictionary that is not open has a name and no fingerprint: it is opened first. Of a set it is
    the one of the neuron's layer. Where ``read`` says so, the text is looked through for it, so
    that its features can be named and looked at.
    """

    slot: ClassVar[str] = _SLOT
    replaces: ClassVar[frozenset[str]] = frozenset({_SLOT})
    about_session: ClassVar[bool] = True

    layer: int
    neuron: int
    fingerprint: str
    name: str
    text: str
    tokens: int
    read: bool

    @property
    def title(self) -> str:
        """What is being done, for the status bar."""
        return f"Finding features that share neuron {self.neuron} of layer {self.layer}"

    def perform(self, engine: Engine, job: Job) -> Shared:
        """The result. Raises CorpusError, DictionaryError, DictionaryMismatch."""
        from microtome.features.sharing import shared_features
        from microtome.records.shared_features import shared_analysis

        print_, name, index = self.fingerprint, self.name, None
        opened: tuple[DictionaryIdentity, ...] = ()
        if not print_:
            opened = open_dictionary(engine, self.name, job)
            own = (one for one in opened if one.writes == f"mlp_out.{self.layer}")
            one = next(own, opened[0])
            print_, name = one.fingerprint, one.name
        if self.read:
            asked = IndexFeatures(print_, name, self.text, self.tokens)
            index = asked.perform(engine, job)
        found = shared_features(
            engine.loaded, (self.layer, self.neuron), coder_of(engine, print_),
            text_path(self.text), limit=self.tokens, job=job,
        )  # fmt: skip
        return Shared(shared_analysis(found), opened, index)

    def deliver(self, desk: Desk, result: Shared) -> None:
        """Add it to the session; the neuron stays on the card."""
        if result.opened:
            desk.dictionaries.keep(*result.opened)
        if result.index is not None and result.index.id not in _held(desk):
            desk.workspace.add_analysis(result.index)
        desk.workspace.add_analysis(result.analysis)


@dataclass(frozen=True, slots=True)
class FindNeurons(Request):
    """How the neurons before a dictionary go together with one of its features, over a text."""

    slot: ClassVar[str] = _SLOT
    replaces: ClassVar[frozenset[str]] = frozenset({_SLOT})
    about_session: ClassVar[bool] = True

    fingerprint: str
    feature: int
    text: str
    tokens: int

    @property
    def title(self) -> str:
        """What is being done, for the status bar."""
        return f"Finding the neurons of feature {self.feature}"

    def perform(self, engine: Engine, job: Job) -> Analysis:
        """The result. Raises CorpusError, DictionaryError, DictionaryMismatch, InputError."""
        from microtome.features.sharing import shared_neurons
        from microtome.records.shared_neurons import neurons_analysis

        coder, text = coder_of(engine, self.fingerprint), text_path(self.text)
        found = shared_neurons(engine.loaded, coder, self.feature, text, limit=self.tokens, job=job)
        return neurons_analysis(found)

    def deliver(self, desk: Desk, result: Analysis) -> None:
        """Add it to the session."""
        desk.workspace.add_analysis(result)


def _held(desk: Desk) -> tuple[str, ...]:
    session = desk.workspace.session
    return () if session is None else tuple(session.analyses)
