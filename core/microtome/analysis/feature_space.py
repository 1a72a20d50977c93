"""The space of a dictionary's features: decoder directions seen along their principal axes."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from microtome.activations.principal import SIGN_RULE
from microtome.analysis.neighbours import umap_points
from microtome.analysis.projection import Projection, project
from microtome.errors import InputError, expect
from microtome.features.neurons import Coder
from microtome.jobs import Job, job_or_default
from microtome.records.analysis import Analysis, Labelled

FEATURE_SPACE = "feature-space"
METHODS = ("pca", "umap")


def feature_space(
    dictionary: Coder,
    *,
    method: str = "pca",
    components: int = 3,
    seed: int = 0,
    job: Job | None = None,
) -> Analysis:
    """A point a feature: its direction, of length 1, along the principal axes of all.

    ``umap`` places the 50 first components so that near ones stay near (McInnes et al., 2018), by
    cosine; it needs the extra ``microtome[umap]``. Arrays are those of a projection, with features
    in place of prompts; ``explained_variance`` is that of the axes in both cases.
    Raises InputError for another method, and where umap is not installed.
    """
    job = job_or_default(job)
    expect(dictionary, Coder, "dictionary", "a Dictionary or Neurons", "Load one first.")
    if method not in METHODS:
        raise InputError(f"There is no method {method!r}.", f"Choose {' or '.join(METHODS)}.")
    unit = unit_directions(dictionary)
    job.progress("Feature space", 0, 1)
    found = project(unit, components)
    points = found.points if method == "pca" else umap_points(unit, components, seed, job)
    job.progress("Feature space", 1, 1)
    return _analysis(found, points, dictionary, method, seed)


def unit_directions(dictionary: Coder) -> Float[np.ndarray, "feature d"]:
    """What each feature writes, of length 1; zeros stay zeros."""
    directions = dictionary.directions.detach().float().cpu().numpy()
    norms = np.linalg.norm(directions, axis=1, keepdims=True)
    return np.asarray(directions / np.where(norms > 0, norms, 1))


def _analysis(
    found: Projection, points: NDArray[np.float32], one: Coder, method: str, seed: int
) -> Analysis:
    known = one.identity
    arrays = {
        "points": Labelled(("point", "component"), points),
        "components": Labelled(("component", "d_out"), found.components),
        "mean": Labelled(("d_out",), found.mean),
        "explained_variance": Labelled(("component",), found.explained_variance),
        "explained_variance_ratio": Labelled(("component",), found.explained_variance_ratio),
        "point_feature": Labelled(("point",), np.arange(len(points), dtype=np.int32)),
    }
    params = {
        "dictionary": known.name, "fingerprint": known.fingerprint, "site": known.writes,
        "method": method, "seed": seed, "sign_rule": SIGN_RULE, "n": len(points),
        "rows": "decoder directions of length 1",
    }  # fmt: skip
    named = f"{FEATURE_SPACE}-{method}-{known.fingerprint[:12]}"
    title = f"Directions of {known.name}: {'principal components' if method == 'pca' else 'UMAP'}"
    return Analysis(named, FEATURE_SPACE, title, arrays, params)
