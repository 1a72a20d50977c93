"""Which features of a dictionary share a neuron."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from microtome.jobs import Job
from microtome.records.analysis import Analysis
from microtome_desktop.jobs.engine import Engine
from microtome_desktop.jobs.feature_requests import coder_of, text_path
from microtome_desktop.jobs.request import Request
from microtome_desktop.state.desk import Desk


@dataclass(frozen=True, slots=True)
class FindSharing(Request):
    """How all features of a dictionary go together with a neuron, over a text."""

    slot: ClassVar[str] = "sharing"
    replaces: ClassVar[frozenset[str]] = frozenset({"sharing"})
    about_session: ClassVar[bool] = True

    layer: int
    neuron: int
    fingerprint: str
    text: str
    tokens: int

    @property
    def title(self) -> str:
        """What is being done, for the status bar."""
        return f"Finding features that share neuron {self.neuron} of layer {self.layer}"

    def perform(self, engine: Engine, job: Job) -> Analysis:
        """The result. Raises CorpusError, DictionaryError, DictionaryMismatch."""
        from microtome.features.sharing import shared_features
        from microtome.records.shared_features import shared_analysis

        found = shared_features(
            engine.loaded, (self.layer, self.neuron), coder_of(engine, self.fingerprint),
            text_path(self.text), limit=self.tokens, job=job,
        )  # fmt: skip
        return shared_analysis(found)

    def deliver(self, desk: Desk, result: Analysis) -> None:
        """Add it to the session."""
        desk.workspace.add_analysis(result)
