"""Patching sweeps side by side with TransformerLens, on models of GPT-2 small's shape.

Both sides read the same weights (random, from a seed) and the same token ids, and work in turns:
TransformerLens in a process and an environment of its own, whose Python the variable
MICROTOME_PEER_PYTHON names, Microtome in this one. One thread each, processor time of the
process, medians of five rounds. Microtome runs whole sweeps, its two base runs among them;
TransformerLens runs some random cells a round, scaled up by their number, and its clean run. That
this is fair is shown by whole sweeps, which also compare every single cell. The rate of matrix
products is that of the design's least work (``Floor``), beside the best product in the same round.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from statistics import median

import numpy as np
import pytest
import torch
from sweep_work import LAYERS, PEER, Floor, Peer, Question, matmul_rate, save_model

from microtome.interventions.sweeps import patching_sweep
from microtome.metrics import LogitDifference
from microtome.models.loading import load_model
from microtome.prompts import PromptPair

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(3600)]
ROUNDS, CELLS, NEAR = 5, 6, 1.05
AGREEMENT, MEMORY, SHARE = 1e-4, 250, 0.80
MB = 1 << 20

# How Microtome is asked for a sweep of the peer, and the order of the peer's axes.
ASKED = {
    "resid_pre": ("resid_pre", "position", (0, 1)),
    "z": ("z", "head", (0, 1)),
    "z by position": ("z", "head position", (0, 2, 1)),
}


@dataclass(frozen=True)
class Work:
    """One row of the table: a sweep and how many times faster it should be, computed whole and
    with no-op cells skipped."""

    family: str
    sweep: str
    tokens: int
    goal: float | None = None
    skipping: float | None = None
    path: str | None = None

    def __str__(self) -> str:
        path = "" if self.path is None else f", {self.path}"
        return f"{self.family} {self.sweep}, {self.tokens} tokens{path}"


WORKS = (
    Work("gpt2", "resid_pre", 16, 15, 60),
    Work("gpt2", "z", 16, 8, 19),
    Work("gpt2", "z by position", 16, 18, 90),
    Work("gpt2", "resid_pre", 64, 8, 40),
    Work("gpt2", "z", 64),
    Work("llama", "resid_pre", 16, 8, 8),
    Work("llama", "z", 16, 8, 8),
    Work("llama", "z by position", 16, 8, 8),
    Work("llama", "resid_pre", 64, 8, 8),
    Work("gpt2", "resid_pre", 16, 5, 5, "blocks"),
    Work("llama", "resid_pre", 16, 5, 5, "blocks"),
)
SMALL = [work for work in WORKS if work.tokens == 16 and work.path is None]


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Threads that wait for each other on a busy machine would count as work."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Where a random model of a family lies; made when it is first asked for."""
    made = {}

    def folder(family, layers=LAYERS):
        key = (family, layers)
        if key not in made:
            made[key] = save_model(family, tmp_path_factory.mktemp(family), layers)
        return made[key]

    return folder


@pytest.fixture(scope="module")
def models(folders):
    """Microtome's model of a family."""
    made = {}

    def model(family, layers=LAYERS):
        key = (family, layers)
        if key not in made:
            made[key] = load_model(folders(family, layers))
        return made[key]

    return model


@pytest.fixture(scope="module")
def peers(folders):
    """TransformerLens with the model of a family, in its process."""
    python = os.environ.get(PEER)
    if not python:
        pytest.skip(f"{PEER} names no Python with transformer-lens; see docs/benchmarks.md")
    running = {}

    def peer(family):
        if family not in running:
            running[family] = Peer(python, folders(family))
            print(f"\npeer: {running[family].versions}")
        return running[family]

    yield peer
    for each in running.values():
        each.close()


@pytest.fixture(scope="module")
def table():
    """Rows that are printed when all is measured, as docs/benchmarks.md shows them."""
    rows = []
    yield rows
    if not rows:
        return
    print("\n\n| sweep | cells | TransformerLens | all cells | × | skipping | × | rate | share |")
    print("|---|---|---|---|---|---|---|---|---|")
    print("\n".join(rows))


def ours(model, work, question, *, skip):
    """The sweep of Microtome, its metric in the peer's order, and its processor seconds."""
    kind, by, order = ASKED[work.sweep]
    pair = PromptPair(question.clean, question.corrupt)
    metric = LogitDifference(question.answer, question.wrong)
    start = time.process_time()
    found = patching_sweep(model, pair, metric, kind, by=by, skip=skip, path=work.path)
    seconds = time.process_time() - start
    assert found.complete
    assert found.path == (work.path or "packed")
    return found, found.raw.transpose(order), seconds


def some_cells(shape, generator):
    """Some random cells, each once."""
    flat = generator.choice(np.prod(shape), CELLS, replace=False)
    return np.stack(np.unravel_index(flat, shape), axis=1).tolist()


class Rounds:
    """What both sides took, turn by turn, and how far their numbers are apart."""

    def __init__(self, work, model, peer):
        self.work, self.model, self.peer = work, model, peer
        self.question = Question.of(work.tokens)
        self.generator = np.random.default_rng(0)
        self.theirs = {False: [], True: []}
        self.ours = {False: [], True: []}
        self.rates, self.worst, self.cells = [], 0.0, 0

    def turn(self, *, skip):
        """One side, then the other."""
        question, work = self.question, self.work
        _, raw, seconds = ours(self.model, work, question, skip=skip)
        cells = some_cells(raw.shape, self.generator)
        answer = self.peer.sweep(work.sweep, question, cells)
        mine = raw[tuple(np.transpose(cells))]
        self.worst = max(self.worst, float(np.abs(mine - answer["values"]).max()))
        self.cells = raw.size
        self.ours[skip].append(seconds)
        self.theirs[skip].append(answer["cache"] + answer["cells"] * raw.size / len(cells))

    def run(self):
        """A round to get warm, then those that count."""
        for skip in (False, True):
            self.turn(skip=skip)
            self.ours[skip].clear()
            self.theirs[skip].clear()
        for _ in range(ROUNDS):
            self.rates.append(matmul_rate())
            for skip in (False, True):
                self.turn(skip=skip)
        return self

    def ratios(self, *, skip):
        pairs = zip(self.theirs[skip], self.ours[skip], strict=True)
        return [theirs / mine for theirs, mine in pairs]

    def shares(self):
        """The rate of the least work, as a share of the best product of each round."""
        least = Floor.of(self.work.family, self.work.tokens).sweep(self.work.sweep) / 1e9
        rates = [least / seconds for seconds in self.ours[False]]
        return rates, [rate / best for rate, best in zip(rates, self.rates, strict=True)]


@pytest.mark.parametrize("work", WORKS, ids=str)
def test_beside_transformer_lens(work, models, peers, measuring, table):
    rounds = Rounds(work, models(work.family), peers(work.family)).run()
    print()
    measuring.figure(f"{work}: TransformerLens, scaled", rounds.theirs[False], "CPU s")
    measuring.figure(f"{work}: all cells", rounds.ours[False], "CPU s")
    measuring.figure(f"{work}: skipping", rounds.ours[True], "CPU s")
    whole = measuring.figure(f"{work}: all", rounds.ratios(skip=False), "×", least=work.goal)
    some = measuring.figure(f"{work}: skip", rounds.ratios(skip=True), "×", least=work.skipping)
    rates, shares = rounds.shares()
    sharp = SHARE if work == WORKS[0] else None
    rate = measuring.figure(f"{work}: rate on the floor", rates, "GFLOP per CPU s")
    share = measuring.figure(f"{work}: share of the best product", shares, "", least=sharp)
    print(f"largest difference of the metric in random cells: {rounds.worst:.2g}")
    table.append(
        f"| {work} | {rounds.cells} | {median(rounds.theirs[False]):.1f} | "
        f"{median(rounds.ours[False]):.2f} | {whole:.1f} | {median(rounds.ours[True]):.2f} | "
        f"{some:.1f} | {rate:.0f} | {share:.0%} |"
    )
    assert rounds.worst <= AGREEMENT
    assert whole >= (work.goal or 0) / NEAR
    assert some >= (work.skipping or 0) / NEAR
    assert share >= (sharp or 0) / NEAR


@pytest.mark.parametrize("work", SMALL, ids=str)
def test_every_cell_agrees_and_scaling_is_fair(work, models, peers):
    peer, question = peers(work.family), Question.of(work.tokens)
    found, raw, _ = ours(models(work.family), work, question, skip=False)
    skipping, short, _ = ours(models(work.family), work, question, skip=True)
    parts = [
        peer.sweep(work.sweep, question, some_cells(raw.shape, np.random.default_rng(seed)))
        for seed in range(3)
    ]
    answer = peer.sweep(work.sweep, question)
    theirs = np.array(answer["values"])
    worst = max(float(np.abs(each - theirs).max()) for each in (raw, short))
    moved = np.abs(theirs - found.corrupt)
    scaled = median(part["cells"] for part in parts) * raw.size / CELLS
    print(
        f"\n{work}: every cell of {raw.size}: largest difference {worst:.2g} "
        f"(patches move the metric by up to {moved.max():.2g}, {np.median(moved):.2g} in the "
        f"middle); {found.skipped} and {skipping.skipped} cells skipped. TransformerLens took "
        f"{answer['cells']:.1f} CPU s for all of them, {scaled:.1f} scaled up from {CELLS}"
    )
    assert raw.shape == theirs.shape
    assert worst <= AGREEMENT
    assert moved.max() > 0.1
    assert (skipping.skipped > found.skipped) == (work.sweep != "z")  # heads are all felt
    assert 0.7 < scaled / answer["cells"] < 1.4


def test_cost_grows_as_the_floor(models, measuring):
    times, floors = {}, {}
    for layers, tokens in ((3, 16), (6, 16), (12, 16), (12, 32), (12, 64), (12, 128)):
        work, model = Work("gpt2", "resid_pre", tokens), models("gpt2", layers)
        question = Question.of(tokens)
        ours(model, work, question, skip=True)
        rounds = [
            ours(model, work, question, skip=False)[2] for _ in range(3 if tokens < 64 else 1)
        ]
        floor = Floor(tokens, depth=layers).sweep("resid_pre") / 1e9
        name = f"{layers} layers, {tokens} tokens, {layers * tokens} cells, floor {floor:.1f} GFLOP"
        times[layers, tokens] = measuring.figure(name, rounds, "CPU s")
        floors[layers, tokens] = floor
    rates = {key: floors[key] / times[key] for key in times}
    print({key: f"{rate:.0f} GFLOP per CPU s" for key, rate in rates.items()})
    assert min(rates.values()) > 0.5 * max(rates.values())


_STEPS = """
import json, sys
def memory(name):
    rows = open("/proc/self/status").read().splitlines()
    return next(int(row.split()[1]) * 1024 for row in rows if row.startswith(name))
import torch
from microtome.interventions.sweeps import patching_sweep
from microtome.metrics import LogitDifference
from microtome.models.loading import load_model
from microtome.prompts import PromptPair
torch.set_num_threads(1)
asked = json.loads(sys.argv[2])
model = load_model(sys.argv[1])
for side in ("clean", "corrupt"):
    model.forward(torch.tensor([asked[side]]))
open("/proc/self/clear_refs", "w").write("5")  # the high-water mark starts again from here
before = memory("VmRSS")
pair = PromptPair(tuple(asked["clean"]), tuple(asked["corrupt"]))
metric = LogitDifference(asked["answer"], asked["wrong"])
found = patching_sweep(model, pair, metric, asked["kind"], by=asked["by"], skip=asked["skip"])
print(json.dumps({"before": before, "peak": memory("VmHWM"), "cells": found.raw.size}))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the high-water mark is read from /proc")
@pytest.mark.parametrize(
    ("family", "sweep", "tokens", "skip"),
    [
        ("gpt2", "resid_pre", 64, False),
        ("gpt2", "z", 64, False),
        ("gpt2", "z by position", 16, False),
        ("gpt2", "z by position", 64, True),
        ("llama", "resid_pre", 64, False),
    ],
)
def test_memory_over_the_model(folders, family, sweep, tokens, skip):
    kind, by, _ = ASKED[sweep]
    question = Question.of(tokens)
    asked = {
        "clean": question.clean, "corrupt": question.corrupt, "answer": question.answer,
        "wrong": question.wrong, "kind": kind, "by": by, "skip": skip,
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _STEPS, str(folders(family)), json.dumps(asked)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    found = json.loads(done.stdout.splitlines()[-1])
    more = (found["peak"] - found["before"]) / MB
    how = "skipping" if skip else "all cells"
    print(
        f"\nFIGURE memory over the model, {family} {sweep}, {tokens} tokens, {how}, "
        f"{found['cells']} cells: {more:.0f} MB ({found['before'] / MB:.0f} MB with the model "
        f"run once); wanted ≤ {MEMORY} MB"
    )
    assert more <= MEMORY
