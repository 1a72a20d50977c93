"""The request that shows images to a dictionary of a model that sees."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from microtome.errors import DictionaryError
from microtome.jobs import Job
from microtome.records.analysis import Analysis
from microtome_desktop.jobs.engine import Engine
from microtome_desktop.jobs.feature_requests import INDEX_SLOT
from microtome_desktop.jobs.request import Request
from microtome_desktop.state.desk import Desk
from microtome_desktop.state.image_features import SOURCE


@dataclass(frozen=True, slots=True)
class ShowImages(Request):
    """Show a set of images to all features of a dictionary; ``named`` is what it is called."""

    slot: ClassVar[str] = INDEX_SLOT
    replaces: ClassVar[frozenset[str]] = frozenset({INDEX_SLOT})
    about_session: ClassVar[bool] = True

    fingerprint: str
    named: str
    images: str  # a set's name or its folder

    @property
    def title(self) -> str:
        """What is being done, for the status bar."""
        return f"Showing images to {self.named}"

    def perform(self, engine: Engine, job: Job) -> Analysis:
        """What each feature answers to. Raises ImageError, DictionaryMismatch."""
        from microtome.images.sets import load_image_set
        from microtome.vision.feature_selectivity import feature_selectivity

        dictionary = engine.dictionaries.get(self.fingerprint)
        if dictionary is None:
            raise DictionaryError("The dictionary is not open.", "Open it from the Features menu.")
        images = load_image_set(self.images, job=job)
        found = feature_selectivity(engine.loaded, dictionary, images, job=job)
        return replace(found, params={**found.params, SOURCE: self.images})

    def deliver(self, desk: Desk, result: Analysis) -> None:
        """Add it to the session."""
        desk.workspace.add_analysis(result)
