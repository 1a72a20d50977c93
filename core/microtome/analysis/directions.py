"""The directions that features write, seen along their principal axes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from microtome.analysis.projection import PointLabels, project, to_analysis
from microtome.features.neurons import Coder
from microtome.records.analysis import Analysis
from microtome.records.feature_index import FeatureIndex
from microtome.sites import Site

_KINDS = 40  # tokens that name a group of features; all others are one


def direction_space(
    dictionary: Coder, index: FeatureIndex | None = None, *, name: str = ""
) -> Analysis:
    """The principal components of a dictionary's directions, each brought to length 1.

    Point i is feature i, and its ``point_position`` says so. With an index its token is the one
    that the feature is on at most, and its task the same where several features share it.
    """
    directions = dictionary.directions.detach().float().cpu().numpy()
    lengths = np.linalg.norm(directions, axis=1, keepdims=True)
    projection = project(directions / np.where(lengths > 0, lengths, 1.0))
    told, many = dictionary.identity, len(directions)
    tokens = _tokens(index, many)
    words, counts = np.unique(tokens, return_counts=True)
    common = set(words[np.argsort(-counts, kind="stable")][:_KINDS].tolist())
    tasks = tuple(token if token in common else "others" for token in tokens)
    labels = PointLabels(
        np.zeros(many, np.int32), np.arange(many, dtype=np.int32),
        np.full(many, -1, np.int32), tokens, tasks,
    )  # fmt: skip
    # As if they were the positions of one prompt that no other set of prompts has.
    made = to_analysis(projection, Site.of(told.writes), labels, (f"features {told.fingerprint}",))
    site = f"features of {name or told.name}"
    params = {**made.params, "site": site, "layer": None, "features": told.fingerprint}
    params |= {"dictionary": told.name, "model_fingerprint": told.model_fingerprint}
    title = f"Directions of {name or told.name}: principal components"
    return replace(made, id=f"projection/{site}", title=title, params=params)


def _tokens(index: FeatureIndex | None, many: int) -> tuple[str, ...]:
    """The token that each feature is on at most, ``silent`` for none."""
    if index is None:
        return ("feature",) * many
    words, first = index.array("vocabulary"), index.array("token")[:, 0]
    return tuple(str(words[each]) if each >= 0 else "silent" for each in first.tolist())
