"""One way to principal components, in a process of its own; see ``bench_projection``.

Started as ``PYTHON peer_projection.py WAY``; the last line of the output holds the processor time
and the time by the clock, in seconds, and the leading variances. The libraries' ways import
nothing of Microtome.
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np

ROWS, WIDTH, COMPONENTS = 100_000, 768, 50


def rows():
    """Rows like a residual stream: falling variances, three dimensions with a mean near 100."""
    random = np.random.default_rng(0)
    data = random.standard_normal((ROWS, WIDTH), dtype=np.float32)
    data *= np.arange(1, WIDTH + 1, dtype=np.float32) ** -0.7
    data[:, [1, 4, 7]] += [100.0, -96.0, 103.0]
    return data


def microtome():
    """Ours: axes and variances, and the coordinates of all rows too."""
    from microtome.analysis.projection import project

    return lambda data: project(data, COMPONENTS).explained_variance


def scikit_learn():
    """The full solver."""
    from sklearn.decomposition import PCA

    return lambda data: PCA(COMPONENTS, svd_solver="full").fit(data).explained_variance_


def numpy():
    """Centred and decomposed."""

    def work(data):
        centred = data - data.mean(axis=0)
        return np.linalg.svd(centred, full_matrices=False)[1] ** 2 / (ROWS - 1)

    return work


def torch():
    """Centred and decomposed."""
    import torch as library

    def work(data):
        centred = library.from_numpy(data)
        centred = centred - centred.mean(dim=0)
        return (library.linalg.svd(centred, full_matrices=False).S ** 2 / (ROWS - 1)).numpy()

    return work


def main():
    """Make the rows, run once and say what it took."""
    ways = {"microtome": microtome, "scikit-learn": scikit_learn, "numpy": numpy, "torch": torch}
    work, data = ways[sys.argv[1]](), rows()
    begun, clock = time.process_time(), time.perf_counter()
    found = work(data)
    took = time.process_time() - begun, time.perf_counter() - clock
    print(json.dumps([*took, [float(value) for value in found[:COMPONENTS]]]))


if __name__ == "__main__":
    main()
