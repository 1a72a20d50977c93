"""How much of the metric the best units keep alone: the curve, its control, and both in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from microtome.records.analysis import Analysis
from microtome.records.faithfulness import FAITHFULNESS, Faithfulness, faithfulness_of
from microtome.records.session import Session
from microtome_desktop.presenters.circuit_text import percent
from microtome_desktop.state.foreign import UNREADABLE

_TOLD = (0.1, 0.2)  # of all units: the sizes that are said in words


def unit_curve(session: Session | None) -> Faithfulness | None:
    """The curve of the session's circuit of units, the last that was made; None without one."""
    held = () if session is None else tuple(session.analyses.values())
    for analysis in reversed(held):
        if _of_units(analysis):
            try:
                found = faithfulness_of(analysis)
                control_of(found)
            except UNREADABLE:
                return None
            return found
    return None


def _of_units(analysis: Analysis) -> bool:
    asked = analysis.params.get("asked")
    of_units = isinstance(asked, Mapping) and asked.get("of") == "units"
    return analysis.kind == FAITHFULNESS and of_units


def control_of(curve: Faithfulness) -> Faithfulness:
    """What random units keep: their mean, with the least and the most of all draws as its band."""
    draws = np.asarray(curve.params["random"], dtype=np.float64)
    if draws.ndim != 2 or len(draws) != len(curve.sizes):
        raise ValueError(f"draws of {draws.shape} for {len(curve.sizes)} sizes")
    mean, ends = draws.mean(1), np.stack([draws.min(1), draws.max(1)])
    return replace(curve, faithfulness=mean, by_magnitude=mean, band=ends)


def curve_text(curve: Faithfulness) -> str:
    """What the best of them keep, what random ones keep, and what took the others' place."""
    at = [int(np.argmin(np.abs(curve.sizes - share))) for share in _TOLD]
    control = control_of(curve).faithfulness
    sizes, kept = (
        [percent(float(values[row])) for row in at] for values in (curve.sizes, curve.faithfulness)
    )
    random = percent(float(control[at[-1]]))
    return (
        f"Alone, the best {sizes[0]} of the units keep {kept[0]} of the metric, the best "
        f"{sizes[1]} keep {kept[1]}, and as many random ones {random} (grey). Dashed: by size of "
        f"the score. {str(curve.params.get('how', '')).capitalize()}."
    )
