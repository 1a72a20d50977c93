"""Directions put together by where they point: spherical k-means."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from microtome.jobs import Job

_ROUNDS = 25
_SAMPLE = 20_000  # rows that middles are found from; more do not move them


def direction_clusters(
    unit: Float[np.ndarray, "feature d"], count: int, seed: int, job: Job
) -> Int[np.ndarray, " feature"]:
    """Which of ``count`` clusters each direction of length 1 is in, the largest first.

    Middles are directions too, and a row belongs to the one with the largest cosine (Dhillon and
    Modha, 2001); they start far apart (k-means++), by ``seed``.
    """
    random = np.random.default_rng(seed)
    few = unit if len(unit) <= _SAMPLE else unit[random.choice(len(unit), _SAMPLE, replace=False)]
    middles = _first_middles(few, min(count, len(few)), random)
    for done in range(_ROUNDS):
        job.progress("Finding clusters", done, _ROUNDS)
        nearest = (few @ middles.T).argmax(axis=1)
        sums = np.zeros_like(middles)
        np.add.at(sums, nearest, few)
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        moved = np.where(lengths > 0, sums / np.where(lengths > 0, lengths, 1), middles)
        if np.allclose(moved, middles, atol=1e-6):
            break
        middles = moved
    found = (unit @ middles.T).argmax(axis=1)
    order = np.argsort(-np.bincount(found, minlength=len(middles)), kind="stable")
    ranks = np.empty(len(order), np.int64)
    ranks[order] = np.arange(len(order))
    return np.asarray(ranks[found])


def _first_middles(
    rows: Float[np.ndarray, "row d"], count: int, random: np.random.Generator
) -> Float[np.ndarray, "middle d"]:
    """Rows far from one another: each drawn by its distance from those before."""
    chosen = [int(random.integers(len(rows)))]
    away = np.ones(len(rows))
    for _ in range(count - 1):
        away = np.minimum(away, np.clip(1 - rows @ rows[chosen[-1]], 0, 2))
        total = away.sum()
        share = away / total if total > 0 else np.full(len(rows), 1 / len(rows))
        chosen.append(int(random.choice(len(rows), p=share)))
    return rows[chosen].copy()
