"""The self-check of storing goes red when a file does not give back what was put into it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from microtome.errors import StorageError
from microtome.records.checks import CheckResult, Verdict
from microtome.selfcheck import storing, suite
from microtome.selfcheck.suite import CHECKS, self_check
from microtome.session import trace_parts
from microtome.session.reader import SessionFile


def outcome(model, number: int) -> CheckResult:
    """The result of one check by itself."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(suite, "CHECKS", [row for row in CHECKS if row.number == number])
        (found,) = self_check(model).results
    return found


@pytest.mark.parametrize("name", ["gpt2", "t5", "bert"])
def test_what_is_stored_comes_back(tiny_model, name):
    found = outcome(tiny_model(name), 16)
    assert found.verdict is Verdict.PASS, found.reason
    assert found.measured == 0


class OneChanged(trace_parts.Stacked):
    """Runs on top of one another, of which one value is written one step too large."""

    def __getitem__(self, index):
        values = np.array(super().__getitem__(index))
        values.flat[-1] = np.nextafter(values.flat[-1], np.inf, dtype=values.dtype)
        return values


def test_a_writer_that_changes_one_value_is_found(tiny_model, monkeypatch):
    monkeypatch.setattr(trace_parts, "Stacked", OneChanged)
    found = outcome(tiny_model("gpt2"), 16)
    assert found.verdict is Verdict.FAIL
    assert found.measured == 1  # byte
    assert "differ" in found.reason


def test_a_reader_that_reads_another_layer_is_found(tiny_model, monkeypatch):
    class Shifted(SessionFile):
        def __init__(self, path):
            super().__init__(path)
            (run,) = self.session.traces
            held = dict(run.activations)
            values = np.roll(held["resid_post"].values[...], 1, axis=0)
            held["resid_post"] = replace(held["resid_post"], values=values)
            self.session = replace(self.session, traces=(replace(run, activations=held),))

    monkeypatch.setattr(storing, "SessionFile", Shifted)
    found = outcome(tiny_model("gpt2"), 16)
    assert found.verdict is Verdict.FAIL
    assert "bytes of resid_post" in found.reason


def test_a_disk_that_takes_no_file_is_no_failure_of_the_model(tiny_model, monkeypatch):
    def full(*_given, **_options):
        raise StorageError("No space is left.")

    monkeypatch.setattr(storing, "save_session", full)
    found = outcome(tiny_model("gpt2"), 16)
    assert found.verdict is Verdict.SKIPPED
    assert "No space is left." in found.reason
