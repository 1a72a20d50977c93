"""How much more units answer to some images than to all others.

The index is that of the localizer experiments of vision science: the difference of two means over
the sum of both standard deviations.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from microtome.errors import InputError


def selectivity_index(
    activity: Float[np.ndarray, "image unit"], inside: Bool[np.ndarray, " image"]
) -> Float[np.ndarray, " unit"]:
    """(mean_in − mean_out) / (sd_in + sd_out) of each unit; positive answers more inside.

    The standard deviations are those of the images given (divided by their number). A unit that
    is constant in both groups has 0 where the constants are equal, else an infinite index.
    Raises InputError when no image is inside, or none outside.
    """
    if inside.all() or not inside.any():
        raise InputError(
            f"Of {len(inside)} images {int(inside.sum())} are of the group that is asked about.",
            "Selectivity needs images of it and others.",
        )
    values = activity.astype(np.float64)
    held, others = values[inside], values[~inside]
    difference = held.mean(axis=0) - others.mean(axis=0)
    spread = held.std(axis=0) + others.std(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = difference / spread
    return np.asarray(np.where(difference == 0, 0.0, found), dtype=np.float64)


def selectivity_by_group(
    activity: Float[np.ndarray, "image unit"], groups: Int[np.ndarray, " image"], count: int
) -> Float[np.ndarray, "group unit"]:
    """The index of each unit for each of ``count`` groups; NaN for one without images."""
    found = np.full((count, activity.shape[1]), np.nan)
    for group in range(count):
        inside = groups == group
        if inside.any() and not inside.all():
            found[group] = selectivity_index(activity, inside)
    return found


def mean_by_group(
    activity: Float[np.ndarray, "image unit"], groups: Int[np.ndarray, " image"], count: int
) -> Float[np.ndarray, "group unit"]:
    """The mean of each unit over the images of each group; NaN for one without images."""
    found = np.full((count, activity.shape[1]), np.nan)
    for group in range(count):
        inside = groups == group
        if inside.any():
            found[group] = activity[inside].mean(axis=0)
    return found


def domain_names(domains: Sequence[str]) -> tuple[str, ...]:
    """The domains, each once, in the order of their first classes."""
    return tuple(dict.fromkeys(domains))


def domain_labels(
    labels: Int[np.ndarray, " image"], domains: Sequence[str]
) -> Int[np.ndarray, " image"]:
    """The number of each image's domain among ``domain_names``, for the labels of its class."""
    names = domain_names(domains)
    numbers = np.array([names.index(domain) for domain in domains], dtype=np.int64)
    return np.asarray(numbers[labels])
