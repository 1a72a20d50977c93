"""The request of the panel Visualise: pictures that grow."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from microtome.errors import DictionaryError
from microtome.jobs import Job
from microtome.records.analysis import Analysis
from microtome.records.visualisation import VISUALISATION
from microtome_desktop.jobs.engine import Engine
from microtome_desktop.jobs.request import Request
from microtome_desktop.state.desk import Desk
from microtome_desktop.state.visualisations import VisualWish

VISUAL_SLOT = "visualisation"


@dataclass(frozen=True, slots=True)
class Visualise(Request):
    """Make pictures for a target; what was drawn stays when it is stopped."""

    slot: ClassVar[str] = VISUAL_SLOT
    replaces: ClassVar[frozenset[str]] = frozenset({VISUAL_SLOT})
    about_session: ClassVar[bool] = True
    newest_parts: ClassVar[frozenset[str]] = frozenset({VISUALISATION})

    wish: VisualWish

    @property
    def title(self) -> str:
        """What is being done, for the status bar."""
        return f"Visualising {self.wish.target}"

    def part_title(self, name: str, value: Any) -> str:
        """What a partial result is called in the job panel."""
        return "pictures so far" if name == VISUALISATION else ""

    def perform(self, engine: Engine, job: Job) -> Analysis:
        """The pictures. Raises InputError or SiteMissing for no such target, Diverged."""
        from microtome.images.sets import load_image_set
        from microtome.models.loading import load_model
        from microtome.vision.visualise import visualise

        wish = self.wish
        second = load_model(wish.second) if wish.second else None
        images = load_image_set(wish.images, job=job) if wish.images else None
        return visualise(
            engine.loaded, self._target(engine), results=wish.results, seed=wish.seed,
            settings=wish.settings, references=images, second=second, job=job,
        )  # fmt: skip

    def _target(self, engine: Engine) -> Any:
        from microtome.images.sets import load_image_set
        from microtome.vision.targets import Target, parse_target
        from microtome.vision.towards import class_direction

        wish, model = self.wish, engine.loaded
        if wish.of:
            images = load_image_set(wish.images or "shapes")
            found = class_direction(model, wish.target, images, wish.of, wish.over)
        elif wish.fingerprint:
            if wish.fingerprint not in engine.dictionaries:
                raise DictionaryError(
                    "The dictionary is not open.", "Open it from the Features menu."
                )
            held = engine.dictionaries[wish.fingerprint]
            found = Target.feature(held, wish.feature, wish.target)
        else:
            found = parse_target(wish.target, model.sight)
        return replace(found, negative=found.negative or wish.negative)

    def deliver_partial(self, desk: Desk, name: str, value: Analysis) -> None:
        """Show the pictures so far."""
        if name == VISUALISATION:
            desk.workspace.grow_analysis(value)

    def deliver(self, desk: Desk, result: Analysis) -> None:
        """Add them to the session."""
        desk.workspace.add_analysis(result)
