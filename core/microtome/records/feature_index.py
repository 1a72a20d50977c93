"""What a text shows of all features of a dictionary: figures, examples, words; without a model.

The arrays are the same in memory and in a session's file, from which a card reads its rows alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microtome.errors import SessionDamaged
from microtome.records.analysis import Analysis, Labelled
from microtome.records.trace import ArraySource

FEATURE_INDEX = "feature-index"

# Activations are counted in bins of a quarter of a power of 2, from 2^-10 to 2^10.
BIN_EDGES = np.exp2(np.arange(-10, 10.25, 0.25))
_AGAIN = "Index the text again."
# Unused places of examples, tokens and neighbours.
NONE = -1

# name -> axes, what it is
_ARRAYS: dict[str, tuple[tuple[str, ...], str]] = {
    "count": (("feature",), "positions at which the feature is on"),
    "total": (("feature",), "sum of its activations"),
    "peak": (("feature",), "its largest activation"),
    "histogram": (("feature", "bin"), "positions by activation"),
    "top_place": (("feature", "example"), "where it is strongest: row times context + position"),
    "top_value": (("feature", "example"), "its activation there"),
    "top_window": (("feature", "example", "near"), "its activations around"),
    "some_place": (("feature", "sample"), "places drawn at random from where it is on"),
    "some_value": (("feature", "sample"), "its activation there"),
    "some_window": (("feature", "sample", "near"), "its activations around"),
    "token": (("feature", "word"), "tokens on which it is on, by summed activation"),
    "token_share": (("feature", "word"), "their share of its summed activation"),
    "token_spread": (("feature",), "tokens that its activation is spread over evenly"),
    "raised": (("feature", "logit"), "tokens whose logits it raises most"),
    "raised_by": (("feature", "logit"), "logit for an activation of 1, over the mean logit"),
    "lowered": (("feature", "logit"), "tokens whose logits it lowers most"),
    "lowered_by": (("feature", "logit"), "logit for an activation of 1, over the mean logit"),
    "alike": (("feature", "neighbour"), "features that write in nearly the same direction"),
    "alike_cosine": (("feature", "neighbour"), "cosine of the two directions"),
    "together": (("feature", "neighbour"), "features that are on at the same positions"),
    "together_share": (("feature", "neighbour"), "positions of both, of those of either"),
    "tokens": (("row", "position"), "the text"),
    "vocabulary": (("token",), "how tokens read"),
}

# What indexes of before do not hold.
_LATER = {"token_spread"}


@dataclass(frozen=True, slots=True, eq=False)
class FeatureIndex:
    """Figures and examples of all features over a text.

    ``arrays`` are those of the table above; ``params`` names dictionary, model, text and seed.
    Shares are 0 to 1. Token ids and feature numbers of -1 are unused places.
    """

    arrays: Mapping[str, ArraySource]
    params: Mapping[str, Any] = field(default_factory=dict)

    def array(self, name: str) -> NDArray[Any]:
        """All of one array, read from the file if it is there."""
        return np.asarray(self.arrays[name][...])

    def row(self, name: str, feature: int) -> NDArray[Any]:
        """What one array holds of one feature; nothing else is read."""
        return np.asarray(np.asarray(self.arrays[name][feature : feature + 1])[0])

    @property
    def n_features(self) -> int:
        """How many features there are."""
        return int(self.arrays["count"].shape[0])

    @property
    def n_positions(self) -> int:
        """How many positions were looked at."""
        return int(self.params["positions"])

    @property
    def context(self) -> int:
        """Positions of a row of the text."""
        return int(self.arrays["tokens"].shape[1])

    @property
    def near(self) -> int:
        """How many positions a window reaches to each side."""
        return (int(self.arrays["top_window"].shape[2]) - 1) // 2


def table_of(index: FeatureIndex) -> dict[str, NDArray[Any]]:
    """A column a figure: what a table of all features shows.

    ``rate`` is the share of positions at which a feature is on, ``mean`` its mean activation
    there, ``purity`` the share of its activation on its first token, ``words`` how many tokens
    its activation is spread over evenly: the exponential of the entropy over all its tokens (NaN
    in an index that was made before it was kept).
    """
    return figures(index, None)


def figures(index: FeatureIndex, feature: int | None) -> dict[str, NDArray[Any]]:
    """The columns of ``table_of`` of all features, or of one, of which alone is read."""
    rows = slice(None) if feature is None else slice(feature, feature + 1)
    count, total, peak, share, token = (
        np.asarray(index.arrays[name][rows])
        for name in ("count", "total", "peak", "token_share", "token")
    )
    on = np.maximum(count, 1)
    held = index.arrays.get("token_spread")
    spread = np.full(len(count), np.nan) if held is None else np.asarray(held[rows], np.float64)
    dead = count == 0
    return {
        "rate": count / max(1, index.n_positions),
        "mean": np.where(dead, 0, total / on),
        "peak": peak,
        "purity": np.where(dead, np.nan, share[:, 0].astype(np.float64)),
        "words": np.where(dead, np.nan, spread),
        "token": token[:, 0],
    }


def index_analysis(index: FeatureIndex) -> Analysis:
    """The index as labelled arrays, for panels, files and exports."""
    arrays = {
        name: Labelled(_ARRAYS[name][0], values, long_name=_ARRAYS[name][1])
        for name, values in index.arrays.items()
    }
    params = dict(index.params)
    named = f"{FEATURE_INDEX}-{str(params.get('fingerprint', ''))[:12]}"
    title = f"Features of {params.get('dictionary', 'a dictionary')}"
    return Analysis(named, FEATURE_INDEX, title, arrays, params)


def index_of(analysis: Analysis) -> FeatureIndex:
    """The index that an analysis holds, also one from a file; nothing is read yet.

    Raises SessionDamaged for an analysis that lacks a part, or whose parts do not fit together.
    """
    missing = [name for name in _ARRAYS if name not in analysis.arrays and name not in _LATER]
    if missing:
        raise SessionDamaged(f"The index {analysis.id} has no {', '.join(missing)}.", _AGAIN)
    held = {name: analysis.arrays[name].values for name in _ARRAYS if name in analysis.arrays}
    lengths: dict[str, int] = {}
    for name, values in held.items():
        axes, _ = _ARRAYS[name]
        for axis, length in zip(axes, values.shape, strict=False):
            if len(axes) != len(values.shape) or lengths.setdefault(axis, length) != length:
                raise SessionDamaged(
                    f"{name} of the index {analysis.id} has the shape {values.shape}.", _AGAIN
                )
    return FeatureIndex(held, analysis.params)
