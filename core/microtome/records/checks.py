"""What the self-checks of a model found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum


class Verdict(StrEnum):
    """Outcome of one check."""

    PASS = "pass"
    FAIL = "fail"
    SKIPPED = "does not apply"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One check: what was measured and allowed, or the reason why it does not apply."""

    number: int
    title: str
    verdict: Verdict
    measured: float | None = None
    allowed: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class CheckReport:
    """All checks of one model."""

    model: str
    dtype: str
    results: tuple[CheckResult, ...]
    seconds: float = 0.0

    def joined(self, rows: Iterable[CheckResult]) -> CheckReport:
        """With more checks, each in the place of one of its number and title if there is one."""
        named = {(row.number, row.title): row for row in (*self.results, *rows)}
        return replace(self, results=tuple(sorted(named.values(), key=lambda row: row.number)))

    @property
    def passed(self) -> bool:
        """Whether no check failed."""
        return all(result.verdict is not Verdict.FAIL for result in self.results)

    @property
    def failures(self) -> tuple[CheckResult, ...]:
        """The checks that failed."""
        return tuple(result for result in self.results if result.verdict is Verdict.FAIL)
