"""Which input stands in for which: one that agrees on a claim, or any at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Int

from microtome.circuits.scrubbing.meaning import Meter, Place, Value, reading
from microtome.circuits.scrubbing.terms import Kind, Term
from microtome.metrics import Vocabulary

Draw = Int[np.ndarray, "input position"]


@dataclass(slots=True)
class Known:
    """The values that claims had so far, as one reads them: ``Mary``, ``3``, ``true``."""

    vocabulary: Vocabulary
    numbers: dict[tuple[str, Value], int] = field(default_factory=dict)

    def number(self, kind: Kind, value: Value) -> int:
        """The number of a value, the same wherever a claim of this kind has it."""
        # True is equal to 1 in Python, so that its kind has to tell them apart.
        return self.numbers.setdefault((str(kind), value), len(self.numbers))

    @property
    def texts(self) -> tuple[str, ...]:
        """The values in the order of their numbers."""
        return tuple(self._text(kind, value) for kind, value in self.numbers)

    def _text(self, kind: str, value: Value) -> str:
        if value is None:
            return "nothing"
        if isinstance(value, bool):
            return "true" if value else "false"
        return self.vocabulary.token_text(value) if kind == str(Kind.TOKEN) else str(value)


def claimed(
    term: Term, known: Known, ids: Int[np.ndarray, "input position"], meter: Meter
) -> Int[np.ndarray, "input position"]:
    """A number for every value of a claim: equal where inputs agree at a position."""
    read = reading(term, known.vocabulary)
    found = np.empty(ids.shape, dtype=np.int32)
    for row, tokens in enumerate(ids.tolist()):
        meter.job.check()
        for at in range(len(tokens)):
            found[row, at] = known.number(term.kind, read(Place(tokens, at, meter)))
    return found


def agreeing(
    codes: Int[np.ndarray, "input position"], rng: np.random.Generator
) -> Int[np.ndarray, "input position"]:
    """For every input and position an input drawn from those that agree there, itself included."""
    drawn = np.empty(codes.shape, dtype=np.int64)
    for at in range(codes.shape[1]):
        order = np.argsort(codes[:, at], kind="stable")
        _, inverse, count = np.unique(codes[:, at], return_inverse=True, return_counts=True)
        first = np.concatenate([[0], np.cumsum(count)[:-1]])
        drawn[:, at] = order[first[inverse] + rng.integers(0, count[inverse])]
    return drawn


def anything(count: int, length: int, rng: np.random.Generator) -> Draw:
    """For every input and position any input, itself included."""
    return rng.integers(0, count, size=(count, length))


def places(positions: Sequence[int] | None, length: int) -> Int[np.ndarray, " place"]:
    """The positions that a box speaks of in inputs of a length.

    Raises IndexError that holds the first position outside of them.
    """
    if positions is None:
        return np.arange(length)
    for at in positions:
        if not -length <= at < length:
            raise IndexError(at)
    return np.array(sorted({at % length for at in positions}), dtype=np.int64)
