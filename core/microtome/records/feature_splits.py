"""How features of a small dictionary split into those of a large one, without a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from microtome.records.analysis import Analysis, Labelled

FEATURE_SPLITS = "feature-splits"
_TEXTS = {
    "alike": "features of the large dictionary that write in nearly the same direction",
    "cosine": "of the two directions",
    "covering": "features of the large dictionary that are on where the small one is",
    "share": "of the small feature's activity that falls where the large one is on",
    "covering_cosine": "of the directions of the small feature and the covering one",
}


@dataclass(frozen=True, slots=True, eq=False)
class FeatureSplits:
    """For each small feature the large ones by direction and by activity, most first.

    ``alike`` with ``cosine``: those that write in nearly the same direction. ``covering`` with
    ``share``: those that are on where the small feature is, by the share of its summed activity
    that they cover (shares overlap), and ``covering_cosine``. -1 is an unused place.
    """

    alike: Int[np.ndarray, "small other"]
    cosine: Float[np.ndarray, "small other"]
    covering: Int[np.ndarray, "small other"]
    share: Float[np.ndarray, "small other"]
    covering_cosine: Float[np.ndarray, "small other"]
    params: Mapping[str, Any] = field(default_factory=dict)

    def parts(self, feature: int, cosine: float = 0.3) -> tuple[tuple[int, float, float], ...]:
        """The large features that a small one splits into: number, share, cosine.

        Those that are on where it is and write along it, by ``cosine`` at least.
        """
        columns = (self.covering, self.share, self.covering_cosine)
        rows = zip(*(column[feature].tolist() for column in columns), strict=True)
        return tuple(row for row in rows if row[0] >= 0 and row[2] >= cosine)


def splits_analysis(splits: FeatureSplits) -> Analysis:
    """The same as labelled arrays, for panels, files and exports."""
    arrays = {
        name: Labelled(("small", "other"), getattr(splits, name), long_name=text)
        for name, text in _TEXTS.items()
    }
    params = dict(splits.params)
    ends = (str(params.get(f"{which}_fingerprint", ""))[:8] for which in ("small", "large"))
    title = f"Features of {params.get('small')} in {params.get('large')}"
    return Analysis(f"{FEATURE_SPLITS}-{'-'.join(ends)}", FEATURE_SPLITS, title, arrays, params)


def splits_of(analysis: Analysis) -> FeatureSplits:
    """What an analysis holds, also one from a file."""
    return FeatureSplits(
        **{name: analysis.array(name) for name in _TEXTS}, params=dict(analysis.params)
    )
