"""The space of a dictionary's features as a projection, with what colours and names each point."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from microtome.analysis.clusters import direction_clusters
from microtome.analysis.feature_space import feature_space, unit_directions
from microtome.features.neurons import Coder
from microtome.jobs import Job, job_or_default
from microtome.records.analysis import Analysis, Labelled
from microtome.records.feature_index import FeatureIndex, table_of

CLUSTERS = 12
_KINDS = 40  # tokens that name a group of features; all others are one


def direction_space(
    dictionary: Coder,
    index: FeatureIndex | None = None,
    *,
    method: str = "pca",
    seed: int = 0,
    name: str = "",
    job: Job | None = None,
) -> Analysis:
    """``feature_space`` as a window shows projections: point i is feature i, its position says so.

    ``point_cluster`` names which of twelve clusters of directions a point is in. With an index its
    token is the one that the feature is on at most, its task the same where several features share
    it, ``point_rate`` the share of positions at which it is on, ``point_purity`` the share of its
    activation on that token, and clusters are named after their commonest tokens. To the window
    the features are positions of one prompt that no other set of prompts has.
    Raises InputError as ``feature_space`` does.
    """
    job = job_or_default(job)
    space, told = feature_space(dictionary, method=method, seed=seed, job=job), dictionary.identity
    many = space.arrays["points"].values.shape[0]
    tokens = _tokens(index, many)
    words, counts = np.unique(tokens, return_counts=True)
    common = set(words[np.argsort(-counts, kind="stable")][:_KINDS].tolist())
    tasks = [token if token in common else "others" for token in tokens]
    groups = direction_clusters(unit_directions(dictionary), CLUSTERS, seed, job)
    point, numbers = ("point",), np.arange(many, dtype=np.int32)
    arrays = {
        **space.arrays,
        "point_prompt": Labelled(point, np.zeros(many, np.int32)),
        "point_position": Labelled(point, numbers),
        "point_layer": Labelled(point, np.full(many, -1, np.int32)),
        "point_token": Labelled(point, np.asarray(tokens, np.str_)),
        "point_task": Labelled(point, np.asarray(tasks, np.str_)),
        "point_cluster": Labelled(point, _cluster_names(groups, tokens, named=index is not None)),
        **_figures(index),
    }
    way = "" if method == "pca" else f" ({method.upper()})"
    site = f"features of {name or told.name}{way}"
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


def _figures(index: FeatureIndex | None) -> dict[str, Labelled]:
    """Firing rate and purity of each feature, where a text was looked through."""
    if index is None:
        return {}
    table = table_of(index)
    return {
        f"point_{name}": Labelled(("point",), np.asarray(table[name], np.float32))
        for name in ("rate", "purity")
    }


def _cluster_names(
    groups: NDArray[np.int64], tokens: tuple[str, ...], *, named: bool
) -> NDArray[Any]:
    """A number from 1 for each cluster, and the two tokens that tell it best from the others.

    Those are tokens of many of its features that are of few others: by the number of its features
    times their share of all features of the token.
    """
    held = np.asarray(tokens, np.str_)
    words, index, totals = np.unique(held, return_inverse=True, return_counts=True)
    names = []
    for group in range(int(groups.max(initial=-1)) + 1):
        counts = np.bincount(index[groups == group], minlength=len(words))
        counts[words == "silent"] = 0
        best = np.argsort(-(counts**2 / totals), kind="stable")[: 2 if named else 0]
        common = [str(words[at]) for at in best if counts[at]]
        names.append(f"{group + 1}: {' / '.join(common)}" if common else f"{group + 1}")
    return np.asarray(names, np.str_)[groups]
