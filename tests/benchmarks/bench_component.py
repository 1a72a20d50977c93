"""The whole circuit of one prompt: forward, backward and sweep, beside the plain forward pass.

A random model of GPT-2 small's shape at 64 and 128 tokens, and ``words-4l``. The goals are for
two threads; one thread's processor time is held to them, which a busy machine hardly changes.
Medians of five interleaved rounds.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import numpy as np
import pytest
import torch
import transformers

from microtome.circuits.component import component_graph
from microtome.models.loading import load_model
from microtome.prompts import PromptPair

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(600)]
ROUNDS = 5
SENTENCE = "When Mary and John went to the store, {} gave a drink to"


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Threads that wait for each other on a busy machine would count as work."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
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


def medians(works: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Seconds of each, taken in turns."""
    found: dict[str, list[float]] = {name: [] for name in works}
    for work in works.values():
        work()
    for _ in range(ROUNDS):
        for name, work in works.items():
            start = time.process_time()
            work()
            found[name].append(time.process_time() - start)
    return {name: median(times) for name, times in found.items()}


def report(title: str, found: dict[str, float]) -> None:
    figures = ", ".join(f"{name} {seconds * 1e3:.0f} ms" for name, seconds in found.items())
    print(f"{title}: {figures}")


@pytest.mark.parametrize(("tokens", "goal"), [(64, 1.0), (128, 2.0)])
def test_gpt2_small(gpt2_small, tokens, goal):
    ids = tuple(np.random.default_rng(0).integers(0, 50257, tokens).tolist())
    pair = PromptPair(ids, (*ids[:-6], 7, *ids[-5:]))
    batch = torch.tensor([ids])
    found = medians(
        {
            "forward": lambda: gpt2_small.forward(batch),
            "one prompt": lambda: component_graph(gpt2_small, ids),
            "a pair": lambda: component_graph(gpt2_small, pair),
        }
    )
    report(f"{tokens} tokens", found)
    assert found["one prompt"] <= 1.05 * goal


def test_words_4l():
    model = load_model("words-4l")
    clean = SENTENCE.format("John")
    pair = PromptPair(clean, SENTENCE.format("Mary"))
    batch = torch.from_numpy(model.tokenize(clean).ids)[None]
    found = medians(
        {
            "forward": lambda: model.forward(batch),
            "one prompt": lambda: component_graph(model, clean),
            "a pair": lambda: component_graph(model, pair),
        }
    )
    report("words-4l", found)
    assert found["one prompt"] <= 1.05 * 0.030
