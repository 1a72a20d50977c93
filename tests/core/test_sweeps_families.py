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


def _patched(model, sweep, index):
    """The metric of one run with one cell patched, which `trace` does for any model."""
    at = dict(zip(sweep.axes, map(int, index), strict=True))
    layer, head = at.get("layer", 1), at.get("head")
    span = (0, LENGTH)
    if "position" in at:
        span = (at["position"], at["position"] + 1)
    if "range" in at:
        span = WAYS[sweep.kind][1]["ranges"][at["range"]]
    rows = list(range(*span))
    value = mt.trace(model, CLEAN, sites=[sweep.kind]).activation(f"{sweep.kind}.{layer}")
    site = f"{sweep.kind}.{layer}"
    if "neuron" in at:
        own = mt.trace(model, CORRUPT, sites=[sweep.kind]).activation(site).copy()
        own[:, at["neuron"]] = value[:, at["neuron"]]
        value = own
    elif head is not None:
        value = value[head] if sweep.kind == "pattern" else value[:, head]
        site = f"{site}.{head}"
    run = mt.trace(model, CORRUPT, sites=[], edits=[mt.Patch(site, value, rows)])
    return float(run.logits[-1, 5] - run.logits[-1, 44])


def _agree_on(model, kinds, paths):
    for number, kind in enumerate(kinds):
        whole = _sweep(model, kind, "hooks")
        assert whole.path == "hooks"
        draw = np.random.default_rng(number)
        for flat in draw.integers(whole.raw.size, size=2):
            index = np.unravel_index(flat, whole.raw.shape)
            assert whole.raw[index] == pytest.approx(_patched(model, whole, index), abs=1e-4), kind
        moved = np.ptp(whole.raw)
        assert moved > 0.01, f"{kind} moves the metric by {moved}"
        for path in paths:
            found = _sweep(model, kind, path)
            assert found.path == path
            np.testing.assert_allclose(
                found.raw, whole.raw, rtol=0, atol=1e-4, err_msg=f"{kind} by {path}"
            )


def _kinds(model):
    return [kind for kind in WAYS if kind in model.ports]


def test_every_path_that_a_family_has_gives_the_same(tiny_model, family):
    model = tiny_model(family)
    kinds = _kinds(model)
    assert len(kinds) >= 9
    routed = family in tiny_models.ROUTED
    _agree_on(model, kinds, ["blocks"])
    for kind in kinds:
        if routed or (family in JOINT and kind in ("q", "k")):
            reason = "a router chooses" if routed else "one norm over all heads"
            with pytest.raises(InputError, match=f"cannot take the path 'packed': {reason}"):
                _sweep(model, kind, "packed")
            assert _sweep(model, kind).path == "blocks"
            continue
        found, expected = _sweep(model, kind), _sweep(model, kind, "hooks")
        assert found.path == "packed"
        np.testing.assert_allclose(found.raw, expected.raw, rtol=0, atol=1e-4, err_msg=kind)


@pytest.mark.parametrize("name", OTHERS)
def test_a_decoder_of_no_family_enters_its_own_blocks(tiny_model, name):
    model = tiny_model(name)
    kinds = _kinds(model)
    assert "resid_pre" in kinds
    _agree_on(model, kinds, ["blocks"])
    assert _sweep(model, "resid_pre").path == "blocks"
    with pytest.raises(InputError, match="'packed': not all that the logits are made of"):
        _sweep(model, "resid_pre", "packed")
