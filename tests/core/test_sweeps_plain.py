"""Every sweep is what patching one cell after another gives, written with plain hooks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from plain_sweeps import PlainGpt2

import microtome as mt
from microtome_resources import model_path

CLEAN = "When Mary and John went to the store , John gave a book to"
CORRUPT = "When Mary and John went to the park , Mary gave a book to"
OVER = (
    "When Anna and Paul went to the store , Paul gave a book to",
    "When John and Lucy went to the school , Lucy gave a ball to",
)
LENGTH = 15
STREAM = ("resid_pre", "resid_mid", "attn_out", "mlp_out", "resid_post")
HEADS = ("z", "q", "k", "v", "pattern")
WAYS = {
    **dict.fromkeys(STREAM, ("position", "range")),
    **dict.fromkeys(HEADS, ("head", "head position", "position", "range")),
    "mlp_post": ("neuron", "position", "range"),
}
KINDS = tuple(WAYS)
RANGES = ((0, 3), (2, 9), (8, 15), (9, 12))
CHECKED = 6  # cells of each sweep, drawn by a seed


@pytest.fixture(scope="module")
def words(embedded):
    return embedded("words-4l")


@pytest.fixture(scope="module")
def theirs():
    """The same weights in a model of transformers that Microtome never touched."""
    return PlainGpt2(model_path("words-4l"))


@pytest.fixture(scope="module")
def ids(words):
    return {text: words.tokenize(text).ids.tolist() for text in (CLEAN, CORRUPT, *OVER)}


@pytest.fixture(scope="module")
def read(words):
    """The metric of logits [position, vocabulary], without the engine's own."""
    mary, john = (words.answer_token(word) for word in ("Mary", "John"))
    return lambda logits: float(logits[-1, mary] - logits[-1, john])


def _options(kind, by):
    if by == "neuron":
        return {"layer": 2}
    return {"ranges": RANGES} if by == "range" else {}


def _cell(sweep, index):
    """What one entry of a sweep changes: layer, head, neuron, and positions."""
    at = dict(zip(sweep.axes, map(int, index), strict=True))
    span = (at["position"], at["position"] + 1) if "position" in at else (0, LENGTH)
    if "range" in at:
        span = RANGES[at["range"]]
    return (at.get("layer", 2), at.get("head"), at.get("neuron"), *span)


def _drawn(sweep):
    """Some cells, the one that does most among them."""
    draw = np.random.default_rng(len(sweep.kind) + sweep.raw.size)
    most = int(np.argmax(np.abs(sweep.raw - np.median(sweep.raw))))
    flat = {most, *draw.integers(sweep.raw.size, size=CHECKED).tolist()}
    return [np.unravel_index(at, sweep.raw.shape) for at in flat]


def _agrees(sweep, expected):
    """Whether drawn cells have the metric that ``expected(cell)`` gives, and it moves at all."""
    places = _drawn(sweep)
    found = [sweep.raw[at] for at in places]
    plainly = [expected(_cell(sweep, at)) for at in places]
    np.testing.assert_allclose(found, plainly, rtol=0, atol=1e-4, err_msg=sweep.kind)
    assert np.ptp(sweep.raw) > 0.02, sweep.kind


@pytest.mark.parametrize("kind", KINDS)
def test_denoising_and_noising(words, theirs, ids, read, kind):
    metric = mt.LogitDifference("Mary", "John")
    ends = {text: read(theirs.logits(ids[text])) for text in (CLEAN, CORRUPT)}
    for by in WAYS[kind]:
        for noising in (False, True):
            base, source = (CLEAN, CORRUPT) if noising else (CORRUPT, CLEAN)
            sweep = mt.patching_sweep(
                words, mt.PromptPair(CLEAN, CORRUPT), metric, kind, by=by, noising=noising,
                **_options(kind, by),
            )  # fmt: skip

            def expected(cell, base=base, source=source):
                new = theirs.values(kind, cell[0], ids[source])
                return read(theirs.patched(kind, cell, ids[base], new))

            _agrees(sweep, expected)
            assert sweep.path == "packed"
            assert sweep.mode == ("noising" if noising else "denoising")
            assert sweep.clean == pytest.approx(ends[CLEAN], abs=1e-4)
            assert sweep.corrupt == pytest.approx(ends[CORRUPT], abs=1e-4)
            share = (sweep.raw - ends[CORRUPT]) / (ends[CLEAN] - ends[CORRUPT])
            np.testing.assert_allclose(sweep.effects, share, atol=1e-4)


def _in_place_of(how, values, drawn):
    """What an ablation puts in, from the values [prompt, …] of other prompts."""
    if how == "zero":
        return torch.zeros(())
    if how == "resample":
        return values[drawn]
    mean = values.mean(0)
    return mean if how == "position mean" else mean.mean(0, keepdim=True)


@pytest.mark.parametrize("how", ["zero", "mean", "position mean", "resample"])
def test_ablation(words, theirs, ids, read, how):
    metric = mt.LogitDifference("Mary", "John")
    whole = read(theirs.logits(ids[CLEAN]))
    over = () if how == "zero" else OVER
    for kind, ways in WAYS.items():
        by = ways[-2]
        sweep = mt.ablation_sweep(
            words, CLEAN, metric, kind, by=by, how=how, over=over, seed=6, **_options(kind, by)
        )
        drawn = int(np.random.default_rng(6).integers(2))  # seed 0 draws the other

        def expected(cell, kind=kind, drawn=drawn):
            held = torch.stack([theirs.values(kind, cell[0], ids[text]) for text in OVER])
            if kind == "pattern" and how == "mean":  # entry by entry: rows do not add up otherwise
                return read(theirs.patched(kind, cell, ids[CLEAN], held.mean(0)))
            return read(theirs.patched(kind, cell, ids[CLEAN], _in_place_of(how, held, drawn)))

        _agrees(sweep, expected)
        assert (sweep.mode, sweep.normalised) == ("ablation", False)
        np.testing.assert_allclose(sweep.effects, sweep.raw - whole, atol=1e-4)


def test_causal_tracing(words, theirs, ids, read):
    """The noise is that of torch's own generator by the seed, on the word embeddings."""
    span, samples = (2, 5), 3
    table = theirs.module.transformer.wte.weight.detach()
    draw = torch.Generator().manual_seed(7)
    noises = []
    for _ in range(samples):
        noise = torch.zeros(LENGTH, table.shape[1])
        noise[slice(*span)] = 3.0 * table.std() * torch.randn(3, table.shape[1], generator=draw)
        noises.append(noise)
    clean = read(theirs.logits(ids[CLEAN]))
    disturbed = [read(theirs.logits(ids[CLEAN], noise)) for noise in noises]
    assert np.ptp(disturbed) > 0.1
    for kind in ("resid_post", "mlp_out", "z"):
        sweep = mt.causal_trace(
            words, CLEAN, mt.LogitDifference("Mary", "John"), span=span, kind=kind,
            samples=samples, seed=7,
        )  # fmt: skip

        def expected(cell, kind=kind):
            new = theirs.values(kind, cell[0], ids[CLEAN])
            return np.mean([read(theirs.patched(kind, cell, ids[CLEAN], new, n)) for n in noises])

        _agrees(sweep, expected)
        assert sweep.clean == pytest.approx(clean, abs=1e-4)
        assert sweep.corrupt == pytest.approx(np.mean(disturbed), abs=1e-4)
        assert sweep.band.shape == (2, *sweep.raw.shape)
        assert (sweep.band[0] <= sweep.band[1]).all()
