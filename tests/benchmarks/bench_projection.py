"""Principal components of 100,000 residual-stream-like rows, beside libraries' full decompositions.

Every way runs in a fresh process (``peer_projection.py``), in turns: processor time, and the time
by the clock beside it. Once with one thread, and once with the threads that each library takes by
itself, as its users have it: OpenBLAS waits for threads by spinning, so that a decomposition of
many small steps burns processor time wherever another program computes. scikit-learn works in an
environment of its own, whose Python MICROTOME_SKLEARN_PYTHON names; NumPy and torch are ours.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from time import process_time

import numpy as np
import pytest
from peer_projection import rows

from microtome.analysis.projection import project

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(7200)]
PEER = "MICROTOME_SKLEARN_PYTHON"
ROUNDS = {"one thread": 3, "threads of their own": 2}
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def run(way: str, python: str, threads: str) -> tuple[float, float, np.ndarray]:
    """Processor seconds, seconds by the clock and the leading variances of one way."""
    environment = {name: value for name, value in os.environ.items() if name not in THREADS}
    if threads == "one thread":
        environment |= dict.fromkeys(THREADS, "1")
    script = str(Path(__file__).with_name("peer_projection.py"))
    done = subprocess.run(
        [python, script, way], capture_output=True, text=True, check=True, env=environment
    )
    cpu, wall, variance = json.loads(done.stdout.splitlines()[-1])
    return cpu, wall, np.array(variance)


def exact() -> np.ndarray:
    """The leading variances, from a covariance in float64."""
    data = rows()
    return np.linalg.eigvalsh(np.cov(data.astype(np.float64), rowvar=False))[::-1][:50]


@pytest.mark.parametrize("threads", list(ROUNDS))
def test_beside_full_decompositions_in_float32(threads):
    ways = {"microtome": sys.executable, "numpy": sys.executable, "torch": sys.executable}
    if os.environ.get(PEER):
        ways["scikit-learn"] = os.environ[PEER]
    truth = exact()
    found = {way: [] for way in ways}
    for _ in range(ROUNDS[threads]):
        for way, python in ways.items():
            found[way].append(run(way, python, threads))
            print(f"{threads}: {way} {found[way][-1][:2]}, load {os.getloadavg()[0]:.0f}")
    for way, runs in found.items():
        cpu, wall = ([each[n] for each in runs] for n in (0, 1))
        times = [theirs[0] / mine[0] for theirs, mine in zip(runs, found["microtome"], strict=True)]
        error = np.abs(runs[0][2] / truth - 1).max()
        print(
            f"{way}, {threads}: CPU {median(cpu):.2f} s ({min(cpu):.2f}-{max(cpu):.2f}),"
            f" wall {median(wall):.2f} s, {median(times):.1f} x ours, variance off by {error:.0e}"
        )
        if way == "microtome":
            assert error < 1e-6
        else:
            assert median(times) > 5


def test_most_of_it_is_the_one_product_that_any_covariance_needs():
    ours, product, data = [], [], rows()
    for _ in range(5):
        begun = process_time()
        project(data, 50)
        ours.append(process_time() - begun)
        begun = process_time()
        for block in np.array_split(data, 7):
            block.T @ block
        product.append(process_time() - begun)
    print(f"ours {median(ours):.2f} s, the product alone {median(product):.2f} s")
    assert median(product) > 0.5 * median(ours)
