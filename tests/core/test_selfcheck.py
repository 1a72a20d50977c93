"""The self-checks pass on every family, and say why when they do not."""

from __future__ import annotations

import copy

import pytest
import tiny_models
import torch
from torch.nn.modules.module import register_module_forward_pre_hook

from microtome.errors import Cancelled
from microtome.jobs import Job
from microtome.models.model import Model
from microtome.records.checks import Verdict
from microtome.selfcheck import editing, suite
from microtome.selfcheck.subject import DoesNotApply, Measurement, Subject
from microtome.selfcheck.suite import CHECKS, Check, self_check

NUMBERS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17]


@pytest.fixture(autouse=True)
def _few_interruptions(monkeypatch):
    # The type checks of the tests make hooks a hundred times dearer; one test below takes all.
    monkeypatch.setattr(editing, "_STOPS", 2)
    monkeypatch.setattr(editing, "_STOPPING_SECONDS", 0.0)


def summary(report) -> str:
    lines = [
        f"{result.number} {result.verdict} {result.measured} of {result.allowed}: {result.reason}"
        for result in report.results
    ]
    return "\n".join(lines)


def test_every_family_passes_in_float32(tiny_model, family):
    report = self_check(tiny_model(family))
    assert [result.number for result in report.results] == NUMBERS
    left_out = [result for result in report.results if result.verdict is Verdict.SKIPPED]
    reasons = {result.number: result.reason for result in left_out}
    assert reasons.pop(11) == "it runs on the CPU already"
    assert list(reasons) == ([2] if family in tiny_models.MASKED else [])
    assert all("non-linearity of its own" in reason for reason in reasons.values())
    measured = [result for result in report.results if result not in left_out]
    assert all(result.verdict is Verdict.PASS for result in measured), summary(report)
    assert all(result.measured <= result.allowed for result in measured)
    assert report.passed
    assert report.dtype == "float32"
    assert report.seconds > 0


def test_every_family_passes_in_bfloat16_with_its_own_goals(tiny_model, family):
    report = self_check(tiny_model(family, dtype="bfloat16"))
    assert [result.number for result in report.results] == NUMBERS
    assert report.passed, summary(report)
    wider = {1: 2e-2, 3: 2e-2, 6: 1e-2}
    found = {result.number: result.allowed for result in report.results}
    assert {number: found[number] for number in wider} == wider
    left_out = {
        result.number: result.reason
        for result in report.results
        if result.verdict is Verdict.SKIPPED
    }
    masked, routed = family in tiny_models.MASKED, family in tiny_models.ROUTED
    assert left_out.pop(11) == "it runs on the CPU already"
    assert list(left_out) == ([7, 8, 15] if routed else [2] if masked else [])
    expected = "non-linearity" if masked else "rounding alone may choose other experts"
    assert all(expected in reason for reason in left_out.values())


@pytest.mark.parametrize("name", ["induction-exact", "words-4l"])
def test_embedded_models_pass(embedded, name):
    report = self_check(embedded(name))
    assert report.passed, summary(report)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_real_llama_passes(stories, dtype):
    model = Model(
        copy.deepcopy(stories.module).to(getattr(torch, dtype)),
        stories.family,
        stories.identity,
        stories.tokenizer,
    )
    report = self_check(model)
    assert report.passed, summary(report)


def test_a_short_context_leaves_no_room_for_padding(tiny_model):
    report = self_check(tiny_model("gpt2", n_positions=3))
    by_number = {result.number: result for result in report.results}
    assert by_number[7].verdict is Verdict.SKIPPED
    assert "no room for padding" in by_number[7].reason
    assert report.passed, summary(report)


def test_hard_checks_of_edits_allow_nothing(tiny_model):
    report = self_check(tiny_model("llama"))
    exact = {result.number for result in report.results if result.allowed == 0}
    assert {4, 5, 10, 12, 13} <= exact


def measured(*values: float):
    return lambda _: iter([Measurement(value, 1e-3, "it") for value in values])


def crashing(error: Exception):
    def measure(subject):
        raise error
        yield

    return measure


@pytest.mark.parametrize(
    ("measure", "verdict", "reason"),
    [
        (measured(1e-4, 1e-5), Verdict.PASS, "it"),
        (measured(1e-4, 2e-3), Verdict.FAIL, "it"),
        (measured(float("nan")), Verdict.FAIL, "not a finite number"),
        (measured(), Verdict.FAIL, "ValueError"),
        (crashing(DoesNotApply("no heads")), Verdict.SKIPPED, "no heads"),
        (crashing(RuntimeError("shapes\n cannot meet")), Verdict.FAIL, "shapes cannot meet"),
        (crashing(KeyError("z")), Verdict.FAIL, "KeyError: 'z'"),
    ],
)
def test_a_check_passes_fails_crashes_or_does_not_apply(
    tiny_model, monkeypatch, measure, verdict, reason
):
    monkeypatch.setattr(suite, "CHECKS", (Check(1, "a title", measure),))
    (result,) = self_check(tiny_model("gpt2")).results
    assert result.verdict is verdict
    assert reason in result.reason
    assert result.title == "a title"


def test_it_reports_progress_and_can_be_cancelled_between_checks(tiny_model):
    seen = []
    self_check(tiny_model("gpt2"), job=Job(on_progress=lambda step: seen.append(step.title)))
    assert "Checking the model" in seen
    job = Job()
    job.cancel()
    with pytest.raises(Cancelled):
        self_check(tiny_model("gpt2"), job=job)


def test_a_cancel_in_the_middle_of_a_check_is_no_failure(tiny_model):
    job = Job()
    subject = Subject(tiny_model("gpt2"), job)
    measurements = CHECKS[2].measure(subject)
    next(measurements)
    job.cancel()
    with pytest.raises(Cancelled):
        list(measurements)


def test_the_prompt_of_the_checks_is_always_the_same(tiny_model):
    model = tiny_model("gpt2")
    assert Subject(model, Job()).ids == Subject(model, Job()).ids
    assert len(Subject(model, Job()).ids) == 18


def modules_called(model):
    """Every module that is called in one run: there is a hook before each."""
    called = []
    listening = register_module_forward_pre_hook(lambda module, _args: called.append(module))
    model.forward(torch.tensor([[1, 2, 3]]))
    listening.remove()
    return called


@pytest.mark.parametrize(("seconds", "made"), [(60.0, None), (0.0, 8)])
def test_a_run_is_stopped_at_every_hook_or_as_many_as_time_allows(
    tiny_model, monkeypatch, seconds, made
):
    monkeypatch.setattr(editing, "_STOPS", 8)
    monkeypatch.setattr(editing, "_STOPPING_SECONDS", seconds)
    stopped, honest = [], editing._stopped_run

    def counted(subject, stop):
        stopped.append(stop)
        honest(subject, stop)

    monkeypatch.setattr(editing, "_stopped_run", counted)
    model = tiny_model("gemma2")
    left, _ = editing.interrupted(Subject(model, Job()))
    hooks = len(modules_called(model))
    assert left.value == 0
    assert left.what == f"hooks left, stopped at {made or hooks} of {hooks} hooks"
    assert len(stopped) == len(set(stopped)) == (made or hooks)
    assert {0, hooks - 1} <= set(stopped) <= set(range(hooks))


def test_a_hook_left_by_one_stop_alone_is_found_among_all(tiny_model, monkeypatch):
    monkeypatch.setattr(editing, "_STOPPING_SECONDS", 60.0)
    subject, honest, handles = Subject(tiny_model("gpt2"), Job()), editing._stopped_run, []

    def careless(subject, stop):
        honest(subject, stop)
        if stop == 5:
            module = subject.model.module
            handles.append(module.register_forward_hook(lambda _module, _args, out: out))

    monkeypatch.setattr(editing, "_stopped_run", careless)
    left = next(editing.interrupted(subject))
    handles.pop().remove()
    assert left.value == 1
    assert left.what.endswith("after a stop at hook 5")
