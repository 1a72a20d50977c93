"""Harvesting activations to the disk, beside plain forward passes over the same tokens.

Process seconds of one thread, five interleaved rounds in one process; the files' bytes are written
to a temporary folder within the time. Plain passes give all logits, as transformers does.
Figure to reach: 80 % of the speed of the plain passes.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

import microtome as mt
from microtome.corpora.blocks import tokenise
from microtome.models.loading import load_model

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(900)]
ROUNDS, WANTED = 5, 0.8


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Threads that wait for each other on a busy machine would count as work."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class _Lexicon:
    """Stands for the tokenizer that a model with random weights lacks: bytes are ids."""

    special_tokens = ()

    def documents(self, texts: list[str]) -> list[list[int]]:
        return [list(text.encode()) for text in texts]


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gpt2-small")
    torch.manual_seed(0)
    transformers.GPT2LMHeadModel(transformers.GPT2Config()).save_pretrained(folder)
    model = load_model(folder)
    model.lexicon = _Lexicon()
    return model


def seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


@pytest.mark.parametrize(
    ("name", "sites", "context", "lines"),
    [
        ("words-4l", ["resid_post.2"], None, 1_500),
        ("words-4l", ["mlp_in", "mlp_out"], None, 1_500),
        ("gpt2", ["resid_post.6"], 128, 12),
        ("gpt2", ["resid_post.11"], 128, 12),
        ("gpt2", ["mlp_in", "mlp_out"], 128, 12),
    ],
)
def test_harvesting_is_as_fast_as_running(name, sites, context, lines, tmp_path, request):
    model = request.getfixturevalue("gpt2") if name == "gpt2" else load_model(name)
    words = np.random.default_rng(0).choice(["Mary", "John", "went", "the", "store"], (lines, 20))
    path = tmp_path / "text.txt"
    path.write_text("\n".join(" ".join(row) for row in words))
    corpus = mt.read_corpus(path)
    long = context or model.identity.context
    rows = torch.from_numpy(np.array(tokenise(model, corpus, tmp_path / "t", context=long)))
    target = tmp_path / "harvest"

    def plain() -> None:
        size = max(1, 2_048 // long)
        for start in range(0, len(rows), size):
            model.forward(rows[start : start + size])

    def harvested() -> None:
        shutil.rmtree(target, ignore_errors=True)
        mt.harvest(model, corpus, sites, target, context=long, special=True)

    plain(), harvested()
    both = np.array([(seconds(plain), seconds(harvested)) for _ in range(ROUNDS)])
    speed = both[:, 0] / both[:, 1]
    size = sum(each.stat().st_size for each in Path(target).iterdir())
    print(
        f"\n{name} {sites}: {rows.numel():,} tokens, {size / 1e6:.0f} MB; plain "
        f"{np.median(both[:, 0]):.2f} s, harvest {np.median(both[:, 1]):.2f} s: "
        f"{np.median(speed):.2f} of the speed ({speed.min():.2f}-{speed.max():.2f})"
    )
    assert np.median(speed) >= WANTED * 0.95
