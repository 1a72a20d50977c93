"""What is right to begin with: plans for models by their size, and for the embedded one.

Found by trying on held-out text; ``resources/training`` makes the embedded dictionaries by the
first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from microtome.features.training.plan import Plan
from microtome.records.model import ModelIdentity


@dataclass(frozen=True, slots=True)
class Preset:
    """A row: for which models, and which plan."""

    title: str
    fits: Callable[[ModelIdentity], bool]
    plan: Callable[[ModelIdentity], Plan]


def _embedded(_: ModelIdentity) -> Plan:
    return Plan(width=512, k=16, steps=2_000, batch=512, rate=3e-3, dead_after=25_000)


def _small(model: ModelIdentity) -> Plan:
    width = 8 * model.d_model
    return Plan(width=width, k=_few(width), steps=5_000, batch=1_024, rate=1e-3)


def _usual(model: ModelIdentity) -> Plan:
    width = 8 * model.d_model
    return Plan(
        width=width, k=_few(width), steps=20_000, batch=2_048, rate=4e-4, dead_after=1_000_000
    )


def _few(width: int) -> int:
    """How many features may be active: 32, of a very narrow model fewer, for it has no more."""
    return min(32, max(1, width // 8))


PRESETS: tuple[Preset, ...] = (
    Preset("words-4l, under a minute", lambda model: model.name.startswith("words-4l"), _embedded),
    Preset("small models", lambda model: model.d_model <= 256, _small),
    Preset("all other models", lambda _: True, _usual),
)


def unit_plan(count: int, width: int | None = None) -> Plan:
    """The plan to begin with for a layer of so many units, which are few.

    Four features a unit, and eight of them on at a place: found by trying on held-out images.
    """
    wide = 4 * count if width is None else width
    return Plan(width=wide, k=min(8, wide), steps=2_000, batch=512, rate=3e-3, dead_after=25_000)


def preset(model: ModelIdentity) -> Plan:
    """The plan to begin with for a model."""
    return next(row for row in PRESETS if row.fits(model)).plan(model)
