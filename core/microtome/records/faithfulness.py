"""The record of how faithful circuits of growing size are to the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from microtome.records.analysis import Analysis, Labelled

FAITHFULNESS = "faithfulness"  # the kind of its analysis


@dataclass(frozen=True, slots=True, eq=False)
class Faithfulness:
    """What is left of a metric when only the best edges of a circuit stay, size by size.

    ``sizes`` are shares of all edges, ``counts`` the edges left of them once those that lead
    nowhere are gone. Two orders: by signed score (``faithfulness``), the area under which is
    ``cpr``, more is better; and by size of the score (``by_magnitude``), the area of whose
    distance from 1 is ``cmd``, 0 is best. Faithfulness is (m(C) - m(none)) / (m(all) - m(none)),
    means over the examples; ``band`` holds the ends of the bootstrap interval [2, size] of
    ``faithfulness``, None for one example. ``values`` [size, example] are those of the metric by
    signed score.
    """

    sizes: Float[np.ndarray, " size"]
    counts: Int[np.ndarray, " size"]
    faithfulness: Float[np.ndarray, " size"]
    by_magnitude: Float[np.ndarray, " size"]
    cpr: float
    cmd: float
    values: Float[np.ndarray, "size example"]
    whole: Float[np.ndarray, " example"]
    none: Float[np.ndarray, " example"]
    metric: str
    band: Float[np.ndarray, "2 size"] | None = None
    params: Mapping[str, Any] = field(default_factory=dict)

    @property
    def smallest(self) -> float | None:
        """The smallest share of edges, by size of the score, with at least 0.9 of the behaviour."""
        enough = np.flatnonzero(self.by_magnitude >= ENOUGH)
        return float(self.sizes[enough[0]]) if len(enough) else None


ENOUGH = 0.9


def joined(curve: Faithfulness, points: Faithfulness) -> Faithfulness:
    """A curve with points measured later on it, in the order of their sizes.

    ``cpr`` and ``cmd`` stay the areas over the sizes that were asked for first. Points at a size
    that the curve has take the place of the old ones.
    """
    old = ~np.isin(curve.sizes, points.sizes)
    sizes = np.concatenate([curve.sizes[old], points.sizes])
    order = np.argsort(sizes, kind="stable")

    def both(name: str) -> np.ndarray:
        parts = getattr(curve, name)[old], getattr(points, name)
        return np.asarray(np.concatenate(parts)[order])

    band = None
    if curve.band is not None and points.band is not None:
        band = np.concatenate([curve.band[:, old], points.band], axis=1)[:, order]
    return replace(
        curve,
        sizes=sizes[order],
        counts=both("counts"),
        faithfulness=both("faithfulness"),
        by_magnitude=both("by_magnitude"),
        values=both("values"),
        band=band,
    )


def faithfulness_analysis(found: Faithfulness, title: str = "") -> Analysis:
    """The curve as labelled arrays, for panels, files and exports."""
    arrays = {
        name: Labelled(("size",), getattr(found, name), long_name=text)
        for name, text in (
            ("sizes", "share of all edges"),
            ("counts", "edges"),
            ("faithfulness", "faithfulness, by signed score"),
            ("by_magnitude", "faithfulness, by size of score"),
        )
    }
    arrays["values"] = Labelled(("size", "example"), found.values, long_name=found.metric)
    for name in ("whole", "none"):
        arrays[name] = Labelled(("example",), getattr(found, name), long_name=found.metric)
    if found.band is not None:
        arrays["band"] = Labelled(("end", "size"), found.band, long_name="95 % interval")
    params = {"cpr": found.cpr, "cmd": found.cmd, "metric": found.metric} | {
        "asked": dict(found.params)
    }
    return Analysis(str(found.params["id"]), FAITHFULNESS, title or "Faithfulness", arrays, params)


def faithfulness_of(analysis: Analysis) -> Faithfulness:
    """The curve that an analysis holds, also one from a file."""
    names = ("sizes", "counts", "faithfulness", "by_magnitude", "values", "whole", "none")
    held = analysis.params
    return Faithfulness(
        **{name: analysis.array(name) for name in names},
        cpr=_area(held["cpr"]),
        cmd=_area(held["cmd"]),
        metric=str(held["metric"]),
        band=analysis.array("band") if "band" in analysis.arrays else None,
        params=held["asked"],
    )


def _area(held: float | None) -> float:
    """An area; of a partial curve it is not a number, which no file's JSON can hold."""
    return float("nan") if held is None else float(held)
