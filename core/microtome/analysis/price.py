"""The price of edits: every task of a list, without and with them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from microtome.activations.capture import Edit, chains_of, expect_edits
from microtome.analysis.answering import Asked, Chains, logits_behind, of_one_length
from microtome.errors import EditError, InputError, expect
from microtome.jobs import Job, job_or_default
from microtome.models.given import expect_model
from microtome.models.model import Model
from microtome.models.small import small_on_one_thread
from microtome.prompt_sets import PromptSet
from microtome.records.analysis import Analysis
from microtome.records.price import EditPrice, price_analysis


@small_on_one_thread
def edit_price(
    model: Model,
    edits: Sequence[Edit],
    prompt_sets: Sequence[PromptSet],
    *,
    limit: int | None = None,
    job: Job | None = None,
) -> Analysis:
    """What the edits cost on each set: shares answered rightly and mean logit differences.

    The clean prompts are run, the first ``limit`` of each set or all of them, those of one length
    together. A prompt that an edit does not fit (a position or a length that it does not have) is
    left out and counted. Partial results are handed out by ``job.partial`` as ``price``, after each
    set. ``microtome.records.price.price_of`` reads the result as a plain record, an ``EditPrice``.
    Raises InputError without prompt sets or for a limit below 1, AnswerError for an answer that is
    not one token, EditError when the edits fit no prompt of any set, Cancelled when stopped.
    """
    expect_model(model)
    expect_edits(edits)
    _expect_asked(prompt_sets, limit)
    job, work = job_or_default(job), _Work(model, tuple(edits), tuple(prompt_sets), limit)
    for row in range(len(prompt_sets)):
        work.fill(row, job)
        if row < len(prompt_sets) - 1:
            job.partial("price", price_analysis(work.price(row + 1)))
    if not work.pairs.any():
        raise EditError(
            f"The edits fit no prompt of the sets: {next(iter(work.notes.values()))}",
            "Take edits that fit prompts of any length.",
        )
    return price_analysis(work.price(len(prompt_sets)))


def _expect_asked(prompt_sets: Sequence[PromptSet], limit: int | None) -> None:
    way_out = "Read them with microtome.prompt_sets.load_prompt_set."
    expect(prompt_sets, Sequence, "prompt_sets", "a list of prompt sets", way_out)
    for one in prompt_sets:
        expect(one, PromptSet, "prompt set", "a prompt set", way_out)
    if not prompt_sets:
        raise InputError("There is no prompt set to take the price on.", "Give one or more.")
    if limit is not None:
        expect(limit, int, "limit", "a number of pairs", "Give 1 or more, or None for all.")
        if limit < 1:
            raise InputError(f"The limit is {limit} pairs.", "Give 1 or more, or None for all.")


@dataclass(slots=True, eq=False)
class _Work:
    """What is known so far."""

    model: Model
    edits: tuple[Edit, ...]
    sets: tuple[PromptSet, ...]
    limit: int | None
    notes: dict[str, str] = field(default_factory=dict)
    done: int = 0  # runs
    started: float = field(default_factory=time.perf_counter)
    pairs: np.ndarray = field(init=False)
    left_out: np.ndarray = field(init=False)
    found: np.ndarray = field(init=False)  # [set, side, measure]

    def __post_init__(self) -> None:
        count = len(self.sets)
        self.pairs, self.left_out = (np.zeros(count, dtype=np.int64) for _ in range(2))
        self.found = np.full((count, 2, 3), np.nan)

    @property
    def _runs(self) -> int:
        return 2 * sum(len(one.pairs[: self.limit]) for one in self.sets)

    def fill(self, row: int, job: Job) -> None:
        """Run one set without and with the edits."""
        values: list[Float[np.ndarray, "pair measure"]] = []
        for group in of_one_length(self.model, _asked(self.model, self.sets[row], self.limit)):
            job.progress("Taking the price", self.done, self._runs)
            both = self._both(row, group, job)
            self.done += 2 * len(group)
            if both is None:
                self.left_out[row] += len(group)
            else:
                values.append(both)
        if values:
            whole = np.concatenate(values, axis=1)  # [side, pair, measure]
            self.pairs[row] = whole.shape[1]
            self.found[row] = whole.mean(1)

    def _both(
        self, row: int, group: Sequence[Asked], job: Job
    ) -> Float[np.ndarray, "side pair measure"] | None:
        """What is measured of prompts of one length; None when the edits do not fit them."""
        try:
            chains = chains_of(self.model, group[0].tokens, self.edits, job)
        except EditError as error:
            self.notes.setdefault(self.sets[row].name, str(error))
            return None
        return np.stack([_measures(self.model, group, side, job) for side in ({}, chains)])

    def price(self, rows: int) -> EditPrice:
        """The record of the first sets."""
        return EditPrice(
            names=tuple(one.name for one in self.sets),
            titles=tuple(one.title for one in self.sets),
            pairs=self.pairs.copy(),
            left_out=self.left_out.copy(),
            right=self.found[..., 0].copy(),
            top=self.found[..., 1].copy(),
            difference=self.found[..., 2].copy(),
            edits=tuple(str(edit) for edit in self.edits),
            model=self.model.identity.name,
            limit=self.limit,
            complete=rows == len(self.sets),
            notes=dict(self.notes),
            seconds=time.perf_counter() - self.started,
        )


def _asked(model: Model, held: PromptSet, limit: int | None) -> Iterator[Asked]:
    """The set's clean prompts."""
    for number, pair in enumerate(held.pairs[:limit]):
        answer, wrong = model.answer_token(pair.answer), model.answer_token(pair.wrong)
        yield Asked(model.tokenize(pair.clean), answer, wrong, number)


def _measures(
    model: Model, group: Sequence[Asked], chains: Chains, job: Job
) -> Float[np.ndarray, "pair measure"]:
    """Right or not, top or not, and the logit difference, of each prompt."""
    logits = logits_behind(model, group, chains, job)
    pairs = np.arange(len(group))
    answers, wrongs = ([getattr(one, side) for one in group] for side in ("answer", "wrong"))
    answer, wrong = logits[pairs, answers], logits[pairs, wrongs]
    return np.stack([answer > wrong, logits.argmax(-1) == answers, answer - wrong], axis=-1)
