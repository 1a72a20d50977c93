"""The request behind the checkpoint slider: the same question to the model at another step."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from microtome.jobs import Job
from microtome.prompts import Question
from microtome.records.circuit import OUTPUT
from microtome.records.session import Session
from microtome_desktop.jobs.engine import Engine
from microtome_desktop.jobs.examine import SESSION_SLOTS, Examine
from microtome_desktop.jobs.model_requests import LoadModel
from microtome_desktop.jobs.request import Request
from microtome_desktop.state.desk import Desk

# What stays selected from step to step: the same place of the same prompt.
_KEPT = ("position", "layer", "head", "neuron", "site")


@dataclass(frozen=True, slots=True)
class AtStep(Request):
    """Load a model and put a question to it; between checkpoints the selection stays."""

    slot: ClassVar[str] = "examine"
    replaces: ClassVar[frozenset[str]] = SESSION_SLOTS | {"model", "checks", "read"}
    newest_parts: ClassVar[frozenset[str]] = Examine.newest_parts

    load: LoadModel
    run: Examine
    keep_place: bool = True  # of the selection

    @property
    def title(self) -> str:
        """What is being done, for the status bar."""
        return f"Running the prompt at {self.load.name}"

    def part_title(self, name: str, value: Any) -> str:
        """What a partial result is called in the job panel."""
        return "the model" if name == "model" else self.run.part_title(name, value)

    def bound(self, desk: Desk) -> Self:
        """With the precision and the budgets that the user has chosen."""
        return replace(self, load=self.load.bound(desk), run=self.run.bound(desk))

    def perform(self, engine: Engine, job: Job) -> Session:
        """The session; the model and the parts are handed out before."""
        job.partial("model", self.load.perform(engine, job))
        return self.run.perform(engine, job)

    def deliver_partial(self, desk: Desk, name: str, value: Any) -> None:
        """Take the model, then show each part where the eye already is."""
        if name == "model":
            self.load.deliver(desk, value)
            return
        if not self.keep_place:
            self.run.deliver_partial(desk, name, value)
            return
        before, node = desk.selection.current, desk.selection.current.node
        if name == "circuit":
            desk.workspace.change("circuit", circuit=value)
            whole = not value.metadata.get("partial")  # else the node may be still to come
            if whole and node is not None and node not in value.node_id:
                answer = value.node_id[value.node_kind.index(OUTPUT)]
                desk.selection.update(node=answer, edge=None)
            return
        self.run.deliver_partial(desk, name, value)
        if name == "trace":
            kept = {field: getattr(before, field) for field in _KEPT}
            desk.selection.update(**kept, node=node)

    def deliver(self, desk: Desk, result: Session) -> None:
        """Add what was not handed out before."""
        self.run.deliver(desk, result)


@dataclass(frozen=True, slots=True)
class FirstImage(Request):
    """Load a model that sees, and read the question of the first image of a set."""

    slot: ClassVar[str] = "examine"
    replaces: ClassVar[frozenset[str]] = AtStep.replaces

    load: LoadModel
    images: str

    @property
    def title(self) -> str:
        """What is being done, for the status bar."""
        return f"Loading {self.load.name} and an image"

    def part_title(self, name: str, value: Any) -> str:
        """What a partial result is called in the job panel."""
        return "the model" if name == "model" else ""

    def bound(self, desk: Desk) -> Self:
        """With the precision that the user has chosen."""
        return replace(self, load=self.load.bound(desk))

    def perform(self, engine: Engine, job: Job) -> Question:
        """The question; the model is handed out before."""
        from microtome.images.sets import load_image_set

        job.partial("model", self.load.perform(engine, job))
        return Question(load_image_set(self.images).image(0))

    def deliver_partial(self, desk: Desk, name: str, value: Any) -> None:
        """Take the model."""
        if name == "model":
            self.load.deliver(desk, value)

    def deliver(self, desk: Desk, result: Question) -> None:
        """Put the image where it is asked about, and tell who waits for it."""
        desk.draft.fill(result)
        desk.workspace.prepared.put(image_key(self.images), Asked(result))


@dataclass(frozen=True, slots=True)
class Asked:
    """A question that is ready to be put."""

    question: Question
    nbytes: int = 1 << 16


def image_key(images: str) -> tuple[str, str]:
    """What the question of the first image of a set is kept under."""
    return "first image", images
