"""What can go: shared layers run once, beside whole runs of every choice of parts.

Both are timed turn by turn in one process, one thread, processor time, on ten cases of each task of
``words-4l``; the other side keeps no streams, so that every choice is run from its tokens on.
"""

from __future__ import annotations

import time

import pytest
import torch

import microtome as mt
from microtome.models.loading import load_model
from microtome.prompt_sets import prompt_set_names
from microtome.records.redundancy import redundancy_of
from microtome.suites import masked
from microtome.suites.estimates import estimate_redundancy

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(3600)]
ROUNDS, CASES = 3, 10


def _timed(model, suite):
    start = time.process_time()
    found = redundancy_of(mt.redundancy(model, suite))
    return found, time.process_time() - start


def test_shared_layers_beside_whole_runs(monkeypatch, measuring):
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    model = load_model("words-4l")
    suite = mt.load_suite(prompt_set_names("words-4l"), limit=CASES)
    room = masked._STREAMS
    mt.redundancy(model, mt.load_suite("name", limit=2))  # what a first search sets up
    shared, ratios = [], []
    for _ in range(ROUNDS):
        monkeypatch.setattr(masked, "_STREAMS", room)
        quick, taken = _timed(model, suite)
        monkeypatch.setattr(masked, "_STREAMS", 0)
        plain, whole = _timed(model, suite)
        assert quick.order == plain.order
        assert abs(quick.metric - plain.metric).max() < 1e-4
        assert (quick.rate == plain.rate).all()
        shared.append(taken)
        ratios.append(whole / taken)
    with monkeypatch.context() as clock:
        clock.setattr(time, "perf_counter", time.process_time)
        told = estimate_redundancy(model, suite).seconds
    torch.set_num_threads(before)
    print(f"\n{len(suite.cases)} cases, estimated {told:.2f} CPU s")
    measuring.figure("what can go, all tasks", shared, "CPU s")
    least = 1.1
    found = measuring.figure("the same with whole runs", ratios, "×", least=least)
    assert found >= least / measuring.NEAR
