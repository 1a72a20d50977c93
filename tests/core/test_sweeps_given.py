"""What a sweep refuses before it runs, and memory that does not grow with what is given."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import microtome as mt
from microtome.cli import main
from microtome.cli.given import size
from microtome.errors import EditError, InputError, MetricError, WrongKind
from microtome.interventions.sampling import Sampling
from microtome.interventions.sweeping import readout

CLEAN, CORRUPT = (3, 17, 4, 4, 60, 22, 9), (3, 17, 40, 4, 60, 2, 9)
PAIR, METRIC = mt.PromptPair(CLEAN, CORRUPT), mt.LogitDifference(5, 44)

REFUSED = {
    "no prompt": (InputError, "no prompt", lambda m: mt.ablation_sweep(m, [], METRIC)),
    "nothing to count": (InputError, "nothing", lambda m: mt.estimate_sweep(m, [], METRIC)),
    "no metric to count": (
        MetricError, "0 metrics", lambda m: mt.estimate_sweep(m, [PAIR], [], "z")
    ),
    "a range of three": (
        InputError, r"range of positions is \(0, 3, 4\)",
        lambda m: mt.patching_sweep(m, PAIR, METRIC, by="range", ranges=[(0, 3, 4)]),
    ),
    "a budget in words": (
        WrongKind, "budget", lambda m: mt.patching_sweep(m, PAIR, METRIC, budget="all")
    ),
    "a seed below 0": (
        InputError, "seed is -1", lambda m: mt.patching_sweep(m, [PAIR, PAIR], METRIC, seed=-1)
    ),
    "a seed of a resampling": (
        EditError, "seed is -1", lambda m: mt.Ablate("z", "resample", [CLEAN], seed=-1)
    ),
    "a seed of sampling": (InputError, "seed is -1", lambda m: Sampling(1.0, seed=-1)),
    "a loss over prompts of two lengths": (
        MetricError, "clean one has 7 and the corrupt one 4",
        lambda m: mt.patching_sweep(m, mt.PromptPair(CLEAN, CLEAN[:4]), mt.Loss(), align=True),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused(tiny_model, name):
    error, says, ask = REFUSED[name]
    with pytest.raises(error, match=says):
        ask(tiny_model("gpt2"))


def test_logits_are_made_within_the_budget(tiny_model, monkeypatch):
    model, made = tiny_model("gpt2"), []
    whole = mt.patching_sweep(model, PAIR, mt.Loss(), "z")
    measured = readout.measured

    def noted(metric, logits):
        made.append(logits.numel())
        return measured(metric, logits)

    monkeypatch.setattr(readout, "measured", noted)
    budget = 80_000
    small = mt.patching_sweep(model, PAIR, mt.Loss(), "z", budget=budget)
    np.testing.assert_allclose(small.raw, whole.raw, atol=2e-5)
    assert max(made) * 4 * 3 <= budget // 4
    assert len(made) > 3


def test_causal_tracing_from_the_command_line_hears_all_options(capsys):
    shared = ["patch", "--model", "words-4l", "--prompt", "When Mary and John went to the store ,"]
    assert main([*shared, "--trace-span", "1-1", "--samples", "2", "--layer", "1"]) == 0
    assert "10 cells of resid_post" in capsys.readouterr().out
    assert main(["patch", "--model", "words-4l", "--set", "pronoun", "--limit", "0"]) != 0
    assert "--limit is 0" in capsys.readouterr().err
    assert main(["patch", "--model", "words-4l", "--set", "pronoun", "--trace-span", "1"]) != 0
    assert "takes one prompt" in capsys.readouterr().err


def test_means_keep_one_prompt_at_a_time(tiny_model):
    """Over many prompts a sweep's mean is the edit's own."""
    model = tiny_model("gpt2")
    over = np.random.default_rng(2).integers(61, size=(5, 7)).tolist()
    over = [tuple(ids) for ids in over]
    for how in ("mean", "position mean"):
        sweep = mt.ablation_sweep(model, CLEAN, METRIC, "z", how=how, over=over)
        edit = mt.Ablate("z.1.2", how, over)
        logits = torch.as_tensor(np.array(mt.trace(model, CLEAN, edits=[edit]).logits[-1]))
        assert sweep.raw[1, 2] == pytest.approx(float(logits[5] - logits[44]), abs=1e-4)


def test_a_budget_is_typed_with_a_unit_and_refused_when_it_is_too_small(capsys):
    assert [size(text) for text in ("96", "0.5", "500 kB", "1.5GB", "64MiB")] == [
        96_000_000, 500_000, 500_000, 1_500_000_000, 64 << 20,
    ]  # fmt: skip
    shared = ["patch", "--model", "words-4l", "--set", "pronoun", "--limit", "1", "--budget"]
    for budget, says in (("10kB", "budget is 10.0 kB. Give "), ("half", "'half' is no size"),
                         ("-3", "no size"), ("nan", "no size")):  # fmt: skip
        assert main([*shared[:-1], f"--budget={budget}"]) != 0
        assert says in capsys.readouterr().err


def test_an_estimate_says_the_path_that_the_sweep_takes(tiny_folder):
    """Also before the model was swept: its soft cap is no longer what its anatomy says."""
    model = mt.load_model(tiny_folder("gemma2"))
    assert model.anatomy.soft_cap
    model.module.config.final_logit_softcapping = 0.1
    said = mt.estimate_sweep(model, PAIR, METRIC, "z").path
    assert said == mt.patching_sweep(model, PAIR, METRIC, "z").path == "blocks"
