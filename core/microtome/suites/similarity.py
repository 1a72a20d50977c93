"""Which layers do nearly the same: linear CKA between the residual stream after each of them.

Source: Kornblith et al., "Similarity of Neural Network Representations Revisited" (2019).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations_with_replacement

import numpy as np
from jaxtyping import Float

from microtome.activations.batches import batched_activations
from microtome.jobs import Job, job_or_default
from microtome.models.model import Model
from microtome.models.tokens import Tokens
from microtome.prompts import Prompt
from microtome.sites import Site

_BUDGET = 256 << 20  # bytes of sums that are held at once


def layer_points(model: Model) -> tuple[str, ...]:
    """The places that are compared: the embedding, and the stream after each layer."""
    return ("embed", *(f"l{layer}" for layer in range(model.identity.n_layers)))


def layer_similarity(
    model: Model, prompts: Sequence[Prompt], *, job: Job | None = None
) -> Float[np.ndarray, "point point"]:
    """Linear CKA between the residual stream at the ``layer_points``, over all positions.

    Sums are kept, not activations, in float64; where all of them do not fit in 256 MiB, some pairs
    of points are taken at a time, at least one, and the prompts run again. 1 says that one is the
    other, turned and scaled; NaN stands for a point that is the same at all positions.
    """
    job = job_or_default(job)
    sites = [Site("resid_pre", 0), *_after(model)]
    count, width = len(sites), model.identity.d_model
    most = max(1, _BUDGET // (8 * width * width))
    shared = np.zeros((count, count))
    tokens = [model.tokenize(prompt) for prompt in dict.fromkeys(prompts)]
    pairs = list(combinations_with_replacement(range(count), 2))
    for start in range(0, len(pairs), most):
        some = pairs[start : start + most]
        job.progress("Comparing layers", start, len(pairs))
        values = _values(model, tokens, sites, job)
        for (one, other), norm in zip(some, _shared(values, some, count, width), strict=True):
            shared[one, other] = shared[other, one] = norm
    own = np.sqrt(np.diag(shared))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(shared / np.outer(own, own))


def _after(model: Model) -> list[Site]:
    return [Site("resid_post", layer) for layer in range(model.identity.n_layers)]


def _values(
    model: Model, tokens: Sequence[Tokens], sites: Sequence[Site], job: Job
) -> Iterator[list[np.ndarray]]:
    """Of each prompt the values at every point, float64 [position, d_model]."""
    for _, held in batched_activations(model, tokens, sites, job=job):
        yield [held[site].astype(np.float64) for site in sites]


def _shared(
    values: Iterator[list[np.ndarray]], pairs: Sequence[tuple[int, int]], count: int, width: int
) -> Iterator[float]:
    """Of each pair of points the squared Frobenius norm of their covariance.

    Values are shifted by those of the first position, so that large means cost no digits.
    """
    products = {pair: np.zeros((width, width)) for pair in pairs}
    sums, shift, seen = np.zeros((count, width)), np.zeros((count, 1, width)), 0
    for held in values:
        if not seen:
            shift = np.stack([each[:1] for each in held])
        moved = [each - shift[at] for at, each in enumerate(held)]
        seen += len(moved[0])
        sums += np.stack([each.sum(0) for each in moved])
        for i, j in products:
            products[i, j] += moved[i].T @ moved[j]
    for i, j in pairs:
        products[i, j] -= np.outer(sums[i], sums[j]) / seen
        yield float((products.pop((i, j)) ** 2).sum())
