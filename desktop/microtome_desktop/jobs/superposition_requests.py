"""Requests of the superposition lab: toy models, their phases, and the same measures in a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar

from microtome.errors import DictionaryError
from microtome.jobs import Job
from microtome.records.analysis import Analysis
from microtome.records.superposition import (
    ToyPlan,
    geometry_analysis,
    phase_analysis,
    toy_analysis,
)
from microtome_desktop.jobs.engine import Engine
from microtome_desktop.jobs.request import Request
from microtome_desktop.state.desk import Desk
from microtome_desktop.state.superpositions import PhaseWish, SharingWish

TOY_SLOT, PHASE_SLOT, SHARING_SLOT = "toy models", "phases", "sharing"


@dataclass(frozen=True, slots=True)
class TrainToy(Request):
    """Toy models, drawn as they form."""

    slot: ClassVar[str] = TOY_SLOT
    replaces: ClassVar[frozenset[str]] = frozenset({TOY_SLOT})
    about_session: ClassVar[bool] = True

    newest_parts: ClassVar[frozenset[str]] = frozenset({"toy"})

    plan: ToyPlan

    @property
    def title(self) -> str:
        """What is being done, for the status bar."""
        return "Training toy models"

    def part_title(self, name: str, value: Any) -> str:
        """What a partial result is called in the job panel."""
        return "their geometry" if name == "toy" else ""

    def perform(self, engine: Engine, job: Job) -> Any:
        """The toy models. Raises InputError for a plan that cannot be trained."""
        from microtome.features.superposition import train_toy

        return train_toy(self.plan, job=job)

    def deliver_partial(self, desk: Desk, name: str, value: Any) -> None:
        """Show them as far as they are."""
        if name == "toy":
            self.deliver(desk, value)

    def deliver(self, desk: Desk, result: Any) -> None:
        """Add them to the session."""
        desk.workspace.add_analysis(toy_analysis(result))


@dataclass(frozen=True, slots=True)
class FindPhases(Request):
    """A phase diagram: all its models are trained at once."""

    slot: ClassVar[str] = PHASE_SLOT
    replaces: ClassVar[frozenset[str]] = frozenset({PHASE_SLOT})
    about_session: ClassVar[bool] = True

    newest_parts: ClassVar[frozenset[str]] = frozenset({"phases"})

    wish: PhaseWish

    @property
    def title(self) -> str:
        """What is being done, for the status bar."""
        return "Phases of superposition"

    def perform(self, engine: Engine, job: Job) -> Any:
        """The diagram. Raises InputError for a plan that cannot be trained."""
        from microtome.features.superposition import phase_diagram

        asked: Mapping[str, Any] = asdict(self.wish)
        return phase_diagram(**asked, job=job)

    def part_title(self, name: str, value: Any) -> str:
        """What a partial result is called in the job panel."""
        return "the diagram as it forms" if name == "phases" else ""

    def deliver_partial(self, desk: Desk, name: str, value: Any) -> None:
        """Show the diagram as far as it is."""
        if name == "phases":
            self.deliver(desk, value)

    def deliver(self, desk: Desk, result: Any) -> None:
        """Add it to the session."""
        found = phase_analysis(result)
        told = {**found.params, "repeats": self.wish.repeats}
        desk.workspace.add_analysis(replace(found, params=told))


@dataclass(frozen=True, slots=True)
class MeasureSharing(Request):
    """How the directions of a layer's neurons, or of an open dictionary, share their space."""

    slot: ClassVar[str] = SHARING_SLOT
    replaces: ClassVar[frozenset[str]] = frozenset({SHARING_SLOT})
    about_session: ClassVar[bool] = True
    restless: ClassVar[str] = "The products of all directions are taken in one step."

    wish: SharingWish

    @property
    def title(self) -> str:
        """What is being done, for the status bar."""
        return f"Measuring superposition of {self.wish.title}"

    def perform(self, engine: Engine, job: Job) -> Analysis:
        """The measures. Raises DictionaryError for what is not open, DictionaryMismatch."""
        from microtome.features.superposition import superposition

        coder = self._coder(engine)
        job.check()
        found = superposition(coder)
        return geometry_analysis(
            found, self.wish.title, fingerprint=self.wish.fingerprint, layer=self.wish.layer
        )

    def _coder(self, engine: Engine) -> Any:
        if self.wish.layer is not None:
            from microtome.features.neurons import Neurons

            return Neurons(engine.loaded, self.wish.layer)
        if self.wish.fingerprint not in engine.dictionaries:
            raise DictionaryError("The dictionary is not open.", "Open it from the Features menu.")
        return engine.dictionaries[self.wish.fingerprint]

    def deliver(self, desk: Desk, result: Analysis) -> None:
        """Add it to the session."""
        desk.workspace.add_analysis(result)
