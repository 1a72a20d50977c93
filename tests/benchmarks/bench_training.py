"""Training a TopK autoencoder side by side with SAELens' own trainer, and beside its least work.

Both sides train on the same rows in turns: SAELens in a process and an environment of its own,
whose Python the variable MICROTOME_SAE_PYTHON names, Microtome in this one. One thread each,
processor time of the process, medians of five rounds. Microtome's time is that of its whole loop,
batches drawn and figures taken. The least work of the sparse design is one product with the
encoder, one search for the largest, and Adam, measured in the same rounds.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from microtome.features.training.forms import Own
from microtome.features.training.plan import Plan
from microtome.features.training.rows import ArrayRows
from microtome.features.training.trainer import Places, Trainer
from microtome.jobs import Job
from microtome.records.dictionary import DictionaryIdentity

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(3600)]
PEER = "MICROTOME_SAE_PYTHON"
SIZES = {"d_in": 256, "d_sae": 4096, "k": 32, "batch": 1024, "rows": 65_536}
ROUNDS, STEPS, FASTER, SHARE = 5, 10, 3.0, 0.60


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def seconds(work: Callable[[], object], times: int = STEPS) -> float:
    """Processor seconds of one call."""
    begun = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - begun) / times


def ours() -> Callable[[], object]:
    """A step of our trainer, which has begun."""
    shape = (SIZES["rows"], SIZES["d_in"])
    rows = ArrayRows({"embed": np.random.default_rng(0).standard_normal(shape, np.float32)})
    plan = Plan(width=SIZES["d_sae"], k=SIZES["k"], batch=SIZES["batch"], steps=100_000)
    places = Places(("embed",), ("embed",))
    form = Own(SIZES["d_sae"], SIZES["d_in"], SIZES["d_in"])
    identity = DictionaryIdentity("", "", 0, 0, 0, "embed", "embed")
    trainer = Trainer(rows, places, plan, form, [identity], Job())
    step = trainer.steps()
    return lambda: next(step)


def least() -> Callable[[], object]:
    """What the sparse design cannot do without."""
    d_in, d_sae, batch = (SIZES[name] for name in ("d_in", "d_sae", "batch"))
    x, bias = torch.randn(batch, d_in), torch.zeros(d_sae)
    weights = [torch.randn(d_sae, d_in), torch.randn(d_sae, d_in), bias, torch.zeros(d_in)]
    for held in weights:
        held.grad = torch.randn_like(held)
    adam = torch.optim.Adam(weights, lr=1e-3, fused=True)

    def work() -> None:
        torch.addmm(bias, x, weights[0].T).topk(SIZES["k"], sorted=False)
        adam.step()

    return work


class Peer:
    """SAELens in a process of its own."""

    def __init__(self, python: str) -> None:
        script = Path(__file__).with_name("peer_training.py")
        self._process = subprocess.Popen(
            [python, str(script), json.dumps(SIZES)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.version = self._answer()["version"]

    def seconds(self, steps: int) -> float:
        """Processor seconds of a step."""
        assert self._process.stdin
        print(steps, file=self._process.stdin, flush=True)
        return float(self._answer()) / steps

    def _answer(self) -> dict:
        assert self._process.stdout
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        self._process.communicate()


def test_a_step_beside_saelens_and_the_least_work(measuring) -> None:
    figure = measuring.figure
    work, bound = ours(), least()
    peer = Peer(os.environ[PEER]) if os.environ.get(PEER) else None
    seconds(work), seconds(bound)
    if peer:
        peer.seconds(3)
    rounds: dict[str, list[float]] = {"ours": [], "bound": [], "peer": []}
    for _ in range(ROUNDS):
        rounds["ours"].append(seconds(work))
        if peer:
            rounds["peer"].append(peer.seconds(STEPS))
        rounds["bound"].append(seconds(bound))
    figure("a step", [1e3 * each for each in rounds["ours"]], "ms")
    figure("its least work", [1e3 * each for each in rounds["bound"]], "ms")
    shares = [least / own for least, own in zip(rounds["bound"], rounds["ours"], strict=True)]
    share = figure("share of the least work's speed", shares, "", least=SHARE)
    if peer:
        peer.close()
        figure(f"SAELens {peer.version}, a step", [1e3 * each for each in rounds["peer"]], "ms")
        times = [other / own for other, own in zip(rounds["peer"], rounds["ours"], strict=True)]
        assert figure("times SAELens", times, "x", least=FASTER) >= FASTER / 1.05
    else:
        print(f"SAELens was left out: {PEER} names no Python that has it.")
    assert share >= SHARE / 1.05
