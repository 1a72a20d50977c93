"""The self-checks of a model: numbers that must agree if it is read correctly.

They run on a short prompt of random tokens as soon as a model is loaded, and their outcome is
kept with every session. The numbers of the checks are fixed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from microtome.errors import MicrotomeError, expect
from microtome.features.dictionary import Dictionary
from microtome.features.fitting import expect_fit
from microtome.jobs import Job, job_or_default
from microtome.models.given import expect_model
from microtome.models.model import Model
from microtome.models.small import small_on_one_thread
from microtome.records.checks import CheckReport, CheckResult, Verdict
from microtome.selfcheck import (
    attention,
    dictionaries,
    editing,
    placing,
    seeing,
    storing,
    sums,
    sweeping,
)
from microtome.selfcheck.subject import DoesNotApply, Measurement, Subject, worst

# What a model that is read wrongly raises from torch and numpy: shapes that do not fit, parts
# that are missing. The check has then failed, and says so; the user's cancel goes through.
_CRASHES = (
    MicrotomeError, ArithmeticError, AttributeError, LookupError, NotImplementedError,
    RuntimeError, TypeError, ValueError,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Check:
    """A row of the table; ``measure`` gives the numbers, or raises ``DoesNotApply``."""

    number: int
    title: str
    measure: Callable[[Subject], Iterator[Measurement]]


CHECKS = (
    Check(1, "parts sum to the final residual stream", sums.residual_sum),
    Check(2, "direct contributions sum to the logit", sums.contributions),
    Check(3, "heads and neurons sum to their branch", sums.branches),
    Check(4, "patching a site with its own value changes nothing", editing.own_values),
    Check(5, "a run after hooks were removed is the run before", editing.after_hooks),
    Check(6, "patterns sum to 1 and look at nothing hidden", attention.patterns),
    Check(7, "a padded prompt gives the same logits", attention.padding),
    Check(8, "another attention implementation agrees", attention.implementations),
    Check(9, "patterns recomputed from the weights agree", attention.rebuilt_patterns),
    Check(10, "a captured run is the plain run", editing.hooked),
    Check(11, "a device gives the logits of the CPU", placing.on_the_cpu),
    Check(12, "a stopped run leaves no hook behind", editing.interrupted),
    Check(13, "zero ablation gives one result in any order", editing.ablation),
    Check(14, "features and what they leave sum to the activation", dictionaries.parts),
    Check(15, "a layer patched whole is the other run, a cell a whole pass", sweeping.cells),
    Check(16, "a saved run reread is the same, and so are analyses of it", storing.reread),
    Check(17, "steering adds and takes out what it says", editing.steering),
)

# What models that see are asked besides, on pixels.
OF_SIGHT = (
    Check(18, "layers put back as they were change nothing", seeing.own_values),
    Check(19, "a run on pixels after changes is the run before", seeing.after_changes),
    Check(20, "a batch of images gives what each gives alone", seeing.batches),
    Check(21, "a stopped run on pixels leaves no hook behind", seeing.stopped),
    Check(22, "a whole layer at zero hides the image", seeing.cut_off),
    Check(23, "an image as tokens gives what its pixels give", seeing.patches_and_pixels),
)
_NO_TOKENS = "a convolutional net reads an image whole and has neither tokens nor sites"


def checks_of(model: Model) -> tuple[Check, ...]:
    """The checks that concern a model, those that do not apply included."""
    return (*CHECKS, *(() if model.sight is None else OF_SIGHT))


@small_on_one_thread
def self_check(model: Model, *, job: Job | None = None) -> CheckReport:
    """Run every check on a model; each passes, fails, or does not apply with the reason.

    A check that crashes has failed. Raises Cancelled when the job is cancelled, nothing else.
    """
    job = job_or_default(job)
    expect_model(model)
    start = time.perf_counter()
    subject, results = Subject(model, job), []
    checks = checks_of(model)
    for done, check in enumerate(checks):
        job.progress("Checking the model", done, len(checks))
        results.append(_result(check, subject))
    job.progress("Checking the model", len(checks), len(checks))
    identity = model.identity
    return CheckReport(identity.name, identity.dtype, tuple(results), time.perf_counter() - start)


@small_on_one_thread
def check_dictionary(
    model: Model, dictionary: Dictionary, *, job: Job | None = None
) -> CheckResult:
    """Check 14 of a dictionary of the user's, on prompts that the model reads as a rule.

    What its features write and what they leave must sum to the activation, and they must explain
    some of its variance. A check that crashes has failed. Raises DictionaryMismatch for a
    dictionary of another model, and Cancelled when the job is cancelled.
    """
    expect_model(model)
    expect(dictionary, Dictionary, "dictionary", "a Dictionary", "Open one with load_dictionary.")
    expect_fit(dictionary.identity, model)
    name = dictionary.identity.name or dictionary.identity.fingerprint[:8]
    title = f"features of {name} and what they leave sum to the activation"
    job = job_or_default(job)
    row = Check(14, title, lambda subject: dictionaries.of(model, dictionary, subject.job))
    return _result(row, Subject(model, job), everywhere=True)


def _result(check: Check, subject: Subject, *, everywhere: bool = False) -> CheckResult:
    model = subject.model
    deaf = model.sight is not None and not model.known
    if deaf and not everywhere and check not in OF_SIGHT:
        return CheckResult(check.number, check.title, Verdict.SKIPPED, reason=_NO_TOKENS)
    try:
        found = worst(check.measure(subject))
    except DoesNotApply as missing:
        return CheckResult(check.number, check.title, Verdict.SKIPPED, reason=str(missing))
    except _CRASHES as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        return CheckResult(check.number, check.title, Verdict.FAIL, reason=reason)
    return _judged(check, found)


def _judged(check: Check, found: Measurement) -> CheckResult:
    verdict = Verdict.PASS if found.excess <= 1 else Verdict.FAIL
    finite = bool(np.isfinite(found.value))
    reason = found.what if finite else f"{found.what}: not a finite number"
    measured = found.value if finite else None
    return CheckResult(check.number, check.title, verdict, measured, found.allowed, reason)
