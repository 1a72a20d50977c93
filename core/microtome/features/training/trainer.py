"""One trainer for all rules and forms: batches in, a dictionary and its curve out."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from microtome.activations.shards import expect_enough
from microtome.errors import Cancelled, DictionaryError
from microtome.features.dictionary import Dictionary
from microtome.features.training.checkpoints import (
    Checkpoint,
    expect_finite,
    read_checkpoint,
    write_checkpoint,
)
from microtome.features.training.figures import Window
from microtome.features.training.folding import Identities, finished
from microtome.features.training.forms import Form, Own
from microtome.features.training.plan import Plan
from microtome.features.training.rows import Rows, Scale, digest
from microtome.features.training.state import State
from microtome.features.transcoders import Transcoders
from microtome.jobs import Job
from microtome.records.training import TRAINING, TrainingCurve

# A loss so many times that of the first step, or the variance, is past hope.
_PAST_HOPE = 10.0
_TELL_EVERY = 0.2  # seconds: a reader of curves follows five a second
_SAVE_EVERY = 30.0  # seconds

Watch = Callable[[Dictionary | Transcoders], float]


@dataclass(frozen=True, slots=True)
class Places:
    """The sites that are read and written, one each or one a layer."""

    reads: tuple[str, ...]
    writes: tuple[str, ...]

    @property
    def all(self) -> tuple[str, ...]:
        """Each site once."""
        return tuple(dict.fromkeys((*self.reads, *self.writes)))


@dataclass(slots=True, eq=False)
class Trainer:
    """A training: ``run`` gives what was trained and its curve.

    With a ``folder`` a checkpoint is kept in it, about twice a minute, when the job is cancelled,
    and at the end; a training of the same plan and rows goes on from it. ``watch`` measures the
    finished dictionary every ``watch_every`` steps, as the share of cross-entropy recovered.
    """

    rows: Rows
    places: Places
    plan: Plan
    form: Form
    identities: Identities
    job: Job
    folder: Path | None = None
    watch: Watch | None = None
    watch_every: int = 500
    save_every: float = _SAVE_EVERY
    points: list[dict[str, float]] = field(init=False, default_factory=list)
    _scales: tuple[list[Scale], list[Scale]] = field(init=False)
    _state: State = field(init=False)
    _window: Window = field(init=False)
    _first: float = field(init=False, default=math.inf)
    _saved: float = field(init=False, default=0.0)
    _told: float = field(init=False, default=-math.inf)

    def run(self) -> tuple[Dictionary | Transcoders, TrainingCurve]:
        """Train to the last step.

        Raises DictionaryError when the loss diverges or a checkpoint is of another training,
        StorageError when a checkpoint cannot be written (the one before stays), CorpusError for
        rows that cannot be trained on, and Cancelled, with what was done in the checkpoint.
        """
        for _ in self.steps():
            pass
        return self.finished(), self.curve

    def steps(self) -> Generator[int]:
        """Train step by step, each when the next is asked for; how many are done."""
        expect_enough(self.rows.n, self.plan.batch)
        self._begin()
        batches, last = self._batches(self._state.step), self.plan.steps
        self._saved = time.monotonic()
        try:
            self._figure_due()  # which the stop may have been in the middle of
            while self._state.step < last:
                self.job.progress("Training", self._state.step, last)
                self.job.give_way()
                self._one_step(next(batches))
                self._figure_due()
                yield self._state.step
            self.job.progress("Training", last, last)
        except Cancelled:
            self._save()
            raise
        self._save()

    @property
    def curve(self) -> TrainingCurve:
        """The figures so far."""
        told = {**self.plan.told(), "reads": list(self.places.reads),
                "writes": list(self.places.writes), "rows": self.rows.n}  # fmt: skip
        return TrainingCurve.of(self.points, told)

    def finished(self) -> Dictionary | Transcoders:
        """What was trained so far, for inference."""
        return finished(self._state, self._scales, self.identities)

    # ------------------------------------------------------------------ beginning

    def _begin(self) -> None:
        scales = {site: Scale.of(self.rows, site, self.job) for site in self.places.all}
        self._scales = (
            [scales[site] for site in self.places.reads],
            [scales[site] for site in self.places.writes],
        )
        held = None if self.folder is None else read_checkpoint(self.folder)
        if held is None:
            self._state = State.start(self.form, self.plan, next(self._batches(0)))
            self._window = Window.over(self._state)
            return
        self._expect_same(held)
        try:
            self._state = State.of(self.form, self.plan, held.told["step"], held.tensors)
            self._window = Window.of(held.tensors)
            self.points, self._first = held.told["points"], held.told["first"]
        except KeyError as error:
            raise DictionaryError(
                "The checkpoint lacks a part.", "Delete it to start anew."
            ) from error

    def _expect_same(self, held: Checkpoint) -> None:
        """Raise DictionaryError unless a checkpoint is of this plan, these sites and rows."""
        now = self._question()
        for name, value in held.told["question"].items():
            if value == now.get(name):
                continue
            if name == "steps":
                raise DictionaryError(
                    f"The checkpoint in {self.folder and self.folder.name} is of a training of "
                    f"{value:,} steps, not {self.plan.steps:,}, and cannot be made longer: its "
                    "learning rate falls to 0 at its last step.",
                    f"Take steps={value}, or another folder to train anew.",
                )
            raise DictionaryError(
                f"The checkpoint in {self.folder and self.folder.name} is of a training whose "
                f"{name} is {value}, not {now.get(name)}.",
                "Choose the same settings and text, or another folder.",
            )

    def _question(self) -> dict[str, Any]:
        return {
            **self.plan.told(),
            "reads": list(self.places.reads),
            "writes": list(self.places.writes),
            "rows": digest(self.rows, self.places.all),
        }

    def _batches(self, start: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches in training units, read and written."""
        sites, plan = self.places.all, self.plan
        for arrays in self.rows.batches(sites, plan.batch, plan.seed, start):
            held = {site: torch.from_numpy(each) for site, each in zip(sites, arrays, strict=True)}
            x = self._normalised(held, self.places.reads, self._scales[0])
            if self.places.reads == self.places.writes:
                yield x, x
            else:
                yield x, self._normalised(held, self.places.writes, self._scales[1])

    def _normalised(
        self, held: dict[str, Tensor], sites: Sequence[str], scales: Sequence[Scale]
    ) -> Tensor:
        each = [scale.normalised(held[site]) for site, scale in zip(sites, scales, strict=True)]
        return each[0] if isinstance(self.form, Own) else torch.stack(each, 1)

    # ------------------------------------------------------------------ one step

    def _one_step(self, batch: tuple[Tensor, Tensor]) -> None:
        found, variance = self._state.advance(batch), float(self.form.written)
        self._first = found.error if math.isinf(self._first) else self._first
        if not found.loss <= math.inf or found.error > _PAST_HOPE * max(self._first, variance):
            raise self._diverged(found.loss)
        self._window.add(found, len(batch[0]))

    def _figure_due(self) -> None:
        """Take a figure where one is due and not taken yet, and save in a while."""
        step, taken = self._state.step, self.points[-1]["step"] if self.points else 0
        if step > taken and (step % self.plan.every == 0 or step == self.plan.steps):
            self._figure(float(self.form.written))
            if time.monotonic() - self._saved >= self.save_every:
                self._save()

    def _figure(self, variance: float) -> None:
        step, recovered = self._state.step, math.nan
        if self.watch is not None:
            due = step % self.watch_every < self.plan.every or step == self.plan.steps
            recovered = self.watch(self.finished()) if due else math.nan
        self.points.append(self._window.point(self._state, variance, recovered))
        now = time.monotonic()
        if now - self._told >= _TELL_EVERY or step == self.plan.steps:
            self._told = now
            self.job.partial(TRAINING, self.curve)

    def _diverged(self, loss: float) -> DictionaryError:
        kept, rate = "", self.plan.rate
        if self.folder is not None and (held := read_checkpoint(self.folder)) is not None:
            kept = f" The state after step {held.told['step']:,} is kept in {self.folder.name}."
        return DictionaryError(
            f"The training diverged at step {self._state.step:,}: the loss is {loss:.4g}.{kept}",
            f"Take a lower learning rate (it was {rate:g}; try {rate / 5:.1g}), in Python also a "
            "longer warm_up, and another folder.",
        )

    def _save(self) -> None:
        if self.folder is None:
            return
        tensors = {**self._state.tensors(), **self._window.tensors()}
        if not expect_finite(tensors):
            raise self._diverged(math.nan)
        told = {
            "question": self._question(),
            "step": self._state.step,
            "first": self._first,
            "points": self.points,
        }
        write_checkpoint(self.folder, Checkpoint(tensors, told))
        self._saved = time.monotonic()
