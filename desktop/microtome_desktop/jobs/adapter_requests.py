"""Requests that open a user's adapter, once it was allowed, and read the tree of modules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from microtome.jobs import Job
from microtome.records.modules import ModuleRow
from microtome_desktop.jobs.engine import Engine
from microtome_desktop.jobs.model_requests import LoadModel
from microtome_desktop.jobs.request import Request
from microtome_desktop.state.desk import Desk
from microtome_desktop.state.settings import PRECISIONS


@dataclass(frozen=True, slots=True)
class LoadAdapter(LoadModel):
    """Run a user's adapter and load its weights. ``allowed`` is the word of whoever asks."""

    adapter: str = ""
    weights: str = ""
    allowed: bool = False

    def opened(self, job: Job) -> Any:
        """The model. Raises what ``load_adapter`` does, UnsafeModel where nobody allowed it."""
        from microtome.models.vision.adapter import load_adapter

        return load_adapter(
            self.adapter,
            self.weights,
            allow_code=self.allowed,
            device=self.device,
            dtype=self.dtype or PRECISIONS[0],
            job=job,
        )

    def delivered(self, desk: Desk) -> None:
        """Remember the two files: not the word, which is asked for each time."""
        desk.settings.remember_adapter(self.adapter, self.weights)


@dataclass(frozen=True, slots=True)
class ReadModules(Request):
    """The tree of the loaded model's modules, with the shapes that one run shows."""

    slot: ClassVar[str] = "modules"
    replaces: ClassVar[frozenset[str]] = frozenset({"modules"})
    quiet: ClassVar[bool] = True

    fingerprint: str

    @property
    def title(self) -> str:
        """What is being done."""
        return "Reading the tree of modules"

    def perform(self, engine: Engine, job: Job) -> tuple[ModuleRow, ...]:
        """A row a module."""
        from microtome.models.module_tree import module_tree

        return module_tree(engine.loaded)

    def deliver(self, desk: Desk, result: tuple[ModuleRow, ...]) -> None:
        """Show it if the model is still the one that was asked about."""
        model = desk.workspace.model
        if model is not None and model.fingerprint == self.fingerprint:
            desk.library.update(modules=result)
