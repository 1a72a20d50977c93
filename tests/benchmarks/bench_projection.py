"""Principal components of 100,000 residual-stream-like rows, beside scipy's full decomposition:
in float64, the plain way to results as exact, and in float32, as libraries do it.

Measured side by side in one run, in processor time of this process, five interleaved rounds.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import numpy as np
import pytest
from scipy.linalg import svd

from microtome.analysis.projection import project

pytestmark = pytest.mark.benchmark
ROWS, WIDTH, ROUNDS = 100_000, 768, 5


def rows(count: int = ROWS) -> np.ndarray:
    random = np.random.default_rng(0)
    data = random.standard_normal((count, WIDTH), dtype=np.float32)
    data *= np.arange(1, WIDTH + 1, dtype=np.float32) ** -0.7
    data[:, [1, 4, 7]] += [100.0, -96.0, 103.0]
    return data


def seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def test_far_cheaper_than_a_full_decomposition_and_as_exact():
    data = rows()
    tenth = data[::10]  # the full decomposition is linear in rows; all of them take a minute
    ours, full = [], []
    for _ in range(ROUNDS):
        ours.append(seconds(lambda: project(data, 50)))
        wide = tenth - tenth.mean(axis=0, dtype=np.float64)
        full.append(10 * seconds(lambda wide=wide: svd(wide, full_matrices=False)))
    exact = np.linalg.eigvalsh(np.cov(data.astype(np.float64), rowvar=False))[::-1][:50]
    error = np.abs(project(data, 50).explained_variance / exact - 1).max()
    print(f"ours {median(ours):.2f} s, full {median(full):.1f} s, variance off by {error:.1e}")
    assert error < 1e-6
    assert median(full) > 5 * median(ours)


@pytest.mark.timeout(900)
def test_far_cheaper_than_a_library_s_full_decomposition_in_float32_and_nearer():
    """What scikit-learn's ``full`` PCA computes: numpy's float32 mean, scipy's svd."""
    data = rows()
    ours, full = [], []
    for _ in range(2):
        ours.append(seconds(lambda: project(data, 50)))
        full.append(seconds(lambda: svd(data - data.mean(axis=0), full_matrices=False)))
    exact = np.linalg.eigvalsh(np.cov(data.astype(np.float64), rowvar=False))[::-1][:50]
    singular = svd(data - data.mean(axis=0), full_matrices=False, compute_uv=False)[:50]
    theirs = np.abs(singular**2 / (ROWS - 1) / exact - 1).max()
    error = np.abs(project(data, 50).explained_variance / exact - 1).max()
    times = f"{median(full) / median(ours):.0f} times"
    print(f"ours {median(ours):.2f} s, full {median(full):.1f} s, {times}, off {theirs:.1e}")
    assert error < 1e-6 < theirs
    assert median(full) > 5 * median(ours)
