"""A suite run on a model: which cases pass, slice by slice, before and after edits."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float

from microtome.activations.capture import Edit, chains_of, expect_edits
from microtome.analysis.answering import Asked, logits_behind, of_one_length
from microtome.errors import EditError, InputError, expect
from microtome.interventions.specs import edits_of
from microtome.jobs import Job, job_or_default
from microtome.models.given import expect_model
from microtome.models.model import Model
from microtome.models.small import small_on_one_thread
from microtome.prompts import Prompt, prompt_line
from microtome.records.analysis import Analysis
from microtome.records.removal import removal_specs
from microtome.records.suite import EVERY, Suite
from microtome.records.suite_result import PASSING, SuiteResult, suite_analysis
from microtome.suites.bands import change_band, mean_band, rate_band

SIDES = ("before", "after")
_TOLD_EVERY = 0.5  # seconds between partial results


@small_on_one_thread
def run_suite(
    model: Model,
    suite: Suite,
    edits: Sequence[Edit] = (),
    *,
    remove: Sequence[str] = (),
    how: str = "zero",
    passing: str = "above",
    seed: int = 0,
    job: Job | None = None,
) -> Analysis:
    """The pass rate and the confidence of every slice, before and after edits or removals.

    A case passes when its answer is above the wrong answer (the most probable token, for a case
    without one), or with ``passing='top'`` when it is the most probable token of all. ``remove``
    names heads (``a1.h2``), MLPs (``m3``) and layers (``l2``) that are ablated to zero, or to the
    mean over the suite's prompts as ``how`` says, after the edits. Cases that the edits do not
    fit are left out of both sides. Partial results are handed out by ``job.partial`` as ``suite``.
    ``microtome.records.suite_result.suite_of`` reads the result as a ``SuiteResult``.
    Raises AnswerError for an answer that is not one token, EditError when the edits fit no case,
    InputError for a removal that is none, Cancelled when stopped.
    """
    expect_model(model)
    expect(suite, Suite, "suite", "a Suite", "Load one with load_suite.")
    expect_edits(edits)
    if passing not in PASSING:
        raise InputError(f"passing is {passing!r}.", f"Choose {' or '.join(PASSING)}.")
    job = job_or_default(job)
    specs = removal_specs(_names(remove), how, means_over(suite))
    all_edits = (*edits, *edits_of(model, specs, job=job))
    work = _Work(model, suite, all_edits, passing, seed)
    return suite_analysis(work.run(job))


def means_over(suite: Suite) -> tuple[Prompt, ...]:
    """The prompts that means are taken over."""
    return tuple(dict.fromkeys(suite.prompts))


def _names(remove: Sequence[str]) -> Sequence[str]:
    example = "Write for example remove=['a1.h2', 'm3']."
    expect(remove, (tuple, list), "remove", "a list of parts", example)
    return remove


def asked_of(model: Model, suite: Suite) -> list[Asked]:
    """The cases with the tokens of their prompts and answers.

    Raises InputError that says which case the model cannot read, and why.
    """
    return [_asked(model, suite, number) for number in range(len(suite.cases))]


def _asked(model: Model, suite: Suite, number: int) -> Asked:
    case = suite.cases[number]
    try:
        wrong = None if case.wrong is None else model.answer_token(case.wrong)
        return Asked(model.tokenize(case.prompt), model.answer_token(case.answer), wrong, number)
    except InputError as error:
        told = f"Of the suite {suite.name}, case {number}: {error.what}"
        raise type(error)(told, error.way_out) from error


def measured(
    logits: Float[np.ndarray, "prompt vocabulary"], group: Sequence[Asked]
) -> Float[np.ndarray, "prompt 4"]:
    """Of each prompt: top or not, above the wrong answer or not, probability, difference."""
    rows = np.arange(len(group))
    answers = np.array([one.answer for one in group])
    wrongs = np.array([-1 if one.wrong is None else one.wrong for one in group])
    answer = logits[rows, answers]
    others = logits.copy()
    others[rows, answers] = -np.inf
    best = others.max(-1)
    wrong = np.where(wrongs >= 0, logits[rows, wrongs], best)
    shifted = logits - logits.max(-1, keepdims=True)
    probability = np.exp(shifted[rows, answers]) / np.exp(shifted).sum(-1)
    above = np.where(wrongs >= 0, answer > wrong, np.nan)
    return np.stack([answer > best, above, probability, answer - wrong], axis=-1)


def passes(
    passing: str, top: Float[np.ndarray, "..."], above: Float[np.ndarray, "..."]
) -> Float[np.ndarray, "..."]:
    """1 where a case passes, 0 where it does not."""
    return top if passing == "top" else np.where(np.isnan(above), top, above)


@dataclass(slots=True, eq=False)
class _Work:
    """What is known so far."""

    model: Model
    suite: Suite
    edits: tuple[Edit, ...]
    passing: str
    seed: int
    note: str = ""
    started: float = field(default_factory=time.perf_counter)
    found: Float[np.ndarray, "case side 4"] = field(init=False)
    ran: Bool[np.ndarray, " case"] = field(init=False)

    def __post_init__(self) -> None:
        count = len(self.suite.cases)
        self.found = np.full((count, len(self.sides), 4), np.nan)
        self.ran = np.zeros(count, dtype=np.bool_)

    @property
    def sides(self) -> tuple[str, ...]:
        return SIDES if self.edits else SIDES[:1]

    def run(self, job: Job) -> SuiteResult:
        """All cases, those of one length together."""
        asked, done = asked_of(self.model, self.suite), 0
        told = time.perf_counter()
        for group in of_one_length(self.model, asked):
            job.progress("Running the suite", done, len(asked))
            self._fill(group, job)
            done += len(group)
            # Bands of many slices take longer than a group of prompts.
            if done < len(asked) and time.perf_counter() - told > _TOLD_EVERY:
                job.partial("suite", suite_analysis(self.result(complete=False)))
                told = time.perf_counter()
        if not self.ran.any():
            raise EditError(
                f"The edits fit no case of the suite: {self.note}",
                "Take edits that fit prompts of any length.",
            )
        return self.result(complete=True)

    def _fill(self, group: Sequence[Asked], job: Job) -> None:
        numbers = [one.number for one in group]
        try:
            chains = chains_of(self.model, group[0].tokens, self.edits, job)
        except EditError as error:
            self.note = self.note or str(error)
            return
        for side, own in enumerate(({}, chains)[: len(self.sides)]):
            logits = logits_behind(self.model, group, own, job)
            self.found[numbers, side] = measured(logits, group)
        self.ran[numbers] = True

    def result(self, *, complete: bool) -> SuiteResult:
        """The record of what was run."""
        names = (EVERY, *self.suite.slices)
        member = np.array(
            [[n in (EVERY, *case.slices) for case in self.suite.cases] for n in names]
        )
        top, above, probability, difference = np.moveaxis(self.found, -1, 0)
        passed = passes(self.passing, top, above)
        counted = [np.flatnonzero(row & self.ran) for row in member]
        by_slice = [(passed[rows], probability[rows]) for rows in counted]
        return SuiteResult(
            title=self.suite.title,
            slices=names,
            sides=self.sides,
            member=member,
            rate=np.stack([_mean(right) for right, _ in by_slice]),
            rate_band=np.stack([rate_band(right) for right, _ in by_slice]),
            confidence=np.stack([_mean(sure) for _, sure in by_slice]),
            confidence_band=np.stack([mean_band(sure, self.seed) for _, sure in by_slice]),
            change=np.stack([change_band(right, self.seed) for right, _ in by_slice]),
            ran=self.ran.copy(),
            top=top.copy(),
            above=above.copy(),
            probability=probability.copy(),
            difference=difference.copy(),
            prompts=tuple(_text(case.prompt) for case in self.suite.cases),
            answers=tuple(str(case.answer) for case in self.suite.cases),
            params=self._params(complete=complete),
        )

    def _params(self, *, complete: bool) -> dict[str, object]:
        told = {
            "suite": self.suite.digest,
            "name": self.suite.name,
            "title": self.suite.title,
            "model": self.model.identity.name,
            "fingerprint": self.model.identity.fingerprint,
            "edits": [str(edit) for edit in self.edits],
            "passing": self.passing,
            "seed": self.seed,
            "interval": "95 %: Wilson for shares, bootstrap for means and changes",
        }
        text = json.dumps(told, sort_keys=True).encode()
        identity = f"suite-{hashlib.sha256(text).hexdigest()[:12]}"
        seconds = time.perf_counter() - self.started
        return {
            **told, "id": identity, "note": self.note, "complete": complete, "seconds": seconds
        }  # fmt: skip


def _mean(values: Float[np.ndarray, "case side"]) -> Float[np.ndarray, " side"]:
    return values.mean(0) if len(values) else np.full(values.shape[1], np.nan)


def _text(prompt: Prompt) -> str:
    return prompt_line(prompt)
