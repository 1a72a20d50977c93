"""The run's own tokens: among the points of a projection, or as a projection of their own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from microtome.analysis.projection import PointLabels, from_analysis, project, to_analysis
from microtome.records.analysis import Analysis, Labelled
from microtome.records.marks import OWN_PROMPT
from microtome.records.trace import Trace
from microtome.sites import Site

OWN_TASK = "this prompt"


def place(analysis: Analysis, trace: Trace) -> Analysis:
    """The projection with the run's tokens added as points of prompt -1.

    The components stay those of the prompt set. Points that an earlier run added are dropped.
    Raises SiteMissing when the trace does not hold the projection's site.
    """
    site = Site.parse(str(analysis.params["site"]))
    fitted, layers = from_analysis(analysis), _layers(site, trace)
    centred = np.concatenate(_rows(site, layers, trace)).astype(np.float64) - fitted.mean
    points = centred @ fitted.components.T.astype(np.float64)
    return with_own_points(analysis, points, _labels(trace, layers))


def with_own_points(
    analysis: Analysis, points: Float[np.ndarray, "point component"], labels: PointLabels
) -> Analysis:
    """A projection with points of prompt -1 behind its others, in place of those it had."""
    before = np.asarray(analysis.array("point_prompt")) != OWN_PROMPT
    own: dict[str, NDArray[Any]] = {
        "points": points,
        "point_prompt": labels.prompt,
        "point_position": labels.position,
        "point_layer": labels.layer,
        "point_token": np.asarray(labels.token),
        "point_task": np.asarray(labels.task),
    }
    arrays = {name: _joined(held, before, own.get(name)) for name, held in analysis.arrays.items()}
    return replace(analysis, arrays=arrays, params={**analysis.params, "own_points": len(points)})


def own_space(trace: Trace, site: Site, components: int = 3) -> Analysis:
    """The principal components of a run's own tokens, for models that no prompt set was made for.

    A site without a layer gives points from every layer that the trace holds.
    Raises SiteMissing when the trace does not hold the site.
    """
    layers = _layers(site, trace)
    found = project(np.concatenate(_rows(site, layers, trace)), components)
    return to_analysis(found, site, _labels(trace, layers), [trace.prompt])


def _rows(
    site: Site, layers: tuple[int | None, ...], trace: Trace
) -> list[Float[np.ndarray, "position d"]]:
    """The values at the site, a layer after the other."""
    length = len(trace.tokens)
    return [
        np.asarray(trace.activation(Site(site.name, layer, site.head))).reshape(length, -1)
        for layer in layers
    ]


def _labels(trace: Trace, layers: tuple[int | None, ...]) -> PointLabels:
    length, count = len(trace.tokens), len(trace.tokens) * len(layers)
    numbers = [-1 if layer is None else layer for layer in layers]
    return PointLabels(
        np.full(count, OWN_PROMPT, np.int32),
        np.tile(np.arange(length, dtype=np.int32), len(layers)),
        np.repeat(np.array(numbers, np.int32), length),
        trace.tokens * len(layers),
        (OWN_TASK,) * count,
    )


def _layers(site: Site, trace: Trace) -> tuple[int | None, ...]:
    if site.layer is not None or not site.kind.per_layer:
        return (site.layer,)
    return trace.activations[site.name].layers


def _joined(held: Labelled, before: NDArray[np.bool_], own: NDArray[Any] | None) -> Labelled:
    if own is None:
        return held
    kept = np.asarray(held.values[...])[before]
    kind = np.result_type(kept, own) if kept.dtype.kind == "U" else kept.dtype
    return replace(held, values=np.concatenate([kept, own]).astype(kind))
