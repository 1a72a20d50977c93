"""Every family's sweeps agree on all paths, and with single patched runs."""

from __future__ import annotations

import numpy as np
import pytest
import tiny_models

import microtome as mt
from microtome.errors import InputError

# A window of five positions is shorter than the prompt, and than what a cell reaches.
CLEAN = (3, 17, 4, 4, 60, 22, 9, 31, 8, 3, 17)
CORRUPT = (3, 17, 40, 4, 60, 22, 2, 31, 8, 33, 17)
LENGTH = len(CLEAN)
PAIR = mt.PromptPair(CLEAN, CORRUPT)
METRIC = mt.LogitDifference(5, 44)
WAYS = {
    "resid_pre": ("position", {}),
    "resid_mid": ("position", {}),
    "attn_out": ("range", {"ranges": ((1, 4), (6, 11))}),
    "mlp_out": ("position", {}),
    "resid_post": ("position", {}),
    "z": ("head position", {}),
    "q": ("head position", {}),
    "k": ("head position", {}),
    "v": ("head", {}),
    "pattern": ("head", {}),
    "mlp_post": ("neuron", {"layer": 1}),
}
# With a norm over all heads together a query changes in all heads when one does.
JOINT = ("olmo2",)
OTHERS = ("cohere", "codegen", "starcoder2", "granite", "gpt_oss", "lfm2", "mamba", "nanochat")


def _sweep(model, kind, path=None, **options):
    by, more = WAYS[kind]
    return mt.patching_sweep(model, PAIR, METRIC, kind, by=by, path=path, **more, **options)


def _runs(model, kinds):
    """All values of the clean and of the corrupt run."""
    return [mt.trace(model, ids, sites=kinds, top_k=1) for ids in (CLEAN, CORRUPT)]


def _patched(model, runs, sweep, index):
    """The metric of one run with one cell patched, which `trace` does for any model."""
    at = dict(zip(sweep.axes, map(int, index), strict=True))
    layer, head = at.get("layer", 1), at.get("head")
    span = (at["position"], at["position"] + 1) if "position" in at else (0, LENGTH)
    if "range" in at:
        span = WAYS[sweep.kind][1]["ranges"][at["range"]]
    site = f"{sweep.kind}.{layer}"
    value, own = (run.activation(site) for run in runs)
    if "neuron" in at:
        value = np.where(np.arange(own.shape[1]) == at["neuron"], value, own)
    elif head is not None:
        value = value[head] if sweep.kind == "pattern" else value[:, head]
        site = f"{site}.{head}"
    edit = mt.Patch(site, value, list(range(*span)))
    run = mt.trace(model, CORRUPT, sites=[], edits=[edit], top_k=1)
    return float(run.logits[-1, 5] - run.logits[-1, 44])


def _agree(model, runs, kind, path, number):
    """A drawn cell and the one that does most are what single runs give."""
    sweep = _sweep(model, kind, path)
    assert path in (None, sweep.path)
    values = sweep.raw.ravel()
    most = int(np.argmax(np.abs(values - np.median(values))))
    for flat in {most, int(np.random.default_rng(number).integers(values.size))}:
        index = np.unravel_index(flat, sweep.raw.shape)
        expected = _patched(model, runs, sweep, index)
        assert sweep.raw[index] == pytest.approx(expected, abs=1e-4), (kind, path, index)
    moved = np.ptp(values)
    assert moved > 0.01, f"{kind} moves the metric by {moved}"
    return sweep


def _kinds(model):
    return [kind for kind in WAYS if kind in model.ports]


def test_every_path_that_a_family_has_gives_the_same(tiny_model, family):
    model = tiny_model(family)
    kinds = _kinds(model)
    assert len(kinds) >= 9
    runs = _runs(model, kinds)
    routed = family in tiny_models.ROUTED
    turn = tiny_models.FAMILIES.index(family)
    for number, kind in enumerate(kinds):
        by_modules = routed or (family in JOINT and kind in ("q", "k"))
        found = _agree(model, runs, kind, None, number)
        assert found.path == ("blocks" if by_modules else "packed")
        if by_modules:
            reason = "a router chooses" if routed else "one norm over all heads"
            with pytest.raises(InputError, match=f"cannot take the path 'packed': {reason}"):
                _sweep(model, kind, "packed")
        # Every kind takes the slower ways in some families, every family in some kinds.
        for path in ("blocks", "hooks")[: 1 if (number + turn) % 4 else 2]:
            if (number + turn) % 2 == 0:
                other = _sweep(model, kind, path)
                assert other.path == path
                np.testing.assert_allclose(
                    other.raw, found.raw, rtol=0, atol=1e-4, err_msg=f"{kind} by {path}"
                )


@pytest.mark.parametrize("name", OTHERS)
def test_a_decoder_of_no_family_enters_its_own_blocks(tiny_model, name):
    model = tiny_model(name)
    kinds = _kinds(model)
    assert "resid_pre" in kinds
    runs = _runs(model, kinds)
    for number, kind in enumerate(kinds):
        found = _agree(model, runs, kind, None, number)
        assert found.path == "blocks"
    hooks = _agree(model, runs, kinds[0], "hooks", 3)
    np.testing.assert_allclose(_sweep(model, kinds[0]).raw, hooks.raw, rtol=0, atol=1e-4)
    with pytest.raises(InputError, match="'packed': not all that the logits are made of"):
        _sweep(model, "resid_pre", "packed")


def test_a_decoder_beside_an_encoder_takes_whole_passes(tiny_model):
    model = tiny_model("t5_gated")
    clean, corrupt = ((*ids[:6], -1, *ids[6:]) for ids in (CLEAN, CORRUPT))
    pair = mt.PromptPair(clean, corrupt)
    for kind in ("resid_pre", "resid_mid_cross", "cross_z", "z"):
        sweep = mt.patching_sweep(model, pair, METRIC, kind, by="position")
        assert sweep.path == "hooks"
        assert sweep.raw.shape == (3, 6)
        value = mt.trace(model, clean, sites=[kind]).activation(f"{kind}.1")
        run = mt.trace(model, corrupt, edits=[mt.Patch(f"{kind}.1", value, [5])])
        expected = float(run.logits[-1, 5] - run.logits[-1, 44])
        assert sweep.raw[1, 5] == pytest.approx(expected, abs=1e-4)
        assert np.ptp(sweep.raw) > 0.01
    for path in ("packed", "blocks"):
        with pytest.raises(InputError, match=f"cannot take the path '{path}'"):
            mt.patching_sweep(model, pair, METRIC, path=path)
    for kind in ("enc_resid_pre", "enc_z", "cross_v"):
        with pytest.raises(InputError, match="counts positions of the encoder's text"):
            mt.patching_sweep(model, pair, METRIC, kind)
