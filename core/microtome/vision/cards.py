"""Unit cards: what single units of a layer answer to, over a set of images and gratings.

What concerns a whole layer is measured once (``read_layer``); the card of a unit is then a matter
of milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from microtome.errors import ImageError, expect
from microtome.jobs import Job
from microtome.models.model import Model
from microtome.models.small import small_on_one_thread
from microtome.models.vision.sight import Sight, UnitLayer
from microtome.records.analysis import Analysis
from microtome.records.image_set import ImageSet
from microtome.records.unit_card import UnitCard, UnitTable, card_analysis, table_analysis
from microtome.records.units import Unit
from microtome.vision.activity import LayerActivity, layer_activities, sight_of
from microtome.vision.alike import correlations, cosines, standardised, unit_weights
from microtome.vision.fields import Fields
from microtome.vision.gratings import Preference, Tuning, orientation_tuning, preference
from microtome.vision.selectivity import (
    domain_labels,
    domain_names,
    mean_by_group,
    selectivity_by_group,
)

_TOP = 10
_SIMILAR = 8
_BINS = 32
_ON = 0.1  # of a unit's largest activity
# An oriented unit: one of two neighbouring orientations in twelve has 0.97, one that answers to
# half of all as the positive half of a cosine 0.6 or so, even responses 0.
_ORIENTED = 0.4
_DRIVEN = 0.25  # of what images drive it to, by gratings


@dataclass(frozen=True, slots=True, eq=False)
class LayerReading:
    """What was measured of all units of a layer."""

    sight: Sight
    layer: UnitLayer
    images: ImageSet
    activity: LayerActivity
    tuning: Tuning
    fields: Fields
    weights: Float[np.ndarray, "unit weight"] | None
    standard: Float[np.ndarray, "image unit"]  # see alike.standardised
    digest: str  # of the images

    @property
    def nbytes(self) -> int:
        """What it takes in memory, without the images."""
        weights = 0 if self.weights is None else self.weights.nbytes
        return self.activity.nbytes + self.tuning.nbytes + self.standard.nbytes + weights


@small_on_one_thread
def read_layer(model: Model, layer: str, images: ImageSet, job: Job | None = None) -> LayerReading:
    """Show images and gratings to a model, and keep what the units of a layer do.

    Raises ModelError for a model that reads text, SiteMissing for a layer that it does not have.
    """
    sight = sight_of(model)
    way_out = "Take one by load_image_set('shapes'), or make one."
    expect(images, ImageSet, "images", "an image set", way_out)
    held = sight.layer(layer)
    found = layer_activities(model, [layer], images, job)[layer]
    tuning = orientation_tuning(model, layer, job)
    return LayerReading(
        sight,
        held,
        images,
        found,
        tuning,
        Fields(sight, held),
        unit_weights(sight, held),
        standardised(found.mean),
        images.digest,
    )


@small_on_one_thread
def unit_card(
    model: Model,
    unit: Unit | str,
    images: ImageSet,
    *,
    reading: LayerReading | None = None,
    job: Job | None = None,
) -> Analysis:
    """What one unit answers to: see ``records.unit_card.UnitCard``; ``card_of`` reads it.

    ``reading`` is what ``read_layer`` gave for the unit's layer and these images; without it the
    images are shown anew. Raises ModelError for a model that reads text, InputError or
    SiteMissing for a unit that it does not have, ImageError for a reading of other images.
    """
    known = sight_of(model).unit(unit)
    held = reading or read_layer(model, known.layer, images, job)
    _expect_of(held, known.layer, images, str(known))
    return card_analysis(_card(held, known))


def _expect_of(held: LayerReading, layer: str, images: ImageSet, asked: str) -> None:
    """Raises ImageError for a reading of another layer, or of images with other content."""
    same = held.images is images or held.digest == images.digest
    if held.layer.name == layer and same:
        return
    others = "" if held.images.name != images.name or same else " with other images"
    raise ImageError(
        f"The reading is of {held.layer.name} on {held.images.name}, but {asked} on "
        f"{images.name}{others} was asked for.",
        "Read the layer on the same images.",
    )


def _card(held: LayerReading, unit: Unit) -> UnitCard:
    images, at = held.images, unit.index
    strongest = held.activity.strongest[:, at]
    top = np.argsort(-strongest, kind="stable")[:_TOP]
    boxes = held.fields.of([int(place) for place in held.activity.place[top, at]])
    counts, edges = np.histogram(strongest, bins=_BINS)
    by_class, by_domain, means = _selectivity(held, at)
    similar, correlation, cosine = _similar(held, at)
    liked = preference(held.tuning, at)
    prepared = [held.sight.preprocessing.prepare(images.image(int(one))).values for one in top]
    return UnitCard(
        unit=unit,
        images=np.stack(prepared),
        activity=strongest[top],
        number=top,
        label=images.labels[top],
        box=np.array(boxes, dtype=np.int64),
        counts=counts,
        edges=edges,
        classes=images.classes,
        by_class=by_class,
        mean_by_class=means,
        domains=domain_names(images.domains),
        by_domain=by_domain,
        orientation=held.tuning.orientation,
        frequency=held.tuning.frequency,
        response=held.tuning.response[at],
        similar=similar,
        correlation=correlation,
        cosine=cosine,
        params=_params(held, at, liked),
    )


def _params(held: LayerReading, at: int, liked: Preference) -> dict[str, Any]:
    layer, strongest = held.layer, held.activity.strongest[:, at]
    return {
        "set": held.images.name,
        "set_digest": held.digest,
        "set_images": len(held.images),
        "kind": layer.kind,
        "places": list(layer.grid or ()),
        "method": "activity at the strongest place",
        "orientation": liked.orientation,
        "frequency": liked.frequency,
        "orientation_selectivity": liked.selectivity,
        "grating_peak": liked.peak,
        "oriented": _oriented(held, at, liked),
        "silent": bool(strongest.max() == strongest.min()),
    }


def _oriented(held: LayerReading, at: int, liked: Preference) -> bool:
    """Whether it was measured to be an edge or bar detector.

    One orientation is preferred, gratings drive it as images do, and it has a place in the image.
    """
    strongest = held.activity.strongest[:, at]
    driven = liked.peak >= _DRIVEN * float(strongest.max() - np.median(strongest))
    return bool(held.layer.grid is not None and liked.selectivity >= _ORIENTED and driven)


def _selectivity(
    held: LayerReading, at: int
) -> tuple[Float[np.ndarray, " class"], Float[np.ndarray, " domain"], Float[np.ndarray, " class"]]:
    images, values = held.images, held.activity.mean[:, at : at + 1]
    domains = domain_labels(images.labels, images.domains)
    names = domain_names(images.domains)
    by_class = selectivity_by_group(values, images.labels, len(images.classes))
    by_domain = selectivity_by_group(values, domains, len(names))
    means = mean_by_group(values, images.labels, len(images.classes))
    return by_class[:, 0], by_domain[:, 0], means[:, 0]


def _similar(
    held: LayerReading, at: int
) -> tuple[
    Int[np.ndarray, " similar"], Float[np.ndarray, " similar"], Float[np.ndarray, " similar"]
]:
    """The units most correlated with one, without itself."""
    alike = correlations(held.standard, at)
    order = np.argsort(-alike, kind="stable")
    order = order[order != at][:_SIMILAR]
    if held.weights is None:
        return order, alike[order], np.full(len(order), np.nan)
    return order, alike[order], cosines(held.weights, at)[order]


def unit_table(
    model: Model,
    layer: str,
    images: ImageSet,
    *,
    reading: LayerReading | None = None,
    job: Job | None = None,
) -> Analysis:
    """A row for each unit of a layer: see ``records.unit_card.UnitTable``; ``table_of`` reads it.

    Raises as ``unit_card``.
    """
    held = reading or read_layer(model, layer, images, job)
    _expect_of(held, layer, images, layer)
    values, largest = held.activity.mean, held.activity.strongest.max(axis=0)
    by_class = selectivity_by_group(values, images.labels, len(images.classes))
    names = domain_names(images.domains)
    domains = domain_labels(images.labels, images.domains)
    liked = [preference(held.tuning, unit) for unit in range(len(largest))]
    on = held.activity.strongest > np.maximum(_ON * largest, 0)
    return table_analysis(
        UnitTable(
            layer=layer,
            classes=images.classes,
            domains=names,
            largest=largest,
            share=on.mean(axis=0),
            best=np.nan_to_num(by_class, nan=-np.inf).argmax(axis=0),
            by_class=by_class,
            by_domain=selectivity_by_group(values, domains, len(names)),
            angle=np.array([one.orientation for one in liked]),
            tuned=np.array([one.selectivity for one in liked]),
            params={"set": images.name, "set_digest": held.digest,
                    "set_images": len(images), "kind": held.layer.kind, "method": "mean activity"},
        )
    )  # fmt: skip
