"""The record of a unit card: what one unit of a model that sees answers to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float, Int, UInt8

from microtome.records.analysis import Analysis, Labelled
from microtome.records.units import Unit

UNIT_CARD = "unit-card"
UNIT_TABLE = "unit-table"
_SHOWN = 12  # letters of a checksum


@dataclass(frozen=True, slots=True, eq=False)
class UnitCard:
    """What one unit answers to, over a set of images and gratings.

    ``images`` are those that drive it most, as the model saw them, with their ``activity`` (at
    their strongest place), number in the set, ``label`` (a place in ``classes``) and ``box``: the
    receptive field of that place as first row, first column, rows and columns. ``counts`` is the
    histogram of the strongest activity over all images, between ``edges``. ``by_class`` and
    ``by_domain`` are selectivity indices of the mean activity, ``mean_by_class`` those means.
    ``response`` is to gratings. ``similar`` are other units of the layer by correlation over
    images, with the cosine of their weights (NaN where the layer has none of its own).
    """

    unit: Unit
    images: UInt8[np.ndarray, "image row column channel"]
    activity: Float[np.ndarray, " image"]
    number: Int[np.ndarray, " image"]
    label: Int[np.ndarray, " image"]
    box: Int[np.ndarray, "image side"]
    counts: Int[np.ndarray, " bin"]
    edges: Float[np.ndarray, " edge"]
    classes: tuple[str, ...]
    by_class: Float[np.ndarray, " class"]
    mean_by_class: Float[np.ndarray, " class"]
    domains: tuple[str, ...]
    by_domain: Float[np.ndarray, " domain"]
    orientation: Float[np.ndarray, " orientation"]
    frequency: Float[np.ndarray, " frequency"]
    response: Float[np.ndarray, "frequency orientation"]
    similar: Int[np.ndarray, " similar"]
    correlation: Float[np.ndarray, " similar"]
    cosine: Float[np.ndarray, " similar"]
    params: Mapping[str, Any] = field(default_factory=dict)


_AXES = {
    "images": ("image", "row", "column", "channel"),
    "activity": ("image",),
    "number": ("image",),
    "label": ("image",),
    "box": ("image", "side"),
    "counts": ("bin",),
    "edges": ("edge",),
    "classes": ("class",),
    "by_class": ("class",),
    "mean_by_class": ("class",),
    "domains": ("domain",),
    "by_domain": ("domain",),
    "orientation": ("orientation",),
    "frequency": ("frequency",),
    "response": ("frequency", "orientation"),
    "similar": ("similar",),
    "correlation": ("similar",),
    "cosine": ("similar",),
}
_UNITS = {"orientation": "degree", "frequency": "periods an image"}


def card_analysis(card: UnitCard) -> Analysis:
    """The same as labelled arrays, for panels, files and exports."""
    arrays = {
        name: Labelled(axes, np.asarray(getattr(card, name)), _UNITS.get(name, "1"))
        for name, axes in _AXES.items()
    }
    params = {**card.params, "unit": str(card.unit)}
    named = f"{UNIT_CARD}-{_of_set(card.params)}-{str(card.unit).replace('/', '.')}"
    return Analysis(named, UNIT_CARD, f"Unit {card.unit}", arrays, params)


def _of_set(params: Mapping[str, Any]) -> str:
    """A set by its name and content, as ids tell it: two of one name have results of their own."""
    return f"{params.get('set', '')}-{str(params.get('set_digest', ''))[:_SHOWN]}".rstrip("-")


def card_of(analysis: Analysis) -> UnitCard:
    """What an analysis holds, also one from a file."""
    held: dict[str, Any] = {name: analysis.array(name) for name in _AXES}
    for name in ("classes", "domains"):
        held[name] = tuple(str(one) for one in held[name].tolist())
    params = dict(analysis.params)
    return UnitCard(unit=Unit.parse(str(params.pop("unit"))), **held, params=params)


@dataclass(frozen=True, slots=True, eq=False)
class UnitTable:
    """All units of a layer over a set of images: a row each.

    ``largest`` is the strongest activity on any image, ``share`` of how many images the unit is
    on (its strongest activity above a tenth of ``largest``), ``best`` the class of the highest
    index, ``by_class`` and ``by_domain`` the indices; ``angle`` (degrees) and ``tuned`` (0 to 1)
    the preferred orientation of gratings and how much it is preferred.
    """

    layer: str
    classes: tuple[str, ...]
    domains: tuple[str, ...]
    largest: Float[np.ndarray, " unit"]
    share: Float[np.ndarray, " unit"]
    best: Int[np.ndarray, " unit"]
    by_class: Float[np.ndarray, "class unit"]
    by_domain: Float[np.ndarray, "domain unit"]
    angle: Float[np.ndarray, " unit"]
    tuned: Float[np.ndarray, " unit"]
    params: Mapping[str, Any] = field(default_factory=dict)


_TABLE_AXES = {
    "classes": ("class",),
    "domains": ("domain",),
    "largest": ("unit",),
    "share": ("unit",),
    "best": ("unit",),
    "by_class": ("class", "unit"),
    "by_domain": ("domain", "unit"),
    "angle": ("unit",),
    "tuned": ("unit",),
}


def table_analysis(table: UnitTable) -> Analysis:
    """The same as labelled arrays, for panels, files and exports."""
    arrays = {
        name: Labelled(axes, np.asarray(getattr(table, name))) for name, axes in _TABLE_AXES.items()
    }
    images = str(table.params.get("set", ""))
    return Analysis(
        f"{UNIT_TABLE}-{_of_set(table.params)}-{table.layer}", UNIT_TABLE,
        f"Units of {table.layer} on {images}", arrays, {**table.params, "layer": table.layer},
    )  # fmt: skip


def table_of(analysis: Analysis) -> UnitTable:
    """What an analysis holds, also one from a file."""
    held: dict[str, Any] = {name: analysis.array(name) for name in _TABLE_AXES}
    for name in ("classes", "domains"):
        held[name] = tuple(str(one) for one in held[name].tolist())
    params = dict(analysis.params)
    return UnitTable(layer=str(params.pop("layer")), **held, params=params)
