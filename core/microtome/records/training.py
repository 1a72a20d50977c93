"""How a training went: figures along its steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from microtome.records.analysis import Analysis, Labelled

TRAINING = "training-curve"  # the kind of its analysis, and the name of its partial results

_FIGURES = {
    "loss": "mean loss of the rows since the figure before, in training units",
    "l0": "mean number of features that are on",
    "explained_variance": "share of the variance that is explained",
    "dead": "share of features that have not been on for long",
    "dense": "share of features that are on in more than a tenth of the rows",
    "rate": "learning rate",
    "recovered": "share of the cross-entropy that is recovered; NaN where it was not measured",
}


@dataclass(frozen=True, slots=True, eq=False)
class TrainingCurve:
    """Figures of a training, a point each time one was taken; see ``params`` for its plan.

    ``step`` counts steps done. Shares are 0 to 1, the loss is in units in which the data have
    mean square 1, and a figure is over the rows since the one before.
    """

    step: Int[np.ndarray, " point"]
    loss: Float[np.ndarray, " point"]
    l0: Float[np.ndarray, " point"]
    explained_variance: Float[np.ndarray, " point"]
    dead: Float[np.ndarray, " point"]
    dense: Float[np.ndarray, " point"]
    rate: Float[np.ndarray, " point"]
    recovered: Float[np.ndarray, " point"]
    params: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, points: list[dict[str, float]], params: Mapping[str, Any]) -> TrainingCurve:
        """A curve of points that hold a number for each figure."""
        held = {name: np.array([point[name] for point in points], np.float64) for name in _FIGURES}
        steps = np.array([point["step"] for point in points], np.int64)
        return cls(step=steps, **held, params=dict(params))

    def points(self) -> list[dict[str, float]]:
        """The points as plain numbers."""
        names = ("step", *_FIGURES)
        columns = [getattr(self, name).tolist() for name in names]
        return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]

    @property
    def last(self) -> dict[str, float]:
        """The figures of the end; none before there are any."""
        return self.points()[-1] if len(self.step) else {}


def curve_analysis(curve: TrainingCurve) -> Analysis:
    """The curve as labelled arrays, for panels, files and exports."""
    arrays = {"step": Labelled(("point",), curve.step, long_name="steps done")}
    for name, text in _FIGURES.items():
        arrays[name] = Labelled(("point",), getattr(curve, name), long_name=text)
    params = dict(curve.params)
    named = str(params.get("id", f"{TRAINING}-{params.get('name', 'dictionary')}"))
    return Analysis(named, TRAINING, "Training of a dictionary", arrays, params)


def curve_of(analysis: Analysis) -> TrainingCurve:
    """The curve that an analysis holds, also one from a file."""
    held = {name: analysis.array(name) for name in ("step", *_FIGURES)}
    return TrainingCurve(**held, params=dict(analysis.params))
