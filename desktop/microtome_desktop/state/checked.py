"""Which self-checks are told of: those of the loaded model, and those that a session holds."""

from __future__ import annotations

from microtome.records.checks import CheckReport
from microtome.records.session import Session


def _held(loaded: CheckReport | None, session: Session | None) -> tuple[CheckReport, ...]:
    stored = None if session is None else session.checks
    return tuple(report for report in (loaded, stored) if report is not None)


def failed_reports(loaded: CheckReport | None, session: Session | None) -> tuple[CheckReport, ...]:
    """The reports in which a check failed; two of one model that tell the same are one."""
    failed = [report for report in _held(loaded, session) if not report.passed]
    told = {
        (report.model, report.dtype, tuple(check.number for check in report.failures)): report
        for report in reversed(failed)
    }
    return tuple(reversed(told.values()))


def reports_to_show(loaded: CheckReport | None, session: Session | None) -> tuple[CheckReport, ...]:
    """Those that failed; when none did that of the loaded model, else that of the session."""
    return failed_reports(loaded, session) or _held(loaded, session)[:1]
