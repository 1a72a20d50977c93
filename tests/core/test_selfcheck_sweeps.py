"""The self-check of patching and sweeping goes red when the fast ways go astray."""

from __future__ import annotations

from dataclasses import replace

import pytest
from red_checks import noted

from microtome.interventions.sweeping import entries, stepping
from microtome.models.model import Model
from microtome.selfcheck import suite
from microtome.selfcheck.suite import CHECKS, self_check


def failed(model: Model) -> set[int]:
    """The checks that fail when only that of sweeps is made."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(suite, "CHECKS", [row for row in CHECKS if row.number == 15])
        report = self_check(model)
    noted(report.results)
    assert all(result.measured is not None for result in report.results)
    return {result.number for result in report.failures}


@pytest.mark.parametrize("name", ["gpt2", "mixtral", "bert"])
def test_a_model_as_it_is_passes(tiny_model, name):
    assert failed(tiny_model(name)) == set()


def test_a_sweep_that_enters_another_stream_is_found(tiny_model, monkeypatch):
    honest = entries.Entrances.enter

    def louder(entrances, changed):
        found = honest(entrances, changed)
        return replace(found, stream=1.01 * found.stream)

    monkeypatch.setattr(entries.Entrances, "enter", louder)
    assert failed(tiny_model("gpt2")) == {15}


def test_a_sweep_that_steps_into_the_wrong_block_is_found(tiny_model, monkeypatch):
    honest = stepping.Steps._note

    def late(steps, at, *given):
        honest(steps, at + 1, *given)  # the second block gets the first one's stream, and so on
        if at == 0:
            honest(steps, at, *given)

    monkeypatch.setattr(stepping.Steps, "_note", late)
    assert failed(tiny_model("mixtral")) == {15}
