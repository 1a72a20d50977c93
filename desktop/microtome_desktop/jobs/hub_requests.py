"""Requests of the network thread: what a model of the hub would take, and fetching it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from microtome.errors import MicrotomeError
from microtome.jobs import Job
from microtome_desktop.jobs.engine import Engine
from microtome_desktop.jobs.request import Request, Thread
from microtome_desktop.state.desk import Desk
from microtome_desktop.state.hub import Looked

if TYPE_CHECKING:
    from microtome.models.download import Download


@dataclass(frozen=True, slots=True)
class LookUp(Request):
    """Whether a model is here, or what would be fetched; what is wrong is part of the answer."""

    thread: ClassVar[Thread] = Thread.NETWORK
    slot: ClassVar[str] = "look up"
    replaces: ClassVar[frozenset[str]] = frozenset({"look up"})
    restless: ClassVar[str] = "It is one question."

    name: str

    @property
    def title(self) -> str:
        """What is being done, for the status bar."""
        return f"Asking the hub for {self.name}"

    @property
    def missed(self) -> bool:
        """No: it is asked again as quickly."""
        return False

    def perform(self, engine: Engine, job: Job) -> Looked:
        """The answer; the network is used only for a model that is not here."""
        from microtome.models.download import look_up
        from microtome.models.hub import cached

        try:
            return Looked(self.name, None if cached(self.name) else look_up(self.name))
        except MicrotomeError as error:
            return Looked(self.name, problem=str(error))

    def deliver(self, desk: Desk, result: Looked) -> None:
        """Show it in the dialog."""
        desk.hub.put(result)


@dataclass(frozen=True, slots=True)
class DownloadModel(Request):
    """Fetch what the user has agreed to; what has come stays when it is stopped."""

    thread: ClassVar[Thread] = Thread.NETWORK
    slot: ClassVar[str] = "download"

    plan: Download = field(repr=False)

    @property
    def title(self) -> str:
        """What is being done, for the status bar."""
        return f"Downloading {self.plan.name}"

    def perform(self, engine: Engine, job: Job) -> Path:
        """The folder of the model, complete."""
        from microtome.models.download import fetch

        return fetch(self.plan, job)

    def deliver(self, desk: Desk, result: Path) -> None:
        """From now on it is among the recent models."""
        desk.settings.remember_model(self.plan.name)
