"""Requests about saving what is open: in which formats it can be, and saving it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from microtome.jobs import Job
from microtome.records.analysis import Analysis
from microtome_desktop.jobs.engine import Engine
from microtome_desktop.jobs.feature_requests import coder_of
from microtome_desktop.jobs.request import Request
from microtome_desktop.state.desk import Desk
from microtome_desktop.state.features import index_with

if TYPE_CHECKING:
    from microtome.features.formats.save_offers import Open, SaveOffer  # bring torch


@dataclass(frozen=True, slots=True)
class Savings:
    """The formats, and the name of the one that is usual."""

    offers: tuple[SaveOffer, ...]
    usual: str
    nbytes: int = 64


@dataclass(frozen=True, slots=True)
class ForeseeSaving(Request):
    """In which formats an open dictionary can be saved, and why not in the others."""

    slot: ClassVar[str] = "foresee saving"
    replaces: ClassVar[frozenset[str]] = frozenset({"foresee saving"})
    quiet: ClassVar[bool] = True

    fingerprint: str

    @property
    def title(self) -> str:
        """What is being done."""
        return "Looking at formats"

    @property
    def key(self) -> tuple[str, str]:
        """What the answer is kept under."""
        return "savings", self.fingerprint

    def perform(self, engine: Engine, job: Job) -> Savings:
        """The formats. Raises DictionaryError for one that is not open."""
        from microtome.features.formats.save_offers import save_offers, usual_format

        held = _open(engine, self.fingerprint)
        return Savings(save_offers(held), usual_format(held))

    def deliver(self, desk: Desk, result: Savings) -> None:
        """Give it to the dialog."""
        desk.workspace.prepared.put(self.key, result)


@dataclass(frozen=True, slots=True)
class SaveDictionary(Request):
    """Save an open dictionary, or the set that it is of, with examples where a text was read."""

    slot: ClassVar[str] = "save dictionary"

    fingerprint: str
    format: str  # a name of ``SaveOffer``
    folder: Path
    with_examples: bool
    indexes: tuple[Analysis, ...] = field(default=(), repr=False)

    @property
    def title(self) -> str:
        """What is being done, for the status bar."""
        return f"Saving {self.folder.name}"

    def bound(self, desk: Desk) -> Self:
        """With the session's indexes of the set, where examples are asked for."""
        if not self.with_examples:
            return self
        layers = desk.dictionaries.set_with(self.fingerprint)
        found = (index_with(desk.workspace.session, one) for one in layers)
        return replace(self, indexes=tuple(one for one in found if one is not None))

    def perform(self, engine: Engine, job: Job) -> Path:
        """The folder, complete. Raises DictionaryError, StorageError; then nothing is left."""
        from microtome.features.formats.save_offers import save_as
        from microtome.records.feature_index import index_of

        held = _open(engine, self.fingerprint)
        examples = {str(one.params["fingerprint"]): index_of(one) for one in self.indexes}
        save_as(held, self.format, self.folder, examples, job)
        return self.folder

    def deliver(self, desk: Desk, result: Path) -> None:
        """Say where it is."""
        desk.notices.info(f"Saved {result.name}", str(result))


def _open(engine: Engine, fingerprint: str) -> Open:
    from microtome.features.formats.save_offers import Open

    return Open(coder_of(engine, fingerprint), engine.sets.get(fingerprint))
