"""Requests about an image that was seen and about single units of a model that sees."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

from microtome.errors import InputError, ModelError
from microtome.jobs import Job
from microtome.prompts import ImageInput
from microtome.records.analysis import Analysis
from microtome.records.seen import SightOutline
from microtome.records.unit_card import UNIT_TABLE
from microtome.records.units import Unit
from microtome_desktop.jobs.engine import Engine
from microtome_desktop.jobs.request import Request
from microtome_desktop.state.desk import Desk
from microtome_desktop.state.seeing import (
    AttributionWish,
    ClassWish,
    NoEvidence,
    UnitsWish,
    image_of,
    no_evidence_key,
    outline_key,
)

ATTRIBUTION_SLOT = "attribution map"
UNITS_SLOT = "units"
CARD_SLOT = "unit card"


@dataclass(frozen=True, slots=True)
class OutlineSight(Request):
    """Which layers, units and classes the loaded model has."""

    slot: ClassVar[str] = "sight"
    replaces: ClassVar[frozenset[str]] = frozenset({"sight"})
    quiet: ClassVar[bool] = True

    fingerprint: str

    @property
    def title(self) -> str:
        """What is being done."""
        return "Listing the layers of units"

    def perform(self, engine: Engine, job: Job) -> SightOutline:
        """The outline. Raises ModelError for a model that reads text."""
        from microtome.vision.outline import sight_outline

        return sight_outline(engine.loaded)

    def deliver(self, desk: Desk, result: SightOutline) -> None:
        """Give it to the panels."""
        desk.workspace.prepared.put(outline_key(self.fingerprint), result)

    def ended(self, desk: Desk) -> None:
        """It may be asked for again."""
        desk.workspace.prepared.forget(outline_key(self.fingerprint))


@dataclass(frozen=True, slots=True)
class OfImage(Request):
    """A request about the image of the run on screen, whose answer is one more analysis."""

    about_session: ClassVar[bool] = True

    image: ImageInput | None = field(default=None, kw_only=True, repr=False)

    def bound(self, desk: Desk) -> Self:
        """The request with the image of the session. Raises InputError where there is none."""
        held = self.image or image_of(desk.workspace.session)
        if held is None:
            raise InputError("No image was run.", "Open a model that sees, and run an image.")
        return replace(self, image=held)

    @property
    def given(self) -> ImageInput:
        """The image. Raises InputError where there is none."""
        if self.image is None:
            raise InputError("No image was run.", "Run an image first.")
        return self.image

    def deliver(self, desk: Desk, result: Analysis) -> None:
        """Add it to the session."""
        desk.workspace.add_analysis(result)


@dataclass(frozen=True, slots=True)
class ReadMaps(OfImage):
    """The activation maps of a layer."""

    slot: ClassVar[str] = "image maps"
    replaces: ClassVar[frozenset[str]] = frozenset({"image maps"})
    quiet: ClassVar[bool] = True

    layer: str

    @property
    def title(self) -> str:
        """What is being done."""
        return f"Reading the maps of {self.layer}"

    def perform(self, engine: Engine, job: Job) -> Analysis:
        """The maps. Raises SiteMissing for a layer that the model does not have."""
        from microtome.vision.maps import image_maps

        return image_maps(engine.loaded, self.given, [self.layer], job=job)


@dataclass(frozen=True, slots=True)
class ReadUnitMaps(ReadMaps):
    """The same for the view of the selected unit, beside the layer that See looks at."""

    slot: ClassVar[str] = "unit maps"
    replaces: ClassVar[frozenset[str]] = frozenset({"unit maps"})


@dataclass(frozen=True, slots=True)
class ReadEvidence(OfImage):
    """What each unit adds to the logit of a class."""

    slot: ClassVar[str] = "unit evidence"
    replaces: ClassVar[frozenset[str]] = frozenset({"unit evidence"})
    quiet: ClassVar[bool] = True

    score: ClassWish

    @property
    def title(self) -> str:
        """What is being done."""
        return "Reading the evidence for a class"

    def perform(self, engine: Engine, job: Job) -> Analysis | NoEvidence:
        """The evidence, or why there is none: of what nobody asked for nothing has failed."""
        from microtome.vision.evidence import unit_evidence

        try:
            return unit_evidence(engine.loaded, self.given, self.score.answer, self.score.wrong)
        except ModelError as error:
            return NoEvidence(str(error))

    def deliver(self, desk: Desk, result: Analysis | NoEvidence) -> None:
        """Add it to the session, or tell why there is none."""
        if isinstance(result, NoEvidence):
            key = no_evidence_key(self.given.digest, self.score)
            desk.workspace.prepared.put(key, result)
        else:
            desk.workspace.add_analysis(result)


@dataclass(frozen=True, slots=True)
class MapAttribution(OfImage):
    """An attribution map of the image."""

    slot: ClassVar[str] = ATTRIBUTION_SLOT
    replaces: ClassVar[frozenset[str]] = frozenset({ATTRIBUTION_SLOT})

    wish: AttributionWish

    @property
    def title(self) -> str:
        """What is being done."""
        return "Computing an attribution map"

    def perform(self, engine: Engine, job: Job) -> Analysis:
        """The map. Raises InputError, SiteMissing or AnswerError for what cannot be asked."""
        from microtome.vision.attribution import attribution_map

        wish = self.wish
        return attribution_map(
            engine.loaded, self.given, wish.score.answer, method=wish.method,
            wrong=wish.score.wrong, baseline=wish.baseline, layer=wish.layer, job=job,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class ReadUnits(Request):
    """Images and gratings are shown to a layer; the answer is the table of its units."""

    slot: ClassVar[str] = UNITS_SLOT
    replaces: ClassVar[frozenset[str]] = frozenset({UNITS_SLOT})
    about_session: ClassVar[bool] = True

    wish: UnitsWish

    @property
    def title(self) -> str:
        """What is being done."""
        return f"Reading the units of {self.wish.layer}"

    def part_title(self, name: str, value: Any) -> str:
        """What a partial result is called in the job panel."""
        return "table of units" if name == UNIT_TABLE else ""

    def perform(self, engine: Engine, job: Job) -> Analysis:
        """The table. Raises ImageError for a set that cannot be read, SiteMissing."""
        from microtome.vision.cards import unit_table

        held = reading_of(engine, self.wish, job)
        return unit_table(engine.loaded, self.wish.layer, held.images, reading=held, job=job)

    def deliver(self, desk: Desk, result: Analysis) -> None:
        """Add it to the session."""
        desk.workspace.add_analysis(result)


@dataclass(frozen=True, slots=True)
class ReadCard(Request):
    """The card of a unit; at once where its layer was read before."""

    slot: ClassVar[str] = CARD_SLOT
    replaces: ClassVar[frozenset[str]] = frozenset({CARD_SLOT})
    about_session: ClassVar[bool] = True
    quiet: ClassVar[bool] = True

    unit: Unit
    images: str  # a set's name or its folder

    @property
    def title(self) -> str:
        """What is being done."""
        return f"Reading unit {self.unit}"

    def perform(self, engine: Engine, job: Job) -> Analysis:
        """The card. Raises as ``ReadUnits``."""
        from microtome.vision.cards import unit_card

        held = reading_of(engine, UnitsWish(self.unit.layer, self.images), job)
        return unit_card(engine.loaded, self.unit, held.images, reading=held, job=job)

    def deliver(self, desk: Desk, result: Analysis) -> None:
        """Add it to the session."""
        desk.workspace.add_analysis(result)


def reading_of(engine: Engine, wish: UnitsWish, job: Job) -> Any:
    """What was measured of a layer on a set of images, kept from unit to unit."""
    from microtome.images.sets import load_image_set
    from microtome.vision.cards import read_layer

    model = engine.loaded
    if wish not in engine.readings:
        known = (held.images for key, held in engine.readings.items() if key.images == wish.images)
        images = next(known, None) or load_image_set(wish.images, job=job)
        engine.keep_reading(wish, read_layer(model, wish.layer, images, job))
    return engine.readings[wish]
