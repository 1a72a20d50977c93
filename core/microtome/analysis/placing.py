"""The run's own tokens among the points of a projection that other prompts made."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microtome.analysis.projection import from_analysis
from microtome.records.analysis import Analysis, Labelled
from microtome.records.trace import Trace
from microtome.sites import Site

OWN_PROMPT = -1  # in ``point_prompt``: the prompt that was run, not one of the set
OWN_TASK = "this prompt"


def place(analysis: Analysis, trace: Trace) -> Analysis:
    """The projection with the run's tokens added as points of prompt -1.

    The components stay those of the prompt set. Points that an earlier run added are dropped.
    Raises SiteMissing when the trace does not hold the projection's site.
    """
    site = Site.parse(str(analysis.params["site"]))
    fitted = from_analysis(analysis)
    before = np.asarray(analysis.array("point_prompt")) != OWN_PROMPT
    layers = _layers(site, trace)
    length = len(trace.tokens)
    values = [
        np.asarray(trace.activation(Site(site.name, layer, site.head))).reshape(length, -1)
        for layer in layers
    ]
    centred = np.concatenate(values).astype(np.float64) - fitted.mean
    own: dict[str, NDArray[Any]] = {
        "points": centred @ fitted.components.T.astype(np.float64),
        "point_prompt": np.full(len(centred), OWN_PROMPT),
        "point_position": np.tile(np.arange(length), len(layers)),
        "point_layer": np.repeat([-1 if layer is None else layer for layer in layers], length),
        "point_token": np.tile(np.asarray(trace.tokens), len(layers)),
        "point_task": np.full(len(centred), OWN_TASK),
    }
    arrays = {name: _joined(held, before, own.get(name)) for name, held in analysis.arrays.items()}
    return replace(analysis, arrays=arrays, params={**analysis.params, "own_points": len(centred)})


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
