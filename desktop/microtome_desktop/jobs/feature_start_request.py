"""One click from a dictionary that is built in to its features: it is opened, and a text read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from microtome.jobs import Job
from microtome.records.analysis import Analysis
from microtome.records.dictionary import DictionaryIdentity
from microtome_desktop.jobs.engine import Engine
from microtome_desktop.jobs.feature_requests import INDEX_SLOT, IndexFeatures, open_dictionary
from microtome_desktop.jobs.request import Request
from microtome_desktop.state.desk import Desk

# Examples of nearly every feature of the example model, after a second or two of one core.
FIRST_TOKENS = 20_000


@dataclass(frozen=True, slots=True)
class OpenAndRead(Request):
    """Open a dictionary, or a set of transcoders, and read a text through the first of them."""

    slot: ClassVar[str] = INDEX_SLOT
    replaces: ClassVar[frozenset[str]] = frozenset({INDEX_SLOT})
    about_session: ClassVar[bool] = True

    name: str
    text: str
    tokens: int

    @property
    def title(self) -> str:
        """What is being done, for the status bar."""
        return f"Looking through a text for {self.name}"

    def perform(self, engine: Engine, job: Job) -> tuple[tuple[DictionaryIdentity, ...], Analysis]:
        """What is open now, and the index. Raises DictionaryError, CorpusError."""
        opened = open_dictionary(engine, self.name, job)
        first = opened[0]
        asked = IndexFeatures(first.fingerprint, first.name, self.text, self.tokens)
        return opened, asked.perform(engine, job)

    def deliver(self, desk: Desk, result: tuple[tuple[DictionaryIdentity, ...], Analysis]) -> None:
        """Look at it."""
        opened, index = result
        desk.dictionaries.add(*opened)
        desk.workspace.add_analysis(index)
