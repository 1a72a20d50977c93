"""A cell whose metric is not a number: which one, and where it began; no hook is left."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import microtome as mt
from microtome.errors import EditError

CLEAN = (3, 17, 4, 4, 60, 22, 9)
PAIR = mt.PromptPair(CLEAN, (3, 17, 40, 4, 60, 22, 9))
METRIC = mt.LogitDifference(5, 44)
PATHS = ("packed", "blocks", "hooks")


@pytest.fixture(scope="module")
def broken(tiny_folder):
    """A model whose token 40 is too large for any norm."""
    model = mt.load_model(tiny_folder("gpt2"))
    with torch.no_grad():
        model.module.transformer.wte.weight[40] = 1e30
    return model


@pytest.mark.parametrize("path", PATHS)
def test_the_cell_and_the_place_are_named(broken, path):
    hooks = [len(each._forward_hooks) for each in broken.module.modules()]
    said = (
        r"resid_pre changed in layer 0, position 2, the metric is nan, not a number\. "
        r"NaN or infinity is first at norm1_scale\.0 in position 2"
    )
    with pytest.raises(EditError, match=said):
        mt.patching_sweep(broken, PAIR, METRIC, noising=True, layer=0, path=path)
    assert [len(each._forward_hooks) for each in broken.module.modules()] == hooks
    again = mt.patching_sweep(broken, mt.PromptPair(CLEAN, (5, *CLEAN[1:])), METRIC, path=path)
    assert np.isfinite(again.raw).all()


def test_a_metric_that_gives_nan_is_told_apart(tiny_model):
    metric = mt.CustomMetric(lambda logits: logits[..., 0] * float("nan"))
    with pytest.raises(EditError, match="is finite, so that the metric makes it"):
        mt.patching_sweep(tiny_model("gpt2"), PAIR, metric, "z")
