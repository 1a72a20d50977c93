"""The space of a dictionary's features as a projection, with a token for each point."""

from __future__ import annotations

import numpy as np

from microtome.analysis.feature_space import feature_space
from microtome.features.neurons import Coder
from microtome.jobs import Job
from microtome.records.analysis import Analysis, Labelled
from microtome.records.feature_index import FeatureIndex

_KINDS = 40  # tokens that name a group of features; all others are one


def direction_space(
    dictionary: Coder, index: FeatureIndex | None = None, *, name: str = "", job: Job | None = None
) -> Analysis:
    """``feature_space`` as a window shows projections: point i is feature i, its position says so.

    With an index its token is the one that the feature is on at most, and its task the same where
    several features share it. To the window the features are positions of one prompt that no
    other set of prompts has.
    """
    space, told = feature_space(dictionary, job=job), dictionary.identity
    many = space.arrays["points"].values.shape[0]
    tokens = _tokens(index, many)
    words, counts = np.unique(tokens, return_counts=True)
    common = set(words[np.argsort(-counts, kind="stable")][:_KINDS].tolist())
    tasks = [token if token in common else "others" for token in tokens]
    point, numbers = ("point",), np.arange(many, dtype=np.int32)
    arrays = {
        **space.arrays,
        "point_prompt": Labelled(point, np.zeros(many, np.int32)),
        "point_position": Labelled(point, numbers),
        "point_layer": Labelled(point, np.full(many, -1, np.int32)),
        "point_token": Labelled(point, np.asarray(tokens, np.str_)),
        "point_task": Labelled(point, np.asarray(tasks, np.str_)),
    }
    site = f"features of {name or told.name}"
    params = {
        **space.params, "site": site, "layer": None, "features": told.fingerprint,
        "writes": told.writes, "prompts": [f"features {told.fingerprint}"],
    }  # fmt: skip
    return Analysis(f"projection/{site}", "projection", space.title, arrays, params)


def _tokens(index: FeatureIndex | None, many: int) -> tuple[str, ...]:
    """The token that each feature is on at most, ``silent`` for none."""
    if index is None:
        return ("feature",) * many
    words, first = index.array("vocabulary"), index.array("token")[:, 0]
    return tuple(str(words[each]) if each >= 0 else "silent" for each in first.tolist())
