"""Sweeps over sets of pairs, prompts of other lengths, and which cells need no computing."""

from __future__ import annotations

import numpy as np
import pytest

import microtome as mt
from microtome.errors import EditError, InputError, MetricError, PromptError

CLEAN, CORRUPT = (3, 17, 4, 4, 60, 22, 9), (3, 17, 40, 4, 60, 2, 9)
PAIRS = (
    mt.PromptPair(CLEAN, CORRUPT),
    mt.PromptPair((5, 6, 7, 8, 9, 10, 11), (5, 6, 7, 38, 9, 10, 11)),
    mt.PromptPair((1, 2, 1, 2, 1, 2, 1), (1, 2, 9, 2, 1, 2, 50)),
)
METRICS = [mt.LogitDifference(5, 44), mt.LogitDifference(8, 2), mt.LogitDifference(30, 7)]
PATHS = ("packed", "blocks", "hooks")


@pytest.mark.parametrize(
    ("variant", "path"),
    [("gpt2", "packed"), ("mistral", "packed"), ("bert", "packed"), ("mistral", "blocks"),
     ("bert", "hooks")],
)  # fmt: skip
def test_skipping_changes_no_number(tiny_model, variant, path):
    model = tiny_model(variant)
    for at, corrupt in {
        "first": (9, *CLEAN[1:]), "last": (*CLEAN[:-1], 8), "both": CORRUPT, "none": CLEAN,
    }.items():  # fmt: skip
        for kind in ("resid_pre", "k", "resid_post"):
            pair = mt.PromptPair(CLEAN, corrupt)
            both = [
                mt.patching_sweep(
                    model, pair, METRICS[0], kind, by="position", skip=skip, path=path
                )
                for skip in (True, False)
            ]
            np.testing.assert_allclose(both[0].raw, both[1].raw, rtol=0, atol=2e-5, err_msg=at)
            assert both[0].skipped >= both[1].skipped
            changes = np.abs(both[1].raw - both[1].corrupt) > 1e-5
            assert both[0].skipped <= (~changes).sum() + changes.size - changes.sum()
            if kind == "resid_pre" and variant != "bert":
                # Before the first difference, and in layer 0 between differences.
                differs = np.array(CLEAN) != np.array(corrupt)
                first = int(differs.argmax()) if differs.any() else len(CLEAN)
                left_out = np.arange(len(CLEAN))[None] < np.full((3, 1), first)
                left_out[0] |= ~differs
                assert not changes[left_out].any()
                assert both[0].skipped == left_out.sum()


def test_equal_prompts_have_no_scale(tiny_model):
    for path in PATHS:
        sweep = mt.patching_sweep(tiny_model("gpt2"), mt.PromptPair(CLEAN, CLEAN), path=path)
        assert not sweep.normalised
        assert sweep.skipped == sweep.raw.size
        assert (sweep.raw == sweep.clean).all()
        assert not sweep.effects.any()
        assert "differ by less than" in sweep.notes[0]


@pytest.mark.parametrize("path", PATHS)
def test_a_single_token(tiny_model, path):
    model = tiny_model("llama")
    for kind in ("resid_pre", "z", "k", "pattern", "mlp_out"):
        sweep = mt.patching_sweep(
            model, mt.PromptPair((3,), (9,)), METRICS[0], kind, by="position", path=path
        )
        assert sweep.raw.shape == (3, 1)
        # All that there is comes through the stream; a pattern of one key is always 1.
        expected = sweep.corrupt if kind in ("pattern", "k") else sweep.clean
        if kind in ("resid_pre", "pattern", "k"):
            np.testing.assert_allclose(sweep.raw, expected, atol=2e-5)
    for noisy in (True, False):
        whole = mt.ablation_sweep(model, (3,), METRICS[0], "mlp_out", by="position", skip=noisy)
        assert np.ptp(whole.raw) > 0.01


@pytest.mark.parametrize("path", PATHS)
def test_a_metric_in_the_middle_ignores_what_comes_later(tiny_model, path):
    model = tiny_model("gpt2")
    metric = mt.LogitDifference(5, 44, position=3)
    whole = mt.patching_sweep(model, PAIRS[0], metric, "resid_pre", path=path)
    short = mt.PromptPair(CLEAN[:4], CORRUPT[:4])
    cut = mt.patching_sweep(model, short, mt.LogitDifference(5, 44), "resid_pre", path=path)
    np.testing.assert_allclose(whole.raw[:, :4], cut.raw, atol=2e-5)
    assert (whole.raw[:, 4:] == whole.corrupt).all()
    over = [PAIRS[1].clean, PAIRS[2].clean]
    for kind, how in (("pattern", "mean"), ("z", "position mean"), ("pattern", "resample")):
        found, hooks = (
            mt.ablation_sweep(model, CLEAN, metric, kind, how=how, over=over, path=one)
            for one in (path, "hooks")
        )
        np.testing.assert_allclose(found.raw, hooks.raw, atol=2e-5)
        with pytest.raises(EditError, match=r"needs prompts of 7 tokens, but .* has 8"):
            mt.ablation_sweep(
                model, CLEAN, metric, kind, how=how, over=[tuple(range(8))], path=path
            )


@pytest.mark.parametrize("path", PATHS)
def test_a_set_is_the_ratio_of_means(tiny_model, path):
    model = tiny_model("gpt_neox")
    single = [
        mt.patching_sweep(model, pair, metric, "z", path=path)
        for pair, metric in zip(PAIRS, METRICS, strict=True)
    ]
    sweep = mt.patching_sweep(model, PAIRS, METRICS, "z", path=path, seed=4)
    raw = np.mean([each.raw for each in single], 0)
    clean, corrupt = (
        np.mean([getattr(each, end) for each in single]) for end in ("clean", "corrupt")
    )
    np.testing.assert_allclose(sweep.raw, raw, atol=2e-5)
    np.testing.assert_allclose(sweep.effects, (raw - corrupt) / (clean - corrupt), atol=1e-4)
    again = mt.patching_sweep(model, PAIRS, METRICS, "z", path=path, seed=4)
    np.testing.assert_array_equal(sweep.band, again.band)
    # The bootstrap written out: means over pairs drawn with replacement.
    draw = np.random.default_rng(9).integers(3, size=(4000, 3))
    values = np.array([each.raw for each in single])
    low, high = (np.array([getattr(each, end) for each in single]) for end in ("corrupt", "clean"))
    means = [a[draw].mean(1) for a in (values, low, high)]
    shares = (means[0] - means[1][:, None, None]) / (means[2] - means[1])[:, None, None]
    ends = np.percentile(shares, [2.5, 97.5], axis=0)
    np.testing.assert_allclose(sweep.band, ends, atol=0.05 * np.ptp(ends))
    assert all(each.band is None for each in single)


@pytest.mark.parametrize("path", PATHS)
def test_prompts_of_other_lengths_go_by_head_alone(tiny_model, path):
    model = tiny_model("qwen3")
    pairs = [PAIRS[0], mt.PromptPair(CLEAN[:5], CORRUPT[:5])]
    sweep = mt.patching_sweep(model, pairs, METRICS[0], "v", path=path)
    single = [mt.patching_sweep(model, pair, METRICS[0], "v", path=path) for pair in pairs]
    np.testing.assert_allclose(sweep.raw, np.mean([one.raw for one in single], 0), atol=2e-5)
    for kind, by in (("resid_pre", None), ("v", "head position"), ("mlp_post", "position")):
        with pytest.raises(PromptError, match=r"\(5 to 7\).*Sweep by head"):
            mt.patching_sweep(model, pairs, METRICS[0], kind, by=by, path=path)
    with pytest.raises(MetricError, match="2 metrics were given for 3"):
        mt.patching_sweep(model, PAIRS, METRICS[:2])
    with pytest.raises(InputError, match="no pair"):
        mt.patching_sweep(model, [])


@pytest.mark.parametrize("path", PATHS)
def test_cells_of_a_set_count_and_means_have_a_row_at_every_position(tiny_model, path):
    model = tiny_model("gpt2")
    pairs = [PAIRS[0], PAIRS[1]]  # differ first at positions 2 and 3
    budget = {"packed": 70_000}.get(path, 1 << 24)
    given = {"by": "position", "path": path, "budget": budget}
    whole = mt.patching_sweep(model, pairs, METRICS[0], "resid_pre", **given)
    single = [mt.patching_sweep(model, pair, METRICS[0], "resid_pre", **given) for pair in pairs]
    assert whole.skipped == sum(each.skipped for each in single) > single[0].skipped
    over = [PAIRS[1].clean, PAIRS[2].clean[:4]]
    mean = mt.ablation_sweep(model, CLEAN, METRICS[0], "mlp_out", how="mean", over=over, **given)
    edit = mt.Ablate("mlp_out.1", "mean", over=over, positions=[5])
    logits = mt.trace(model, CLEAN, sites=[], edits=[edit]).logits[-1]
    assert mean.raw[1, 5] == pytest.approx(float(logits[5] - logits[44]), abs=1e-4)


LONG = (3, 17, 4, 33, 34, 60, 22, 9)  # beside CLEAN: 3 17 4 4 60 22 9


@pytest.mark.parametrize("variant", ["gpt2", "mistral"])
def test_aligned_prompts(tiny_model, variant):
    """Behind 3 17 4 a token stands for two, which have no partner."""
    model = tiny_model(variant)
    pair = mt.PromptPair(CLEAN, LONG)
    with pytest.raises(PromptError, match=r"7 tokens and the corrupt prompt 8.*align=True"):
        mt.patching_sweep(model, pair, METRICS[0])
    places = np.array([0, 1, 2, -1, -1, 4, 5, 6])
    for metric in (METRICS[0], mt.LogitDifference(5, 44, position=5)):
        place = metric.position
        for kind, by in (("resid_pre", "position"), ("z", "head"), ("k", "position")):
            sweeps = [
                mt.patching_sweep(model, pair, metric, kind, by=by, align=True, path=path)
                for path in PATHS
            ]
            for sweep in sweeps:
                np.testing.assert_allclose(sweep.raw, sweeps[2].raw, atol=2e-5, err_msg=sweep.path)
                if by == "position":
                    assert (np.isnan(sweep.raw) == (places < 0)[None]).all()
                    assert sweep.complete
            assert np.nanmax(np.abs(sweeps[0].raw - sweeps[0].corrupt)) > 0.01
            value = mt.trace(model, CLEAN, sites=[kind]).activation(f"{kind}.1")
            rows = [5] if by == "position" else np.flatnonzero(places >= 0).tolist()
            own = value[places[rows]] if by == "position" else value[places[rows]][:, 2]
            site = f"{kind}.1" if by == "position" else f"{kind}.1.2"
            run = mt.trace(model, LONG, edits=[mt.Patch(site, own, rows)]).logits[place]
            found = sweeps[0].raw[1, 5 if by == "position" else 2]
            assert found == pytest.approx(float(run[5] - run[44]), abs=1e-4)
    with pytest.raises(InputError, match=r"pattern.*same number of tokens"):
        mt.patching_sweep(model, pair, METRICS[0], "pattern", align=True)


@pytest.mark.parametrize("path", PATHS)
def test_a_set_of_aligned_pairs_is_over_those_that_have_a_partner(tiny_model, path):
    """Position 4 has a partner in the second pair alone, position 3 in none."""
    model = tiny_model("gpt2")
    pairs = [
        mt.PromptPair(CLEAN, LONG),
        mt.PromptPair((3, 17, 4, 34, 60, 22, 9), (3, 17, 4, 50, 34, 60, 22, 9)),
    ]
    given = {"by": "position", "align": True, "path": path}
    single = [mt.patching_sweep(model, pair, METRICS[0], **given) for pair in pairs]
    sweep = mt.patching_sweep(model, pairs, METRICS[0], **given)
    raw = np.array([each.raw for each in single])
    clean, corrupt = (np.array([getattr(s, end) for s in single]) for end in ("clean", "corrupt"))
    there = np.isfinite(raw)
    assert (np.isfinite(sweep.raw) == there.any(0)).all()
    assert not np.isfinite(sweep.effects[:, 3]).any()
    np.testing.assert_allclose(sweep.raw[:, 4], raw[1, :, 4], atol=2e-5)
    both = [0, 1, 2, 5, 6, 7]
    np.testing.assert_allclose(sweep.raw[:, both], raw[:, :, both].mean(0), atol=2e-5)
    change = np.where(there, raw - corrupt[:, None, None], 0).sum(0)
    by = (there * (clean - corrupt)[:, None, None]).sum(0)
    np.testing.assert_allclose(sweep.effects[by != 0], change[by != 0] / by[by != 0], atol=1e-3)
    assert np.isfinite(sweep.band[:, :, both]).all()
    (note,) = sweep.notes
    assert note.startswith("3 cells have a partner in some of the 2 pairs only")
