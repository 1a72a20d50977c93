"""What units or features do at the points of an image space, for panels and files."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from microtome.records.analysis import Analysis

POINT_ACTIVITY = "point-activity"


def point_activity_id(site: str, reads: str) -> str:
    """The name of the analysis of a space, and a layer or a dictionary's fingerprint."""
    return f"{POINT_ACTIVITY}/{site}/{reads}"


@dataclass(frozen=True, slots=True, eq=False)
class PointActivity:
    """A typed view of the analysis; rows are the points of the space, in its order.

    Of a layer ``activity`` has all its units; of a dictionary, most of whose features are off at
    most points, only what is on is held, an entry each.
    """

    analysis: Analysis
    prompt: Int[np.ndarray, " point"]
    position: Int[np.ndarray, " point"]
    activity: Float[np.ndarray, "point unit"] | None = None
    entry_point: Int[np.ndarray, " entry"] | None = None
    entry_feature: Int[np.ndarray, " entry"] | None = None
    entry_value: Float[np.ndarray, " entry"] | None = None

    @property
    def nbytes(self) -> int:
        """What it takes in memory."""
        held = (self.activity, self.entry_point, self.entry_feature, self.entry_value)
        return self.prompt.nbytes + sum(0 if each is None else each.nbytes for each in held)

    def of(self, number: int) -> Float[np.ndarray, " point"]:
        """What one unit or feature does at each point; NaN for one that there is not."""
        if self.activity is not None:
            known = 0 <= number < self.activity.shape[1]
            return self.activity[:, number] if known else np.full(len(self.prompt), np.nan)
        values = np.zeros(len(self.prompt), np.float32)
        at, feature, value = self.entry_point, self.entry_feature, self.entry_value
        if at is not None and feature is not None and value is not None:
            mine = feature == number
            values[at[mine]] = value[mine]
        return values


def point_activity_of(analysis: Analysis) -> PointActivity:
    """The view. Raises LookupError for an analysis that is none."""
    names = ("activity", "entry_point", "entry_feature", "entry_value")
    held = {name: np.asarray(analysis.array(name)) for name in names if name in analysis.arrays}
    places = (np.asarray(analysis.array(name)) for name in ("point_prompt", "point_position"))
    return PointActivity(analysis, *places, **held)
