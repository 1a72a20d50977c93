"""The self-checks of models that see pass for every family, and each goes red under a break."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
import tiny_sight
import torch

from microtome.models.loading import load_model
from microtome.models.model import Model
from microtome.models.vision import sight as sight_module
from microtome.records.checks import Verdict
from microtome.selfcheck import editing, seeing, suite
from microtome.selfcheck.suite import OF_SIGHT, self_check

PIXELS = {check.number for check in OF_SIGHT}
NETS = ("resnet", "convnext")


@pytest.fixture(autouse=True)
def _few(monkeypatch):
    # The type checks of the tests make hooks a hundred times dearer.
    monkeypatch.setattr(editing, "_STOPS", 2)
    monkeypatch.setattr(editing, "_STOPPING_SECONDS", 0.0)
    monkeypatch.setattr(seeing, "_LAYERS", 3)


FAMILIES = ("resnet", "convnext", "vit", "deit", "dinov2", "clip")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_that_sees_passes(sees, name, dtype):
    report = self_check(sees(name, dtype))
    assert [result.number for result in report.results][-6:] == [18, 19, 20, 21, 22, 23]
    assert report.passed, [(each.number, each.reason) for each in report.failures]
    skipped = {each.number for each in report.results if each.verdict is Verdict.SKIPPED}
    if name in NETS:
        assert skipped == {each.number for each in report.results} - PIXELS | {23}
    else:
        assert skipped == ({2, 11} if name not in tiny_sight.WHOLE else {11})


def failed(model: Model, number: int) -> bool:
    """Whether one check fails by what it measures."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(suite, "CHECKS", ())
        patched.setattr(suite, "OF_SIGHT", [row for row in OF_SIGHT if row.number == number])
        (result,) = self_check(model).results
    assert result.measured is not None, result.reason
    return result.verdict is Verdict.FAIL


BREAKS = {
    "values put back beside where they were": (18, "__call__", lambda new, _old: new.roll(1, 1)),
    "a change that is not made": (18, "__call__", lambda _new, old: old),
    "a layer at zero that lets through": (22, "__call__", lambda new, old: new + 0.01 * old),
}


@pytest.mark.parametrize("name", BREAKS)
def test_a_change_that_is_made_wrongly_is_found(sees, monkeypatch, name):
    number, method, wrong = BREAKS[name]
    honest = sight_module._Put.__call__
    monkeypatch.setattr(
        sight_module._Put, method, lambda self, values: wrong(honest(self, values), values)
    )
    assert failed(sees("resnet"), number)


def test_a_hook_that_stays_is_found(sight_folder, monkeypatch):
    model = load_model(sight_folder("convnext"))
    other = load_model(sight_folder("vit"))
    monkeypatch.setattr(ExitStack, "callback", lambda *_: None)
    assert failed(model, 21)
    assert failed(other, 19)


def test_a_net_that_mixes_the_images_of_a_batch_is_found(sight_folder):
    model = load_model(sight_folder("resnet"))
    assert not failed(model, 20)
    model.module.train()
    assert failed(model, 20)


def test_patches_in_another_order_are_found(sight_folder):
    model = load_model(sight_folder("vit"))
    table = model.module.positions
    table.__dict__["_held"] = torch.roll(table.weight, 1, 0)
    assert failed(model, 23)
