"""Requests of the feature space: several layers as one job, and drawings of large clouds."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

from microtome.errors import ImageError, InputError
from microtome.jobs import Job
from microtome.prompts import ImageInput
from microtome.records.analysis import Analysis
from microtome.records.image_set import ImageSet
from microtome.records.trace import Trace
from microtome_desktop.jobs.engine import Engine
from microtome_desktop.jobs.request import Request, Thread
from microtome_desktop.state.desk import Desk
from microtome_desktop.state.seeing import image_of


@dataclass(frozen=True, slots=True)
class ProjectLayers(Request):
    """The PCA of several sites over the same ``points`` of all prompt sets made for the model.

    Each is shown as soon as it is there. For a model that no set was made for, of the run's own
    tokens.
    """

    slot: ClassVar[str] = "project"
    replaces: ClassVar[frozenset[str]] = frozenset({"project"})
    about_session: ClassVar[bool] = True

    sites: tuple[str, ...]
    points: int
    run: Trace | None = field(default=None, repr=False)

    def bound(self, desk: Desk) -> Self:
        """With the run on screen, whose own tokens are placed among the others."""
        session = desk.workspace.session
        return replace(self, run=None if session is None else session.clean)

    @property
    def title(self) -> str:
        """What is being done, for the status bar."""
        return f"Projecting {len(self.sites)} layers" if len(self.sites) > 1 else (
            f"Projecting {self.sites[0]}"
        )  # fmt: skip

    def perform(self, engine: Engine, job: Job) -> None:
        """Hands out every projection; nothing is left for the end."""
        from microtome.analysis.placing import own_space, place
        from microtome.analysis.space import feature_spaces
        from microtome.examining import prompt_sets_of
        from microtome.sites import Site

        model, run = engine.loaded, self.run
        sites, sets = [Site.parse(site) for site in self.sites], prompt_sets_of(model)
        held = run.activations if run is not None else {}
        if run is not None and run.image is not None:
            self._of_images(model, run.image, job)
            return
        if not sets and run is not None:
            for done, site in enumerate(site for site in sites if site.name in held):
                job.progress("Finding principal components", done, len(sites))
                job.partial("analysis", own_space(run, site))
            return
        for site, found in zip(
            sites, feature_spaces(model, sites, sets, limit=self.points, job=job), strict=True
        ):
            own = run is not None and site.name in held
            job.partial("analysis", place(found, run) if own and run is not None else found)

    def _of_images(self, model: Any, own: ImageInput, job: Job) -> None:
        from microtome.vision.default_space import fitting_set
        from microtome.vision.space import image_space

        images = fitting_set(model)
        if images is None:
            raise InputError(
                f"No embedded image set has the size that {model.identity.name} reads.",
                "Choose the run's own patches: resid_post.",
            )
        for site in self.sites:
            job.partial("analysis", image_space(model, site, images, own=own, job=job))

    def deliver_partial(self, desk: Desk, name: str, value: Analysis) -> None:
        """Show a layer."""
        desk.workspace.add_analysis(value)


@dataclass(frozen=True, slots=True)
class ProjectImages(Request):
    """The PCA of a layer of units over a set of images, with the image of the run among them."""

    slot: ClassVar[str] = "project"
    replaces: ClassVar[frozenset[str]] = frozenset({"project"})
    about_session: ClassVar[bool] = True

    site: str  # the layer, with ``places`` behind it for a point a place
    images: str
    points: int
    own: ImageInput | None = field(default=None, repr=False)

    def bound(self, desk: Desk) -> Self:
        """With the image of the run on screen."""
        return replace(self, own=image_of(desk.workspace.session))

    @property
    def title(self) -> str:
        """What is being done, for the status bar."""
        return f"Projecting {self.site} on {self.images}"

    def perform(self, engine: Engine, job: Job) -> Analysis:
        """A projection. Raises SiteMissing for a layer that the model does not have."""
        from microtome.images.sets import load_image_set
        from microtome.vision.space import PLACES, image_space

        layer = self.site.removesuffix(f" {PLACES}")
        return image_space(
            engine.loaded, layer, load_image_set(self.images, job=job), own=self.own,
            per="image" if layer == self.site else "place", limit=self.points, job=job,
        )  # fmt: skip

    def deliver(self, desk: Desk, result: Analysis) -> None:
        """Show it."""
        desk.workspace.add_analysis(result)


@dataclass(frozen=True, slots=True)
class ReadPoints(Request):
    """What a layer's units, or a dictionary's features, do at the points of an image space."""

    slot: ClassVar[str] = "read points"
    replaces: ClassVar[frozenset[str]] = frozenset({"read points"})
    about_session: ClassVar[bool] = True

    space: Analysis = field(repr=False)
    reads: str  # a layer, or the fingerprint of a dictionary
    own: ImageInput | None = field(default=None, repr=False)

    @property
    def key(self) -> tuple[str, Analysis, str]:
        """What tells that it was asked for."""
        return "points", self.space, self.reads

    @property
    def title(self) -> str:
        """What is being done, for the status bar."""
        return f"Reading what is active at the points of {self.space.params['site']}"

    def perform(self, engine: Engine, job: Job) -> Analysis:
        """The activity. Raises SiteMissing, DictionaryMismatch, InputError."""
        from microtome.vision.point_activity import point_activity

        return point_activity(
            engine.loaded, self.space, engine.dictionaries.get(self.reads, self.reads),
            _set_of(self.space, job), own=self.own, job=job,
        )  # fmt: skip

    def deliver(self, desk: Desk, result: Analysis) -> None:
        """Colour by it."""
        desk.workspace.add_analysis(result)

    def ended(self, desk: Desk) -> None:
        """It may be asked for again."""
        desk.workspace.prepared.forget(self.key)


def _set_of(space: Analysis, job: Job) -> ImageSet | None:
    """The set that a space was made of, where it is here."""
    from microtome.images.sets import load_image_set

    try:
        held = load_image_set(str(space.params["images"]), job=job)
    except ImageError:
        return None
    return held if held.digest == space.params["digest"] else None


@dataclass(frozen=True, slots=True)
class Prepare(Request):
    """Make a drawing where nobody waits: of what a file holds, or of very many points."""

    thread: ClassVar[Thread] = Thread.IO
    slot: ClassVar[str] = "prepare drawing"
    about_session: ClassVar[bool] = True
    quiet: ClassVar[bool] = True

    key: Hashable
    make: Callable[[], Any] = field(repr=False)

    @property
    def title(self) -> str:
        """What is being done."""
        return "Preparing a drawing"

    def perform(self, engine: Engine, job: Job) -> Any:
        """The drawing."""
        return self.make()

    def deliver(self, desk: Desk, result: Any) -> None:
        """Give it to the panels."""
        desk.workspace.prepared.put(self.key, result)

    def ended(self, desk: Desk) -> None:
        """It may be asked for again."""
        desk.workspace.prepared.forget(self.key)
