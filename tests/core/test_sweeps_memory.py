"""What a sweep takes of memory, counted by torch itself, never exceeds its budget."""

from __future__ import annotations

import numpy as np
import pytest
from tensor_memory import peak

import microtome as mt
from microtome.errors import MemoryExceeded

METRIC = mt.LogitDifference(5, 44)
LENGTH, WIDE = 40, {
    "gpt2": {"n_embd": 64, "n_positions": 64},
    "llama": {"hidden_size": 64, "max_position_embeddings": 64, "head_dim": 16},
}  # fmt: skip
ASKED = {
    "gpt2": ("k by head position", "pattern by head", "mlp_post by range", "resid_pre by position"),
    "llama": ("k by head position", "z by head"),
}
RUNS = [("gpt2", "packed", 1_600_000), ("llama", "packed", 1_600_000),
        ("gpt2", "blocks", 4_000_000), ("llama", "hooks", 2_000_000)]  # fmt: skip


def _ids(seed):
    return np.random.default_rng(seed).integers(2, 60, LENGTH).tolist()


CLEAN = tuple(_ids(0))
# They differ in the last token alone, so that a run has one row but looks at all keys.
LATE = mt.PromptPair(CLEAN, (*CLEAN[:-1], CLEAN[-1] + 1))
EARLY = mt.PromptPair(CLEAN, (CLEAN[0] + 1, *CLEAN[1:]))


def _sweeps(model, variant, path):
    """Sweeps of every sort by name, as functions of a budget."""
    over = [tuple(_ids(seed)) for seed in range(8)]
    pairs = [mt.PromptPair(tuple(_ids(at)), tuple(_ids(at + 9))) for at in range(6)]

    def sweep(pair, text, metric=METRIC):
        kind, by = text.split(" by ")
        given = {"ranges": [(at, LENGTH) for at in range(10)]} if by == "range" else {}

        def run(budget):
            mt.patching_sweep(model, pair, metric, kind, by=by, path=path, budget=budget, **given)

        return run

    def ablated(kind, how):
        return lambda budget: mt.ablation_sweep(
            model, CLEAN, METRIC, kind, how=how, over=over, path=path, budget=budget
        )

    yield "late", sweep(LATE, "k by head position")
    yield "set", sweep(pairs, "v by head")
    yield "loss", sweep(EARLY, "z by head", mt.Loss())
    yield "mean", ablated("mlp_post", "mean")
    yield "position mean", ablated("pattern", "position mean")
    for text in ASKED[variant]:
        yield text, sweep(EARLY, text)


@pytest.mark.parametrize(("variant", "path", "budget"), RUNS)
def test_no_sweep_takes_more_than_its_budget(tiny_model, variant, path, budget):
    model = tiny_model(variant, **WIDE[variant])
    mt.patching_sweep(model, EARLY, METRIC, "z", by="head", path=path)  # masks and angles
    shares = {}
    for name, sweep in _sweeps(model, variant, path):
        with pytest.raises(MemoryExceeded, match=r"One cell of \d+ positions takes"):
            sweep(1000)
        shares[name] = peak(lambda sweep=sweep: sweep(budget)) / budget
    assert not {name: share for name, share in shares.items() if share > 1}
    assert max(shares.values()) > 0.3  # or the budget would bound nothing here
