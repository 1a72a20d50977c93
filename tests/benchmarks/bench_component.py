"""The whole circuit of one prompt: forward, backward and sweep, beside the plain forward pass.

A random model of GPT-2 small's shape at 64 and 128 tokens, and ``words-4l``. Two threads, by the
clock; processor time of all threads is told beside it. Medians of five interleaved rounds.
Figures to reach: 1 s at 64 tokens, 2 s at 128, 30 ms on ``words-4l``.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest
import torch
import transformers

from microtome.circuits.component import component_graph
from microtome.models.loading import load_model
from microtome.prompts import PromptPair

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(600)]
ROUNDS, THREADS = 5, 2
SENTENCE = "When Mary and John went to the store, {} gave a drink to"


@pytest.fixture(scope="module", autouse=True)
def two_threads():
    """What the goals are for."""
    before = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def gpt2_small(tmp_path_factory):
    """Matrices four times as large as at the start of training, so that attention chooses."""
    folder = tmp_path_factory.mktemp("gpt2-small")
    torch.manual_seed(0)
    module = transformers.GPT2LMHeadModel(transformers.GPT2Config())
    with torch.no_grad():
        for block in module.transformer.h:
            for weight in block.parameters():
                weight.mul_(4 if weight.dim() == 2 else 1)
    module.save_pretrained(folder)
    return load_model(folder)


def medians(
    measuring, title: str, goal: float, works: dict[str, Callable[[], object]]
) -> dict[str, float]:
    """Seconds of each by the clock, taken in turns."""
    clock: dict[str, list[float]] = {name: [] for name in works}
    busy: dict[str, list[float]] = {name: [] for name in works}
    for work in works.values():
        work()
    for _ in range(ROUNDS):
        for name, work in works.items():
            start, cpu = time.perf_counter(), time.process_time()
            work()
            clock[name].append(time.perf_counter() - start)
            busy[name].append(time.process_time() - cpu)
    found = {}
    for name in works:
        most = goal if name == "one prompt" else None
        line = f"circuit, {title}, {name}"
        found[name] = measuring.figure(f"{line}, by the clock", clock[name], "s", most=most)
        measuring.figure(f"{line}, processor time", busy[name], "s")
    return found


@pytest.mark.parametrize(("tokens", "goal"), [(64, 1.0), (128, 2.0)])
def test_gpt2_small(gpt2_small, measuring, tokens, goal):
    ids = tuple(np.random.default_rng(0).integers(0, 50257, tokens).tolist())
    pair = PromptPair(ids, (*ids[:-6], 7, *ids[-5:]))
    batch = torch.tensor([ids])
    found = medians(
        measuring,
        f"GPT-2 small, {tokens} tokens",
        goal,
        {
            "forward": lambda: gpt2_small.forward(batch),
            "one prompt": lambda: component_graph(gpt2_small, ids),
            "a pair": lambda: component_graph(gpt2_small, pair),
        },
    )
    assert found["one prompt"] <= 1.05 * goal


def test_words_4l(measuring):
    model = load_model("words-4l")
    clean = SENTENCE.format("John")
    pair = PromptPair(clean, SENTENCE.format("Mary"))
    batch = torch.from_numpy(model.tokenize(clean).ids)[None]
    found = medians(
        measuring,
        "words-4l",
        0.030,
        {
            "forward": lambda: model.forward(batch),
            "one prompt": lambda: component_graph(model, clean),
            "a pair": lambda: component_graph(model, pair),
        },
    )
    assert found["one prompt"] <= 1.05 * 0.030
