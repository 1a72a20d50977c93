"""A job: how long work reports its progress, hands out partial results and is cancelled.

The engine calls ``check`` at every checkpoint (each hook, each batch, each chunk); whoever
started the work may call ``cancel`` from any thread.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from microtome.errors import Cancelled, expect

# 30 reports a second are smooth to the eye; unthrottled ones were measured to delay a GUI
# thread by more than half a second.
_REPORT_INTERVAL = 1 / 30

# Both spelled out: the type checker of the tests does not take an int for a float.
Steps = int | float


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is: ``done`` of ``total`` steps after ``elapsed`` seconds."""

    title: str
    done: Steps
    total: Steps
    elapsed: float

    @property
    def fraction(self) -> float:
        """Share done, 0 to 1; 0 when the total is not known."""
        return min(1.0, self.done / self.total) if self.total > 0 else 0.0

    @property
    def remaining(self) -> float | None:
        """Estimated seconds to go, None before there is anything to go by."""
        if self.fraction <= 0 or self.elapsed <= 0:
            return None
        return self.elapsed * (1 - self.fraction) / self.fraction


class Job:
    """One piece of long work: its progress, its partial results, and the wish to stop it.

    ``on_progress`` and ``on_partial`` run in the thread that does the work.
    """

    def __init__(
        self,
        on_progress: Callable[[Progress], None] | None = None,
        on_partial: Callable[[str, Any], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._on_progress = on_progress
        self._on_partial = on_partial
        self._clock = clock
        self._stop = threading.Event()
        self._started = clock()
        self._last_report = float("-inf")
        self._last_title = ""

    @property
    def cancelled(self) -> bool:
        """Whether a stop was requested."""
        return self._stop.is_set()

    def cancel(self) -> None:
        """Ask the work to stop at its next checkpoint. Safe from any thread."""
        self._stop.set()

    def check(self) -> None:
        """Raise ``Cancelled`` when a stop was requested."""
        if self._stop.is_set():
            raise Cancelled

    def progress(self, title: str, done: Steps, total: Steps) -> None:
        """Report progress at most 30 times a second, and be a checkpoint.

        A new title and the last step are always reported.
        """
        self.check()
        now = self._clock()
        due = now - self._last_report >= _REPORT_INTERVAL
        if self._on_progress and (due or done >= total or title != self._last_title):
            self._last_report, self._last_title = now, title
            self._on_progress(Progress(title, done, total, now - self._started))

    def partial(self, name: str, value: Any) -> None:
        """Hand out a result that is ready before the job is."""
        self.check()
        if self._on_partial:
            self._on_partial(name, value)


def job_or_default(job: Job | None) -> Job:
    """The job given, or a silent one that is never cancelled."""
    if job is None:
        return Job()
    expect(job, Job, "job", "a Job", "Write job=microtome.jobs.Job(), or leave it out.")
    return job
