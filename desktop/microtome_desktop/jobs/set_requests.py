"""Requests about all layers of a set of transcoders at once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from microtome.jobs import Job
from microtome.records.analysis import Analysis
from microtome.records.dictionary import DictionaryIdentity
from microtome_desktop.jobs.engine import Engine
from microtome_desktop.jobs.feature_graph_requests import hold_layers, transcoders_in
from microtome_desktop.jobs.feature_requests import INDEX_SLOT, coder_of, text_path
from microtome_desktop.jobs.request import Request
from microtome_desktop.state.desk import Desk


@dataclass(frozen=True, slots=True)
class HoldSet(Request):
    """Load the transcoders of the graph on screen again, to look at their features."""

    slot: ClassVar[str] = "hold set"
    replaces: ClassVar[frozenset[str]] = frozenset({"hold set"})
    quiet: ClassVar[bool] = True

    where: str

    @property
    def title(self) -> str:
        """What is being done."""
        return f"Opening {self.where}"

    def perform(self, engine: Engine, job: Job) -> tuple[DictionaryIdentity, ...]:
        """What is open now. Raises as ``load_transcoders``."""
        return hold_layers(engine, transcoders_in(engine, self.where, job))

    def deliver(self, desk: Desk, result: tuple[DictionaryIdentity, ...]) -> None:
        """They are open."""
        desk.dictionaries.keep(*result)


@dataclass(frozen=True, slots=True)
class IndexSet(Request):
    """Read a text through several dictionaries in one pass of the model."""

    slot: ClassVar[str] = INDEX_SLOT
    replaces: ClassVar[frozenset[str]] = frozenset({INDEX_SLOT})
    about_session: ClassVar[bool] = True

    fingerprints: tuple[str, ...]
    text: str  # an embedded text by its name, a file or a folder
    tokens: int

    @property
    def title(self) -> str:
        """What is being done, for the status bar."""
        return f"Looking through a text for {len(self.fingerprints)} layers"

    def perform(self, engine: Engine, job: Job) -> tuple[Analysis, ...]:
        """The indexes. Raises CorpusError, DictionaryMismatch."""
        from microtome.features.indexing import feature_indexes
        from microtome.records.feature_index import index_analysis

        coders = [coder_of(engine, one) for one in self.fingerprints]
        found = feature_indexes(
            engine.loaded, coders, text_path(self.text), limit=self.tokens, job=job
        )
        asked = {"text": self.text, "limit": self.tokens}  # the lines of Python read the same text
        return tuple(index_analysis(replace(one, params={**one.params, **asked})) for one in found)

    def deliver(self, desk: Desk, result: tuple[Analysis, ...]) -> None:
        """Add them to the session."""
        desk.workspace.put_analyses({one.id: one for one in result})
