"""What a sweep hands out on the way, leaves behind, takes of memory, and keeps in a file."""

from __future__ import annotations

from dataclasses import replace
from types import CodeType, FunctionType

import numpy as np
import pytest
import torch

import microtome as mt
from microtome.errors import Cancelled, InputError, MemoryExceeded
from microtome.interventions.sweeping.naming import metric_told
from microtome.jobs import Job
from microtome.records.sweep import sweep_analysis, sweep_of

CLEAN = (3, 17, 4, 4, 60, 22, 9, 31, 8, 3, 17)
PAIR = mt.PromptPair(CLEAN, (3, 17, 40, 4, 60, 22, 2, 31, 8, 33, 17))
OTHER = mt.PromptPair((5, *CLEAN[1:]), (6, *CLEAN[1:]))
METRIC = mt.LogitDifference(5, 44)
PATHS = ("packed", "blocks", "hooks")
SMALL = {"packed": 120_000, "blocks": 250_000, "hooks": 250_000}


def _parts(run):
    """The partial sweeps of a run, and the sweep."""
    held = []
    job = Job(on_partial=lambda name, value: held.append((name, value)))
    return held, run(job)


@pytest.mark.parametrize("path", PATHS)
def test_partial_results_are_the_final_ones(tiny_model, path):
    model = tiny_model("gpt2")
    for kind in ("resid_pre", "k"):
        held, sweep = _parts(
            lambda job, kind=kind: mt.patching_sweep(
                model, PAIR, METRIC, kind, by="position", path=path, budget=SMALL[path], job=job
            )
        )
        assert len(held) >= 3
        counts = []
        for name, part in held:
            assert name == "sweep"
            assert part.id == sweep.id
            assert not part.complete
            there = np.isfinite(part.raw)
            counts.append(there.sum())
            np.testing.assert_array_equal(part.raw[there], sweep.raw[there])
            np.testing.assert_array_equal(part.effects[there], sweep.effects[there])
            assert (part.clean, part.corrupt) == (sweep.clean, sweep.corrupt)
        assert counts == sorted(counts)
        assert counts[0] < counts[-1] == sweep.raw.size
        assert sweep.complete


@pytest.mark.parametrize("path", PATHS)
def test_partial_results_of_a_set_lose_no_cell(tiny_model, path):
    model = tiny_model("gpt2")
    held, sweep = _parts(
        lambda job: mt.patching_sweep(
            model, [PAIR, OTHER], METRIC, "z", path=path, budget=SMALL[path], job=job
        )
    )
    counts = [np.isfinite(part.raw).sum() for _, part in held]
    assert counts == sorted(counts)
    assert counts[0] < counts[-1] == sweep.raw.size
    first = mt.patching_sweep(model, PAIR, METRIC, "z", path=path)
    np.testing.assert_allclose(held[-1][1].raw, first.raw, atol=2e-5)
    assert np.abs(sweep.raw - first.raw).max() > 0.01


def _state(model):
    hooks = sum(
        len(each._forward_hooks) + len(each._forward_pre_hooks) for each in model.module.modules()
    )
    weights = {name: weight.clone() for name, weight in model.module.state_dict().items()}
    return hooks, [type(each) for each in model.module.modules()], weights


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("how", ["cancelled", "broken"])
def test_a_sweep_that_ends_early_leaves_the_model_as_it_was(tiny_model, path, how):
    model = tiny_model("bloom")
    before, logits = _state(model), mt.trace(model, CLEAN, sites=[]).logits
    whole = mt.patching_sweep(model, PAIR, METRIC, "resid_post", path=path)
    calls = []

    def breaks(values):
        calls.append(len(values))
        if len(calls) == 4:
            raise ZeroDivisionError
        return values.sum(-1)

    job = Job(on_partial=lambda _name, _value: job.cancel())
    metric = METRIC if how == "cancelled" else mt.CustomMetric(breaks)
    with pytest.raises(Cancelled if how == "cancelled" else ZeroDivisionError):
        mt.patching_sweep(
            model, PAIR, metric, "resid_post", path=path, budget=SMALL[path],
            job=job if how == "cancelled" else None,
        )  # fmt: skip
    after = _state(model)
    assert after[:2] == before[:2]
    assert all(torch.equal(weight, before[2][name]) for name, weight in after[2].items())
    np.testing.assert_array_equal(mt.trace(model, CLEAN, sites=[]).logits, logits)
    again = mt.patching_sweep(model, PAIR, METRIC, "resid_post", path=path)
    np.testing.assert_array_equal(again.raw, whole.raw)


@pytest.mark.parametrize("path", PATHS)
def test_memory_is_bounded_by_more_passes(tiny_model, path):
    model = tiny_model("gemma2")
    with pytest.raises(MemoryExceeded, match=r"One cell of 11 positions takes .*budget is"):
        mt.patching_sweep(model, PAIR, METRIC, path=path, budget=1000)
    for kind in ("resid_pre", "v", "pattern"):
        wide, narrow = (
            _parts(
                lambda job, kind=kind, budget=budget: mt.patching_sweep(
                    model, PAIR, METRIC, kind, path=path, budget=budget, job=job
                )
            )
            for budget in (1 << 28, SMALL[path])
        )
        np.testing.assert_allclose(narrow[1].raw, wide[1].raw, rtol=0, atol=2e-5)
        assert len(narrow[0]) >= len(wide[0])


def test_noise_disturbs_every_path_alike(tiny_model):
    model = tiny_model("gemma2")
    found = [
        mt.causal_trace(model, CLEAN, METRIC, span=(1, 4), noise=1.0, samples=2, path=path)
        for path in PATHS
    ]
    assert abs(found[0].clean - found[0].corrupt) > 0.01
    for sweep in found:
        np.testing.assert_allclose(sweep.raw, found[0].raw, rtol=0, atol=1e-4, err_msg=sweep.path)
        assert sweep.corrupt == pytest.approx(found[0].corrupt, abs=1e-4)
    routed = mt.causal_trace(tiny_model("mixtral"), CLEAN, METRIC, span=(1, 4), samples=2)
    assert routed.path == "blocks"
    assert abs(routed.clean - routed.corrupt) > 0.01


def test_a_sweep_comes_back_from_a_file(tiny_model, tmp_path):
    model = tiny_model("gpt2")
    sweep = mt.patching_sweep(
        model, [PAIR, OTHER], METRIC, "z", by="range", ranges=[(0, 3), (3, 7)], seed=2
    )
    session = mt.examine(model, mt.Question(CLEAN))
    analysis = sweep_analysis(sweep)
    session = replace(session, analyses={**session.analyses, analysis.id: analysis})
    kept = mt.open_session(mt.save_session(tmp_path / "sweep.h5", session)).analyses[sweep.id]
    assert (kept.id, kept.kind) == (sweep.id, "sweep")
    for found in (sweep_of(analysis), sweep_of(kept)):
        for name in ("raw", "effects", "band"):
            np.testing.assert_allclose(getattr(found, name), getattr(sweep, name), rtol=1e-6)
        for name in ("kind", "axes", "clean", "corrupt", "metric", "mode", "path", "normalised",
                     "skipped", "tokens", "source_tokens", "notes", "seconds", "id",
                     "complete"):  # fmt: skip
            assert getattr(found, name) == getattr(sweep, name), name
        assert dict(found.params) == dict(sweep.params)
    assert sweep.params["ranges"] == [[0, 3], [3, 7]]


def test_the_same_question_has_one_id(tiny_model):
    model = tiny_model("gpt2")

    def asked(pair=PAIR, metric=METRIC, kind="z", **options):
        return mt.patching_sweep(model, pair, metric, kind, **options).id

    first = asked()
    assert first.startswith("sweep-")
    for same in (
        {"by": "head"}, {"kind": "z", "layer": 1},
        {"path": "hooks"}, {"skip": False}, {"budget": 10**6},
    ):  # fmt: skip
        assert (asked(**same) == first) is ("layer" not in same)
    layered = asked(layer=1)
    assert asked(kind="z.1") == layered != first
    assert asked(kind="blocks.1.attn.hook_z") == layered
    with pytest.raises(InputError, match="no site to sweep over"):
        asked(kind="z.1", layer=2)
    with pytest.raises(InputError, match="no site to sweep over"):
        asked(kind="z.1.3")
    different = [
        first, layered, asked(noising=True), asked(by="position"), asked(kind="v"),
        asked(pair=OTHER), asked(metric=mt.LogitDifference(5, 43)), asked(metric=mt.Rank(5)),
        asked(metric=mt.LogitDifference(5, 44, position=8)),
        asked(metric=mt.CustomMetric(lambda x: x.sum(-1))),
        asked(metric=mt.CustomMetric(lambda x: x.max(-1).values)),
        mt.ablation_sweep(model, CLEAN, METRIC, "z").id,
        mt.ablation_sweep(model, CLEAN, METRIC, "z", how="mean", over=[CLEAN]).id,
    ]  # fmt: skip
    assert len(set(different)) == len(different)


class _Weighted:
    """A metric of a user's that is bound to an object."""

    def __init__(self, token):
        self.token = token

    def __repr__(self):
        return f"_Weighted({self.token})"

    def metric(self, logits):
        return logits[..., self.token]


def _nested():
    """A function whose inner code lies elsewhere each time, as in another run of the program."""
    code = (lambda x: sorted(x, key=lambda row: row[3])).__code__
    inner = [each.replace() if isinstance(each, CodeType) else each for each in code.co_consts]
    return FunctionType(code.replace(co_consts=tuple(inner)), globals())


def test_other_questions_have_other_ids(tiny_model):
    model = tiny_model("gpt2")

    def asked(function, **options):
        metric = mt.CustomMetric(function, **options)
        return metric_told(metric, model)

    by_default = [lambda x, token=token: x[..., token] for token in (3, 4)]
    bound = [_Weighted(token).metric for token in (3, 4)]
    told = [asked(function) for function in (*by_default, *bound, _nested())]
    told.append(asked(by_default[0], everywhere=True))
    assert len(set(told)) == len(told)
    assert asked(_nested()) == told[4]  # nothing of where in memory it lies

    ids = []
    for helper in (lambda x: x[..., 3], lambda x: x[..., 4], lambda x: x[..., 3]):
        module = {"__name__": "my_metrics", "helper": helper, "torch": torch, "SCALE": 2.0}
        helper.__module__ = "my_metrics"
        exec("def metric(x):\n    return SCALE * helper(x)", module)  # noqa: S102
        ids += [asked(module["metric"])]
        module["SCALE"] = 3.0
        ids += [asked(module["metric"])]
    assert ids[4:] == ids[:2]  # an edited helper or number of the module is another question
    assert len(set(ids)) == 4

    reads = tiny_model("t5_gated")
    ids = [
        mt.ablation_sweep(reads, (*text, -1, 5, 6), METRIC, "z").id
        for text in (CLEAN, PAIR.corrupt)
    ]
    assert ids[0] != ids[1]
