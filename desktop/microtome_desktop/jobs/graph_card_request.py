"""From a feature of an attribution graph to its card: the transcoder of its layer is opened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from microtome.errors import DictionaryError
from microtome.jobs import Job
from microtome.records.dictionary import DictionaryIdentity
from microtome_desktop.jobs.engine import Engine
from microtome_desktop.jobs.feature_requests import OpenDictionary
from microtome_desktop.jobs.request import Request
from microtome_desktop.state.desk import Desk


@dataclass(frozen=True, slots=True)
class OpenOfGraph(Request):
    """Open the set that a graph was made with, and select one of its features."""

    slot: ClassVar[str] = "dictionary"
    replaces: ClassVar[frozenset[str]] = frozenset({"dictionary"})
    about_session: ClassVar[bool] = True
    restless: ClassVar[str] = "A dictionary is loaded in one step."

    path: str
    layer: int
    feature: int

    @property
    def title(self) -> str:
        """What is being done, for the status bar."""
        return f"Opening {self.path}"

    def perform(self, engine: Engine, job: Job) -> tuple[DictionaryIdentity, ...]:
        """What is open now, that of the layer first. Raises DictionaryError."""
        opened = OpenDictionary(self.path).perform(engine, job)
        own = [one for one in opened if one.writes == f"mlp_out.{self.layer}"]
        if not own:
            raise DictionaryError(f"{self.path} has no transcoder of layer {self.layer}.")
        return (*own, *(one for one in opened if one not in own))

    def deliver(self, desk: Desk, result: tuple[DictionaryIdentity, ...]) -> None:
        """Show it, or the offer to read a text for it."""
        desk.dictionaries.keep(*result)
        desk.dictionaries.choose(result[0].fingerprint)
        desk.selection.update(feature=(result[0].fingerprint, self.feature))
