"""Requests about lesions: what a model offers to ask, and the lesion itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from microtome.errors import MicrotomeError
from microtome.jobs import Job
from microtome.records.analysis import Analysis
from microtome.records.lesion import LESION, Treatment
from microtome_desktop.jobs.engine import Engine
from microtome_desktop.jobs.request import Request
from microtome_desktop.state.desk import Desk
from microtome_desktop.state.lesions import (
    BY,
    MEASURED,
    NEED,
    SELECTIVITY,
    Layers,
    LesionOffer,
    LesionWish,
    NamedSet,
    offer_key,
)

if TYPE_CHECKING:
    from microtome.models.model import Model
    from microtome.records.lesion import Chosen

LESION_SLOT = "lesion"


@dataclass(frozen=True, slots=True)
class RunLesion(Request):
    """Change units and see what is lost; the table comes first, then controls and curve."""

    slot: ClassVar[str] = LESION_SLOT
    replaces: ClassVar[frozenset[str]] = frozenset({LESION_SLOT})
    about_session: ClassVar[bool] = True
    newest_parts: ClassVar[frozenset[str]] = frozenset({LESION})

    wish: LesionWish

    @property
    def title(self) -> str:
        """What is being done, for the status bar."""
        return "Trying a lesion"

    def part_title(self, name: str, value: Any) -> str:
        """What a partial result is called in the job panel."""
        return "before and after" if name == LESION else ""

    def perform(self, engine: Engine, job: Job) -> list[Analysis]:
        """The lesion, before it the one to compare with, if one is asked for.

        Raises InputError, SiteMissing or ModelError for what cannot be asked.
        """
        from microtome.vision.lesion import lesion

        model = engine.loaded
        return [
            lesion(
                model, self._chosen(wish, model, job), wish.data or None, controls=wish.controls,
                how=Treatment(wish.how, wish.amount), seed=wish.seed, job=job,
            )
            for wish in (self.wish.other, self.wish)
            if wish is not None
        ]  # fmt: skip

    def _chosen(self, wish: LesionWish, model: Model, job: Job) -> Chosen:
        from microtome.records.lesion import Chosen
        from microtome.records.units import Unit
        from microtome.vision.lesion import choose_units

        if wish.by not in MEASURED:
            units = tuple(Unit.parse(one) for one in wish.units)
            return Chosen.by_hand(units, BY[wish.by].removeprefix("units "))
        return choose_units(
            model, wish.target, wish.layers, wish.count, localizer=wish.localizer or None,
            by=wish.by, job=job,
        )  # fmt: skip

    def deliver_partial(self, desk: Desk, name: str, value: Analysis) -> None:
        """Show before and after, while controls and curve are on their way."""
        if name == LESION:
            desk.workspace.grow_analysis(value)

    def deliver(self, desk: Desk, result: list[Analysis]) -> None:
        """Add all of it to the session."""
        for each in result:
            desk.workspace.add_analysis(each)


@dataclass(frozen=True, slots=True)
class OfferLesions(Request):
    """Which layers, sets and groups the loaded model has to choose from."""

    slot: ClassVar[str] = "lesion offer"
    replaces: ClassVar[frozenset[str]] = frozenset({"lesion offer"})
    quiet: ClassVar[bool] = True

    fingerprint: str

    @property
    def title(self) -> str:
        """What is being done."""
        return "Listing what lesions can be of"

    def perform(self, engine: Engine, job: Job) -> LesionOffer:
        """The offer, or the problem."""
        try:
            return _seen(engine.loaded) if engine.loaded.sight else _told(engine.loaded)
        except MicrotomeError as error:
            return LesionOffer(problem=str(error))

    def deliver(self, desk: Desk, result: LesionOffer) -> None:
        """Give it to the panel."""
        desk.workspace.prepared.put(offer_key(self.fingerprint), result)

    def ended(self, desk: Desk) -> None:
        """It may be asked for again."""
        desk.workspace.prepared.forget(offer_key(self.fingerprint))


def _seen(model: Model) -> LesionOffer:
    from microtome.images.sets import image_set_names, load_image_set
    from microtome.vision.trials import bench_of, own_image_sets

    own = own_image_sets(model.identity.name)
    names = (*own, *(name for name in image_set_names() if name not in own))
    sets = [load_image_set(name) for name in names]
    known = set(model.sight.classes) if model.sight and model.sight.named else set()
    fitting = [one for one in sets if set(one.classes) <= known]
    if not fitting:
        bench_of(model, sets[0] if sets else None, None, 0)  # says what does not fit
    named = [
        NamedSet(
            one.name, one.title or one.name, tuple(dict.fromkeys((*one.domains, *one.classes)))
        )
        for one in fitting
    ]
    layers = [
        Layers(f"{layer.name} ({layer.n_units})", (layer.name,), layer.n_units)
        for layer in (model.sight.layers.values() if model.sight else ())
    ]
    return LesionOffer(
        tuple(layers), tuple(reversed(named)), tuple(named), SELECTIVITY, len(layers) - 1, True
    )


def _told(model: Model) -> LesionOffer:
    from microtome.vision.trials import bench_of, localizer_of

    bench, localizer = bench_of(model, None, None, 0), localizer_of(model, None)
    held = bench.layers
    layers: list[Layers] = []
    for site, title in (("z", "all heads"), ("mlp_post", "all neurons")):
        names = tuple(name for name in held if name.startswith(f"{site}."))
        if names:
            count = sum(held[name] for name in names)
            layers.append(Layers(f"{title} ({count})", names, count))
    layers += [Layers(f"{name} ({count})", (name,), count) for name, count in held.items()]
    tasks = bench.cases.classes
    own = NamedSet("", "its tasks, second half", tasks)
    single = tuple(NamedSet(name, name, (name,)) for name in tasks)
    first = NamedSet("", "its tasks, first half", localizer.cases.classes)
    return LesionOffer(tuple(layers), (first,), (own, *single), NEED, 0)
