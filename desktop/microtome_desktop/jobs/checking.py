"""What self-checks found: kept with model and session, and told where one failed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from microtome.jobs import Job
from microtome.records.checks import CheckReport, CheckResult, Verdict
from microtome_desktop.jobs.engine import Engine
from microtome_desktop.state.notices import Level, Notice

if TYPE_CHECKING:
    from microtome_desktop.state.desk import Desk


def checked(engine: Engine, fingerprints: Iterable[str], job: Job) -> tuple[CheckResult, ...]:
    """Check 14 of open dictionaries; what writes across layers stands for no single site."""
    from microtome.features.dictionary import Dictionary
    from microtome.selfcheck.suite import check_dictionary

    across = {name for name, held in engine.sets.items() if held.crosses}
    coders = [engine.dictionaries[name] for name in fingerprints if name not in across]
    return tuple(
        check_dictionary(engine.loaded, one, job=job)
        for one in coders
        if isinstance(one, Dictionary)
    )


def keep_checks(desk: Desk, report: CheckReport, model: str) -> None:
    """Keep a report with the model of this fingerprint, and with its session on screen."""
    session = desk.workspace.session
    desk.library.update(checks=report)
    if session is not None and session.model.fingerprint == model:
        clean = not desk.workspace.dirty
        desk.workspace.change("checks", checks=report)
        if clean:
            desk.workspace.mark_clean()


def tell_failures(desk: Desk, rows: Iterable[CheckResult], model: str = "") -> None:
    """A notice that names the checks that failed."""
    failed = [row.title for row in rows if row.verdict is Verdict.FAIL]
    if failed:
        what = f"Failed{f' for {model}' if model else ''}: {', '.join(failed)}."
        desk.notices.post(
            Notice(Level.WARNING, "Self-checks failed", what, "See Model, Self-checks.")
        )
