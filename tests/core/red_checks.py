"""Which self-checks went red in this process, noted by the tests that break something."""

from __future__ import annotations

from collections.abc import Iterable

from microtome.records.checks import CheckResult, Verdict

SEEN: set[int] = set()


def noted(results: Iterable[CheckResult]) -> tuple[CheckResult, ...]:
    """The results, of which those that failed by what they measured are remembered."""
    given = tuple(results)
    red = (one for one in given if one.verdict is Verdict.FAIL and one.measured is not None)
    SEEN.update(one.number for one in red)
    return given
