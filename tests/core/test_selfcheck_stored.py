"""Self-checks go red when files, dictionaries or devices do not give back what they should."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from red_checks import noted

import microtome as mt
import microtome_resources as resources
from microtome.errors import DictionaryMismatch, StorageError
from microtome.features.dictionary import Dictionary
from microtome.jobs import Job
from microtome.records.checks import CheckReport, CheckResult, Verdict
from microtome.selfcheck import placing, storing, suite
from microtome.selfcheck.subject import Subject
from microtome.selfcheck.suite import CHECKS, check_dictionary, self_check
from microtome.session import trace_parts
from microtome.session.reader import SessionFile


def outcome(model, number: int, measure=None) -> CheckResult:
    """The result of one check by itself, or of another measurement in its place."""
    (row,) = (row for row in CHECKS if row.number == number)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(suite, "CHECKS", [replace(row, measure=measure or row.measure)])
        (found,) = noted(self_check(model).results)
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


# ---------------------------------------------------------------------- dictionaries

EXPLAINED = {"gpt2": 1e-6, "t5": 1e-6, "words-4l": np.nextafter(1.0, 0.0)}


@pytest.mark.parametrize("name", EXPLAINED)
def test_features_and_what_they_leave_are_the_activation(tiny_model, embedded, name):
    found = outcome(embedded(name) if name == "words-4l" else tiny_model(name), 14)
    assert found.verdict is Verdict.PASS, found.reason
    if name == "words-4l":  # a real dictionary leaves something
        assert 0.01 < found.measured < 0.9
        assert "share of the variance of resid_post" in found.reason


BROKEN = {
    "a decoder that forgets its bias": ("decode", lambda held, codes: codes @ held.directions),
    "an encoder that reads too much": ("_codes", lambda held, read: held.rule.codes(
        held.weights, held.settings, 3.0 * read.x)),
    "codes of the row above": ("encode", lambda held, x: held._codes(held._read(x)).roll(1, 0)),
}  # fmt: skip


@pytest.mark.parametrize("name", ["gpt2", "words-4l"])
@pytest.mark.parametrize("broken", BROKEN)
def test_a_dictionary_that_computes_wrongly_is_found(
    tiny_model, embedded, monkeypatch, name, broken
):
    monkeypatch.setattr(Dictionary, *BROKEN[broken])
    found = outcome(embedded(name) if name == "words-4l" else tiny_model(name), 14)
    assert found.verdict is Verdict.FAIL
    assert found.measured > found.allowed


@pytest.mark.parametrize("name", resources.dictionary_names())
def test_a_dictionary_that_is_opened_is_checked_on_prompts_of_the_model(embedded, name):
    model = embedded("words-4l")
    in_set = "transcoders" in name
    whole = mt.load_transcoders(name).layers if in_set else [mt.load_dictionary(name)]
    for one in whole:
        found = check_dictionary(model, one)
        assert found.verdict is Verdict.PASS, found.reason
        assert found.number == 14
        assert one.identity.name in found.title
        if not in_set:
            assert 0.005 < found.measured < 0.9  # the share that is not explained
            assert f"variance of {one.identity.writes}" in found.reason


def spoiled(one, **tensors):
    """The dictionary with other tensors, under the same name and site."""
    return Dictionary(replace(one.weights, **tensors), one.settings, one.identity)


def test_a_dictionary_that_explains_nothing_or_forgets_is_red(embedded, monkeypatch):
    model, one = embedded("words-4l"), mt.load_dictionary("words-4l/resid_post.3")
    found = check_dictionary(model, spoiled(one, w_dec=-one.weights.w_dec))
    assert found.verdict is Verdict.FAIL
    assert found.measured > 1
    nowhere = one.named(replace(one.identity, reads="resid_post.9", writes="resid_post.9"))
    with pytest.raises(DictionaryMismatch, match="does not have"):
        check_dictionary(model, nowhere)
    monkeypatch.setattr(Dictionary, *BROKEN["codes of the row above"])
    assert check_dictionary(model, one).verdict is Verdict.FAIL


def test_rows_of_dictionaries_join_a_report_once():
    row = CheckResult(14, "of mine", Verdict.PASS)
    report = CheckReport("m", "float32", (CheckResult(15, "cells", Verdict.PASS),))
    both = report.joined([row]).joined([replace(row, verdict=Verdict.FAIL)])
    assert [(one.number, one.verdict) for one in both.results] == [
        (14, Verdict.FAIL), (15, Verdict.PASS),
    ]  # fmt: skip
    assert not both.passed


# ---------------------------------------------------------------------- devices


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", ["gpt2", "gemma2", "t5"])
def test_a_device_that_computes_otherwise_is_found(tiny_model, name, dtype):
    # A copy of the model stands for another device; one of its weights is then another.
    subject = Subject(tiny_model(name, dtype=dtype), Job())
    elsewhere = placing.copied_to(subject.model.module, "cpu")
    (found,) = placing.against(subject, elsewhere)
    assert found.value == 0
    with torch.no_grad():
        elsewhere.get_output_embeddings().weight[3] += 8.0
    (found,) = placing.against(subject, elsewhere)
    assert found.excess > 1
    assert np.array_equal(subject.plain(subject.ids), subject.logits)  # ours is as it was
    judged = outcome(subject.model, 11, lambda one: placing.against(one, elsewhere))
    assert judged.verdict is Verdict.FAIL


def test_weights_that_are_one_stay_one_elsewhere(tiny_model):
    module = tiny_model("gemma2").module  # embedding and unembedding are tied
    moved = placing.copied_to(module, "cpu")
    tied = moved.get_input_embeddings().weight
    assert tied is moved.get_output_embeddings().weight
    assert tied.data_ptr() != module.get_input_embeddings().weight.data_ptr()


def test_on_the_cpu_there_is_nothing_to_compare(tiny_model):
    found = outcome(tiny_model("gpt2"), 11)
    assert found.verdict is Verdict.SKIPPED
    assert found.reason == "it runs on the CPU already"
