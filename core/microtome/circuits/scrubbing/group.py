"""The inputs of one length: the model on them, the baseline, and one scrubbed run after another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int

from microtome.circuits.scrubbing.binding import Bound
from microtome.circuits.scrubbing.drawing import Known, claimed, places
from microtome.circuits.scrubbing.meaning import Meter
from microtome.circuits.scrubbing.passing import Passing
from microtome.circuits.scrubbing.streams import Written, logits_of
from microtome.errors import InputError
from microtome.interventions.sweeping.readout import measured
from microtome.interventions.sweeping.task import Example
from microtome.metrics import Metric
from microtome.models.anatomy import Anatomy
from microtome.prompts import Prompt


@dataclass(slots=True, eq=False)
class Found:
    """What is filled group by group."""

    known: Known
    given: tuple[Prompt, ...]
    whole: Float[np.ndarray, " input"]
    baseline: Float[np.ndarray, " input"]
    scrubbed: Float[np.ndarray, "draw input"]
    swaps: Int[np.ndarray, "wire input position"]
    claims: Int[np.ndarray, "box input position"]
    tokens: Int[np.ndarray, "input position"]

    @classmethod
    def empty(
        cls, known: Known, laid: Bound, given: tuple[Prompt, ...], draws: int, longest: int
    ) -> Found:
        """Room for everything; -1 where an input has no position."""
        inputs = len(given)
        return cls(
            known,
            given,
            np.empty(inputs),
            np.empty(inputs),
            np.empty((draws, inputs)),
            np.full((len(laid.wires), inputs, longest), -1, dtype=np.int32),
            np.full((len(laid.terms), inputs, longest), -1, dtype=np.int32),
            np.full((inputs, longest), -1, dtype=np.int32),
        )


class Group:
    """The inputs of one length."""

    def __init__(
        self, anatomy: Anatomy, laid: Bound, known: Known, examples: list[Example], meter: Meter
    ) -> None:
        self.anatomy, self.laid, self.job = anatomy, laid, meter.job
        self.metrics: list[Metric] = [example.metric for example in examples]
        ids = np.stack([example.base.ids for example in examples]).astype(np.int64)
        length = ids.shape[1]
        self.at = [example.metric.position % length for example in examples]
        self.spoken = tuple(_spoken(laid, box, length) for box in range(len(laid.nodes)))
        self.ids = ids
        self.codes = tuple(claimed(term, known, ids, meter) for term in laid.terms)
        self.written = Written.of(anatomy, [torch.from_numpy(row) for row in ids], self.job)

    def fill(
        self,
        found: Found,
        numbers: np.ndarray,
        rng: np.random.Generator,
        told: Callable[[int], None],
    ) -> None:
        """Measure the model, the baseline, and every draw; ``told`` hears how many there are."""
        self._measure_model(found, numbers)
        found.tokens[numbers, : self.ids.shape[1]] = self.ids
        for box, codes in enumerate(self.codes):
            found.claims[box, numbers, : self.ids.shape[1]] = codes
        for draw in range(len(found.scrubbed)):
            self.job.progress("Scrubbing", draw, len(found.scrubbed))
            passing = Passing(self.laid, self.written, self.codes, self.spoken, rng, self.job)
            logits = self._logits(passing.run(), self.at)
            found.scrubbed[draw, numbers] = [
                measured(metric, logits[row : row + 1])[0]
                for row, metric in enumerate(self.metrics)
            ]
            if draw == 0:
                self._keep(found.swaps, numbers, passing.taken)
            told(draw + 1)

    def _measure_model(self, found: Found, numbers: np.ndarray) -> None:
        final = self.written.values.sum(0) + self.written.constants(self.laid.edges.n_readers - 1)
        by_label = np.stack(
            [
                measured(metric, self._logits(final, [at] * len(numbers)))
                for metric, at in zip(self.metrics, self.at, strict=True)
            ]
        )  # [label, input]
        found.whole[numbers] = by_label.diagonal()
        others = by_label.sum(0) - by_label.diagonal()
        found.baseline[numbers] = others / (len(numbers) - 1)

    def _logits(self, streams: torch.Tensor, at: list[int]) -> torch.Tensor:
        self.job.check()
        return logits_of(self.anatomy, streams[torch.arange(len(at)), torch.tensor(at)])

    def _keep(self, swaps: np.ndarray, numbers: np.ndarray, taken: list[np.ndarray]) -> None:
        for row, drawn in enumerate(taken):
            swaps[row, numbers, : drawn.shape[1]] = numbers[drawn]
        last = len(self.laid.readers[-1].sources)  # the logits are read at one position
        for number, at in zip(numbers.tolist(), self.at, strict=True):
            kept = swaps[-last:, number, at].copy()
            swaps[-last:, number] = -1
            swaps[-last:, number, at] = kept


def _spoken(laid: Bound, box: int, length: int) -> Int[np.ndarray, " place"]:
    own = laid.hypothesis.boxes[box]
    try:
        return places(own.positions, length)
    except IndexError as error:
        raise InputError(
            f"The box {own.name} speaks of position {error.args[0]}, but an input has {length} "
            "tokens.",
            f"Positions are 0 to {length - 1}, or -1 for the last.",
        ) from None
