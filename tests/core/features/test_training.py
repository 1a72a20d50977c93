"""Training: what is found, what is kept, what stops it, and that it goes on where it stopped."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest
import torch

import microtome as mt
from microtome.errors import Cancelled, CorpusError, DictionaryError, InputError, StorageError
from microtome.features.training import checkpoints
from microtome.features.training.checkpoints import CHECKPOINT, read_checkpoint
from microtome.features.training.forms import Across, Own
from microtome.features.training.methods import METHODS
from microtome.features.training.offers import (
    ACROSS,
    LAYERS,
    OFFERED,
    ONE,
    RULES,
    TRANSCODER,
    expect_offered,
)
from microtome.features.training.plan import Plan
from microtome.features.training.rows import ArrayRows, Scale, digest
from microtome.features.training.saving import save_trained
from microtome.features.training.trainer import Places, Trainer
from microtome.features.transcoders import Transcoders
from microtome.jobs import Job
from microtome.records.dictionary import DictionaryIdentity
from microtome.records.training import TRAINING, TrainingCurve, curve_analysis, curve_of

D, FEATURES = 16, 24
SITE = "resid_post.0"


def planted(n: int = 6_000) -> tuple[np.ndarray, np.ndarray]:
    """Sparse sums of known directions around a large mean, and the directions."""
    random = np.random.default_rng(0)
    directions = random.normal(size=(FEATURES, D))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    codes = (random.random((n, FEATURES)) < 0.06) * random.uniform(1, 2, (n, FEATURES))
    return (codes @ directions * 4 + 20 * random.normal(size=D)).astype(np.float32), directions


X, DIRECTIONS = planted()
ROWS = ArrayRows({SITE: X})
SMALL = Plan(width=32, k=3, steps=48, batch=64, every=16, dead_after=2_000)


def trainer(plan: Plan = SMALL, folder: Path | None = None, job: Job | None = None) -> Trainer:
    identity = DictionaryIdentity("made", "", 0, 0, 0, SITE, SITE)
    places = Places((SITE,), (SITE,))
    return Trainer(ROWS, places, plan, Own(plan.width, D, D), [identity], job or Job(), folder)


def test_a_planted_dictionary_is_found() -> None:
    plan = Plan(width=32, k=3, steps=200, batch=128, rate=1e-2, dead_after=2_000)
    made, curve = trainer(plan).run()
    decoder = made.weights.w_dec.numpy()
    assert np.abs(np.linalg.norm(decoder, axis=1) - 1).max() < 1e-5
    assert (DIRECTIONS @ decoder.T).max(axis=1).mean() > 0.9
    assert curve.last["explained_variance"] > 0.8
    x = torch.from_numpy(X)
    missed = (made.reconstruct(x) - x).square().sum() / (x - x.mean(0)).square().sum()
    assert float(missed) == pytest.approx(1 - curve.last["explained_variance"], abs=0.02)


@pytest.mark.parametrize("rule", METHODS)
def test_what_is_saved_has_the_codes_of_the_training(rule: str) -> None:
    """Mean and scale are folded into the weights; a threshold stands for a choice of a batch."""
    work = trainer(Plan(rule=rule, width=32, k=3, steps=25, batch=64))
    made, _ = work.run()
    scale = work._scales[0][0]
    x = torch.from_numpy(X[:200])
    state, read = work._state, scale.normalised(x)
    assert float(read.square().mean()) == pytest.approx(1, rel=0.2)
    pre = state.form.read(state.weights, read)
    codes = made.encode(x) / scale.size
    if rule == "gated":
        held = state.weights
        wanted = (pre * held["r_mag"].exp() + held["b_mag"]).relu() * (pre + held["b_gate"] > 0)
    elif METHODS[rule].rule == "jumprelu":
        threshold = made.weights.threshold / scale.size
        assert float(threshold.min()) > 0
        wanted = pre * (pre > threshold)
    else:
        kept = pre >= pre.topk(3).values[:, -1:] if rule == "topk" else pre > 0
        wanted = pre.relu() * kept
    assert float((codes - wanted).abs().max()) < 1e-3
    assert float((wanted > 0).float().mean()) > 0.01
    assert made.rule is not None
    assert made.settings.centred


def test_a_training_that_was_stopped_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    whole, curve = trainer().run()
    seen: list[int] = []

    class Stops(Job):
        def progress(self, title, done, total, unit=""):
            seen.append(done)
            if done == 33 and seen.count(33) == 1:
                self.cancel()
            super().progress(title, done, total, unit)

    with pytest.raises(Cancelled):
        trainer(folder=tmp_path, job=Stops()).run()
    assert read_checkpoint(tmp_path).told["step"] == 33
    again, other = trainer(folder=tmp_path).run()
    for name, held in whole.weights.tensors().items():
        assert torch.equal(held, again.weights.tensors()[name]), name
    np.testing.assert_equal(other.points(), curve.points())
    assert curve.step.tolist() == [16, 32, 48]
    done, _ = trainer(folder=tmp_path).run()  # a finished one is read back
    assert torch.equal(done.weights.w_dec, whole.weights.w_dec)


def test_a_stop_in_the_middle_of_a_measurement_leaves_no_gap(tmp_path: Path) -> None:
    class Watched:
        def __init__(self, job: Job) -> None:
            self.job, self.at = job, 0

        def __call__(self, made: object) -> float:
            self.at += 1
            if self.at == 2:
                self.job.cancel()
            self.job.check()
            return 0.5

    def watched(folder: Path | None, watch: Watched) -> Trainer:
        work = trainer(folder=folder, job=watch.job)
        work.watch, work.watch_every = watch, 16
        return work

    with pytest.raises(Cancelled):
        watched(tmp_path, Watched(Job())).run()
    assert read_checkpoint(tmp_path).told["step"] == 32
    calm = Watched(Job())
    calm.at = 9
    _, curve = watched(tmp_path, calm).run()
    assert curve.step.tolist() == [16, 32, 48]
    _, plain = trainer().run()
    np.testing.assert_equal(curve.loss, plain.loss)
    assert curve.recovered.tolist() == [0.5, 0.5, 0.5]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("form", OFFERED)
def test_what_is_offered_can_be_saved_and_nothing_else(
    form: str, rule: str, tmp_path: Path
) -> None:
    plan = Plan(rule=rule, width=8, k=2, steps=2, batch=64)
    identities = [
        DictionaryIdentity("made", "", 0, 0, 0, SITE if form == ONE else f"mlp_in.{at}",
                           SITE if form == ONE else f"mlp_out.{at}") for at in (0, 1)
    ]  # fmt: skip
    rows = ArrayRows({str(name): X[:256] for one in identities for name in (one.reads, one.writes)})
    shape = Across(2, plan.width, D, D) if form == ACROSS else Own(plan.width, D, D, form != ONE)
    groups = [identities] if form == ACROSS else [[one] for one in identities]
    made = [
        Trainer(rows, Places(tuple(o.reads for o in each), tuple(o.writes for o in each)), plan,
                shape, each, Job()).run()[0]
        for each in groups
    ]  # fmt: skip
    whole = Transcoders(tuple(made)) if form == LAYERS else made[0]
    if rule in OFFERED[form]:
        expect_offered(form, rule)
        save_trained(whole, tmp_path / "made")
        again = mt.load_dictionary if form in {ONE, TRANSCODER} else mt.load_transcoders
        again(tmp_path / "made")
        return
    with pytest.raises(InputError, match=f"rule {rule} has no file format.*batchtopk"):
        expect_offered(form, rule)
    with pytest.raises(DictionaryError):
        save_trained(whole, tmp_path / "made")


def test_seeds_choose_the_start_and_the_order() -> None:
    first, same, other = (
        trainer(SMALL.but(seed=seed)).run()[0].weights.w_dec for seed in (0, 0, 1)
    )
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_a_pause_rests_and_changes_nothing() -> None:
    rested: list[bool] = []
    job = Job(on_rest=lambda rests: (rested.append(rests), rests and job.resume()))
    work = trainer(job=job)
    for step in work.steps():
        if step == 10:
            job.pause()
    assert rested == [True, False]
    assert torch.equal(work.finished().weights.w_dec, trainer().run()[0].weights.w_dec)


def test_curves_are_handed_out_as_they_grow() -> None:
    told: list[TrainingCurve] = []
    job = Job(on_partial=lambda name, value: told.append(value) if name == TRAINING else None)
    _, curve = trainer(job=job).run()
    assert len(told[0].step) == 1
    np.testing.assert_equal(told[-1].points(), curve.points())
    again = curve_of(curve_analysis(curve))
    np.testing.assert_equal(again.points(), curve.points())
    assert again.params["rule"] == "topk"


def test_features_that_are_dead_revive() -> None:
    def dead(auxiliary: float) -> float:
        work = trainer(SMALL.but(auxiliary=auxiliary, steps=100, rate=1e-2, dead_after=500))
        steps = work.steps()
        next(steps)
        work._state.weights["b_enc"][:16] = -8.0
        for _ in steps:
            pass
        return work.curve.last["dead"]

    # A third of the features is more than the data have.
    assert dead(0.0) >= 0.5
    assert dead(1 / 4) < 0.4


def test_a_training_that_diverges_stops_and_keeps_its_last_good_state(tmp_path: Path) -> None:
    work = trainer(SMALL.but(rate=1e-3), tmp_path)
    work.save_every = 0.0
    steps = work.steps()
    for step in steps:
        if step == 45:
            work._state.weights["w_enc"][3] = torch.inf
            break
    with pytest.raises(DictionaryError, match=r"diverged at step 46.*step 32 is kept.*rate"):
        list(steps)
    assert read_checkpoint(tmp_path).told["step"] == 32
    with pytest.raises(DictionaryError, match="diverged"):
        trainer(SMALL.but(rate=1e4, warm_up=0.0)).run()


def test_a_full_disk_leaves_the_checkpoint_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = trainer(folder=tmp_path)
    work.save_every = 0.0
    steps = work.steps()
    for step in steps:
        if step == 16:
            break

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(checkpoints, "save_file", full)
    with pytest.raises(StorageError, match="disk is full"):
        list(steps)
    assert [path.name for path in tmp_path.iterdir()] == [CHECKPOINT]
    assert read_checkpoint(tmp_path).told["step"] == 16


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"seed": 4}, "seed is 0, not 4"),
        ({"k": 2}, "k is 3, not 2"),
        ({"steps": 9}, r"of 5 steps, not 9.*falls to 0.*steps=5"),
    ],
)
def test_a_checkpoint_of_another_training_is_refused_by_name(
    tmp_path: Path, changes: dict, told: str
) -> None:
    trainer(SMALL.but(steps=5), tmp_path).run()
    with pytest.raises(DictionaryError, match=told):
        trainer(SMALL.but(**{"steps": 5, **changes}), tmp_path).run()


def test_rows_are_told_from_others_by_their_ends() -> None:
    kept = digest(ROWS, [SITE])
    assert digest(ArrayRows({SITE: X.copy()}), [SITE]) == kept
    for row in (0, -1):
        other = X.copy()
        other[row, 2] += 1
        assert digest(ArrayRows({SITE: other}), [SITE]) != kept


def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    (tmp_path / CHECKPOINT).write_bytes(b"\x80\x04pickled")
    with pytest.raises(DictionaryError, match="cannot be read"):
        trainer(folder=tmp_path).run()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"width": 0}, "width is 0"),
        ({"k": 2_000}, "only 1024 features"),
        ({"rate": 0}, "rate is 0"),
        ({"rate": float("nan")}, "rate is nan"),
        ({"warm_up": 2}, "from 0 to 1"),
        ({"groups": (4, 2)}, "rising"),
    ],
)
def test_plans_that_make_no_sense_are_refused(given: dict, told: str) -> None:
    values = {**Plan().told(), "groups": (), **given}
    with pytest.raises(InputError, match=told):
        Plan.of(values)


def test_rows_that_cannot_be_trained_on_are_refused() -> None:
    with pytest.raises(CorpusError, match="no rows"):
        ArrayRows({SITE: X[:0]})
    with pytest.raises(CorpusError, match="NaN"):
        Scale.of(ArrayRows({SITE: np.full((3, 2), np.nan, np.float32)}), SITE)
    with pytest.raises(CorpusError, match="the same"):
        Scale.of(ArrayRows({SITE: np.full((9, 2), 1e3, np.float32)}), SITE)
    with pytest.raises(InputError, match=r"too short: 10 of .* takes 64"):
        next(ArrayRows({SITE: X[:10]}).batches([SITE], 64))


def test_layers_of_a_cross_layer_transcoder_come_out_in_the_units_of_the_model() -> None:
    random = np.random.default_rng(0)
    reads = [f"mlp_in.{layer}" for layer in range(3)]
    writes = [f"mlp_out.{layer}" for layer in range(3)]
    held = {name: (random.normal(size=(600, 6)) * (at + 1) + 5).astype(np.float32)
            for at, name in enumerate((*reads, *writes))}  # fmt: skip
    identities = [
        DictionaryIdentity("", "", 0, 0, 0, *pair) for pair in zip(reads, writes, strict=True)
    ]
    plan = Plan("batchtopk", 12, 3, 40, 64, skip=True)
    work = Trainer(ArrayRows(held), Places(tuple(reads), tuple(writes)), plan,
                   Across(3, 12, 6, 6), identities, Job())  # fmt: skip
    made, curve = work.run()
    state, (scales_in, scales_out) = work._state, work._scales
    inputs = [torch.from_numpy(held[name][:50]) for name in reads]
    x = torch.stack([s.normalised(each) for s, each in zip(scales_in, inputs, strict=True)], 1)
    codes = state.form.read(state.weights, x)
    codes = codes * (codes > state.cut)
    written = state.form.decode(state.weights, codes, x)
    got = made.outputs(
        inputs, [one.encode(each) for one, each in zip(made.layers, inputs, strict=True)]
    )
    for layer, scale in enumerate(scales_out):
        wanted = written[:, layer] * scale.size + scale.mean
        assert float((got[layer] - wanted).abs().max()) < 1e-3
    assert curve.last["l0"] == pytest.approx(9)  # three of each layer
