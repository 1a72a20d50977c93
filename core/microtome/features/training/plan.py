"""What a dictionary is trained by: every number of a run, checked before it starts."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Any

from microtome.errors import InputError, expect

_WHOLE = {"width": 1, "k": 1, "steps": 1, "batch": 2, "dead_after": 1, "every": 1, "seed": 0}
_SHARES = ("warm_up", "decay", "pressure_warm_up")
_NUMBERS = ("rate", "auxiliary", "bandwidth")


@dataclass(frozen=True, slots=True)
class Plan:
    """How a dictionary is trained. Shares are of all steps.

    ``pressure`` weighs what a rule asks for beside a small error (the L1 norm, or the number of
    features that are on), None for what is usual of the rule; it rises from 0 over
    ``pressure_warm_up``. ``auxiliary`` weighs what features that have been off for ``dead_after``
    rows are given to explain. ``groups`` are the widths that a Matryoshka dictionary is read at,
    ``bandwidth`` that of the kernel that gives JumpReLU's thresholds a gradient. A figure is
    taken every ``every`` steps.
    Raises InputError for numbers that make no sense, WrongKind for what is no number.
    """

    rule: str = "topk"
    width: int = 1024
    k: int = 32
    steps: int = 4_000
    batch: int = 1_024
    rate: float = 1e-3
    warm_up: float = 0.05
    decay: float = 0.3
    pressure: float | None = None
    pressure_warm_up: float = 0.1
    auxiliary: float = 1 / 32
    dead_after: int = 50_000
    skip: bool = False
    groups: tuple[int, ...] = ()
    bandwidth: float = 0.5
    every: int = 25
    seed: int = 0

    def __post_init__(self) -> None:
        expect(self.rule, str, "rule", "a text", "Write for example rule='topk'.")
        expect(self.skip, bool, "skip", "True or False", "Write skip=True.")
        for name, least in _WHOLE.items():
            expect(getattr(self, name), int, name, "a whole number", f"Write for example {name}=8.")
            if getattr(self, name) < least:
                raise InputError(f"{name} is {getattr(self, name)}.", f"Give {least} or more.")
        for name in (*_SHARES, *_NUMBERS, *(("pressure",) if self.pressure is not None else ())):
            self._expect_number(name, 1.0 if name in _SHARES else math.inf)
        if self.rate == 0:
            raise InputError(
                "rate is 0, so that nothing would be learned.", "Give for example 1e-3."
            )
        self._expect_sizes()

    def _expect_number(self, name: str, most: float) -> None:
        value = getattr(self, name)
        expect(value, (int, float), name, "a number", f"Write for example {name}=0.1.")
        if not 0 <= value <= most or not math.isfinite(value):
            wanted = "from 0 to 1" if most == 1 else "of 0 or more"
            raise InputError(f"{name} is {value}.", f"Give a number {wanted}.")

    def _expect_sizes(self) -> None:
        if self.k > self.width:
            raise InputError(
                f"k is {self.k}, but there are only {self.width} features.", "Give a smaller k."
            )
        rising = all(a < b for a, b in zip(self.groups, self.groups[1:], strict=False))
        if self.groups and not (rising and self.groups[0] > 0 and self.groups[-1] == self.width):
            raise InputError(
                f"groups are {self.groups}.",
                f"Give rising widths that end with all {self.width} features.",
            )

    @property
    def widths(self) -> tuple[int, ...]:
        """The widths that a Matryoshka dictionary is read at: those given, or five that double."""
        halves = {max(1, self.width >> by) for by in range(5)}
        return self.groups or tuple(sorted(halves))

    def rate_at(self, step: int) -> float:
        """The learning rate of a step: a linear rise, a plain, a linear fall to 0."""
        rise, fall = self.warm_up * self.steps, self.decay * self.steps
        share = min(1.0, (step + 1) / rise) if rise else 1.0
        return self.rate * min(share, (self.steps - step) / fall if fall else 1.0)

    def pressure_at(self, step: int, usual: float) -> float:
        """The weight of what a rule asks for beside a small error, at a step."""
        whole = usual if self.pressure is None else self.pressure
        rise = self.pressure_warm_up * self.steps
        return whole * (min(1.0, step / rise) if rise else 1.0)

    def told(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        held = {each.name: getattr(self, each.name) for each in fields(self)}
        return {**held, "groups": list(self.groups)}

    @classmethod
    def of(cls, told: dict[str, Any]) -> Plan:
        """The plan that ``told`` made."""
        return cls(**{**told, "groups": tuple(told["groups"])})

    def but(self, **changes: Any) -> Plan:
        """The same plan with other numbers."""
        return replace(self, **changes)
