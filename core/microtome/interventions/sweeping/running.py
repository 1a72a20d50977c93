"""A whole sweep: examples sorted into tasks, partial results, and the record at the end."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from microtome.errors import PromptError
from microtome.interventions.sweeping.cells import Cells, cells_of
from microtome.interventions.sweeping.naming import ids_of, metric_told
from microtome.interventions.sweeping.paths import Path, compute, path_of
from microtome.interventions.sweeping.room import together
from microtome.interventions.sweeping.scale import scaled
from microtome.interventions.sweeping.task import Ends, Example, Put, Task
from microtome.jobs import Job
from microtome.models.model import Model
from microtome.records.sweep import Sweep


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """All that a sweep was asked for. ``settings`` are plain JSON, kept with the result."""

    model: Model
    examples: tuple[Example, ...]
    put: Put
    kind: str
    mode: str  # denoising, noising or ablation
    by: str | None = None
    layer: int | None = None
    ranges: tuple[tuple[int, int], ...] | None = None
    skip: bool = True
    path: str | None = None
    budget: int = 0
    seed: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)

    def cells(self, length: int) -> Cells:
        """The cells in a prompt of so many tokens."""
        return cells_of(
            self.model, self.kind, length, by=self.by, layer=self.layer, ranges=self.ranges
        )

    @property
    def id(self) -> str:
        """The same for the same question to the same model."""
        told = {
            "model": self.model.identity.fingerprint,
            "metrics": [metric_told(each.metric, self.model) for each in self.examples],
            "prompts": [
                [ids_of(tokens) for tokens in (each.base, each.source) if tokens is not None]
                for each in self.examples
            ],
            **self.settings,
        }
        digest = hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode())
        return f"sweep-{digest.hexdigest()[:12]}"

    def tasks(self, *, alone: bool = False) -> Iterator[tuple[Int[np.ndarray, " example"], Task]]:
        """Examples that can be swept together, or each alone, with their numbers.

        Raises PromptError when the sweep has columns for positions and prompts differ in length.
        """
        sorts: dict[tuple[Any, ...], list[int]] = {}
        for number, example in enumerate(self.examples):
            source = 0 if example.source is None else len(example.source)
            places = tuple(example.read_at(example.base).tolist())
            sorts.setdefault((len(example.base), source, places), []).append(number)
        lengths = sorted({length for length, *_ in sorts})
        if len(lengths) > 1 and {"position", "range"} & set(self.cells(lengths[0]).axes):
            raise PromptError(
                f"The prompts have different numbers of tokens ({lengths[0]} to {lengths[-1]}), "
                "so that positions do not stand for each other.",
                "Sweep by head, or give prompts of one length.",
            )
        for (length, *_), numbers in sorts.items():
            first = self._task(length, numbers[:1])
            most = 1 if alone or len(numbers) == 1 else together(first)
            for begin in range(0, len(numbers), most):
                some = numbers[begin : begin + most]
                yield np.array(some), self._task(length, some)

    def _task(self, length: int, numbers: Sequence[int]) -> Task:
        examples = tuple(self.examples[number] for number in numbers)
        return Task(self.model, self.cells(length), examples, self.put, self.skip, self.budget)


def run_sweep(asked: Asked, job: Job) -> Sweep:
    """The sweep. Partial results are handed out as ``sweep``."""
    started = time.perf_counter()
    first = asked.examples[0].base
    path = path_of(asked.model, asked.kind, asked.path, first, job)
    tasks = list(asked.tasks(alone=path != "packed"))
    cells = tasks[0][1].cells
    state = _State(asked, path, cells, started)
    for numbers, task in tasks:
        state.left_out[numbers] = [each.unmatched(task.cells) for each in task.examples]
        found = compute(path, task, job, partial(state.tell, numbers, job))
        state.keep(numbers, found.values, found.ends, found.skipped)
        state.whole[numbers] = True
    return state.sweep(complete=True)


@dataclass(slots=True, eq=False)
class _State:
    """What is known of a sweep so far."""

    asked: Asked
    path: Path
    cells: Cells
    started: float
    values: Float[np.ndarray, "example cell"] = field(init=False)
    base: Float[np.ndarray, " example"] = field(init=False)
    source: Float[np.ndarray, " example"] = field(init=False)
    whole: Bool[np.ndarray, " example"] = field(init=False)
    left_out: Bool[np.ndarray, "example cell"] = field(init=False)  # without a partner
    skipped: int = 0

    def __post_init__(self) -> None:
        count = len(self.asked.examples)
        self.values = np.full((count, len(self.cells)), np.nan)
        self.base, self.source = np.full(count, np.nan), np.full(count, np.nan)
        self.whole = np.zeros(count, dtype=np.bool_)
        self.left_out = np.zeros(self.values.shape, dtype=np.bool_)

    def keep(
        self,
        numbers: Int[np.ndarray, " example"],
        values: Float[np.ndarray, "example cell"],
        ends: Sequence[Ends],
        skipped: int = 0,
    ) -> None:
        """Note what is known of some examples."""
        self.values[numbers] = values
        self.base[numbers] = [end.base for end in ends]
        self.source[numbers] = [np.nan if end.source is None else end.source for end in ends]
        self.skipped += skipped

    def tell(
        self,
        numbers: Int[np.ndarray, " example"],
        job: Job,
        values: Float[np.ndarray, "example cell"],
        ends: Sequence[Ends],
    ) -> None:
        """Hand out what is known; over a data set, of the examples that are whole."""
        self.keep(numbers, values, ends)
        job.partial("sweep", self.sweep(complete=False))

    @property
    def _metric(self) -> str:
        """How the metric is called; pairs may have each their own."""
        asked = self.asked
        named = dict.fromkeys(each.metric.name(asked.model) for each in asked.examples)
        first, *others = named
        return f"{type(asked.examples[0].metric).__name__} of each pair" if others else first

    def sweep(self, *, complete: bool) -> Sweep:
        """The record of what is known."""
        asked = self.asked
        # A cell of an example that has just begun would take the number of the others away.
        begun = self.whole if self.whole.any() else np.isfinite(self.base)
        ablates = asked.mode == "ablation"
        clean, corrupt = (self.base, self.source) if asked.mode != "denoising" else (
            self.source, self.base
        )  # fmt: skip
        done = scaled(
            self.values[begun],
            clean[begun],
            None if ablates else corrupt[begun],
            asked.seed,
            self.left_out[begun],
        )
        shape = self.cells.shape
        example = asked.examples[0]
        source = example.source
        return Sweep(
            kind=self.cells.site,
            axes=self.cells.axes,
            raw=done.raw.reshape(shape),
            effects=done.effects.reshape(shape),
            clean=float(clean[begun].mean()),
            corrupt=float(clean[begun].mean() if ablates else corrupt[begun].mean()),
            metric=self._metric,
            mode=asked.mode,
            path=self.path,
            normalised=done.normalised,
            band=None if done.band is None else done.band.reshape(2, *shape),
            skipped=self.skipped,
            tokens=example.base.texts,
            source_tokens=() if source is None else source.texts,
            params={
                **asked.settings,
                "id": asked.id,
                "examples": len(asked.examples),
                "partial": not complete,
            },
            notes=done.notes,
            seconds=time.perf_counter() - self.started,
        )
