"""A job: how long work reports its progress, hands out partial results, rests and is cancelled.

The engine calls ``check`` at every checkpoint (each hook, each batch, each chunk); whoever
started the work may call ``pause``, ``resume`` and ``cancel`` from any thread. Work that takes
minutes calls ``give_way`` between its steps, where a model is in nobody's hands: shorter work
that waits for the same thread is done there.
"""

from __future__ import annotations

import ctypes
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from microtome.errors import Cancelled, expect

# 30 reports a second are smooth to the eye; unthrottled ones were measured to delay a GUI
# thread by more than half a second.
_REPORT_INTERVAL = 1 / 30
_LOOK_AGAIN = 1.0  # seconds
_LOOK_FOR_OTHERS = 0.05  # seconds, at rest: others hardly notice

USERS_CODE = "microtome_adapter_"  # what modules of code that users wrote are called, at first

# Both spelled out: the type checker of the tests does not take an int for a float.
Steps = int | float


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is: ``done`` of ``total`` steps after ``elapsed`` seconds of work.

    Time counts from the first report under this title, at which ``begun`` steps were done
    already; time that the job rested does not count. ``unit`` is what a step is, for example
    ``B``; none for steps that mean nothing to the user.
    """

    title: str
    done: Steps
    total: Steps
    elapsed: float
    begun: Steps = 0
    unit: str = ""

    @property
    def fraction(self) -> float:
        """Share done, 0 to 1; 0 when the total is not known."""
        return min(1.0, self.done / self.total) if self.total > 0 else 0.0

    @property
    def rate(self) -> float | None:
        """Steps a second, None before there is anything to go by."""
        if self.done <= self.begun or self.elapsed <= 0:
            return None
        return (self.done - self.begun) / self.elapsed

    @property
    def remaining(self) -> float | None:
        """Estimated seconds to go, None before there is anything to go by."""
        if self.rate is None or self.total <= 0:
            return None
        return max(0.0, self.total - self.done) / self.rate


@runtime_checkable
class Others(Protocol):
    """Work of others that may go before a job in its thread."""

    def wait(self) -> bool:
        """Whether there is any."""
        ...

    def work(self, job: Job) -> None:
        """Do it, unless ``job`` was cancelled before it was asked for."""
        ...


class Job:
    """One piece of long work: its progress, its partial results, and the wish to rest or stop.

    The callbacks run in the thread that does the work. ``on_rest`` is told True when the work
    has come to a rest at a checkpoint after ``pause``, and False when it goes on. ``others`` may
    go first wherever the work calls ``give_way``.
    """

    def __init__(
        self,
        on_progress: Callable[[Progress], None] | None = None,
        on_partial: Callable[[str, Any], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
        on_rest: Callable[[bool], None] | None = None,
        others: Others | None = None,
    ) -> None:
        self._on_progress = on_progress
        self._on_partial = on_partial
        self._on_rest = on_rest
        self._others = others
        self._clock = clock
        self._stop, self._go = threading.Event(), threading.Event()
        self._go.set()
        self._last_report = float("-inf")
        self._stage: tuple[str, float, Steps] = ("", 0.0, 0)  # title, its start, done by then
        self._last_done: Steps = 0

    @property
    def cancelled(self) -> bool:
        """Whether a stop was requested."""
        return self._stop.is_set()

    @property
    def paused(self) -> bool:
        """Whether a rest was requested."""
        return not self._go.is_set()

    def cancel(self) -> None:
        """Ask the work to stop at its next checkpoint, or out of its rest."""
        self._stop.set()
        self._go.set()

    def pause(self) -> None:
        """Ask the work to rest at its next checkpoint, what it holds in memory included."""
        if not self._stop.is_set():
            self._go.clear()

    def resume(self) -> None:
        """Let the work go on."""
        self._go.set()

    def check(self) -> None:
        """Rest while a pause is wanted; raise ``Cancelled`` when a stop was requested.

        While others wait there is no rest here: it is taken where they can go first.
        """
        if not self._go.is_set() and not self._wanted:
            self._rest(self._wait)
        if self._stop.is_set():
            raise Cancelled

    def give_way(self) -> None:
        """A checkpoint between two steps, with no hooks on a model: others may go first."""
        if not self._go.is_set():
            self._rest(self._wait_and_let)
        elif self._wanted:
            self._rest(self._let_others)
        self.check()

    @property
    def _wanted(self) -> bool:
        return self._others is not None and self._others.wait()

    def _let_others(self) -> None:
        if self._others is not None:
            self._others.work(self)

    def _wait(self) -> None:
        """Until the work may go on, or others want it to come to where they can go first."""
        again = _LOOK_AGAIN if self._others is None else _LOOK_FOR_OTHERS
        while not self._go.wait(again):
            # A pause may have come in between a stop's two steps.
            if self._stop.is_set() or self._wanted:
                break

    def _wait_and_let(self) -> None:
        while not self._go.is_set() and not self._stop.is_set():
            self._wait()
            self._let_others()

    def _rest(self, how: Callable[[], None]) -> None:
        """Time that passes meanwhile is no time of work."""
        since, tell = self._clock(), self._on_rest if self.paused else None
        if tell:
            tell(True)
        how()
        title, start, begun = self._stage
        self._stage = title, start + self._clock() - since, begun
        if tell:
            tell(False)

    def progress(self, title: str, done: Steps, total: Steps, unit: str = "") -> None:
        """Report progress at most 30 times a second, and be a checkpoint.

        A new title and the last step are always reported.
        """
        self.check()
        now = self._clock()
        due = now - self._last_report >= _REPORT_INTERVAL
        if title != self._stage[0] or done < self._last_done:  # the same work on something else
            self._stage, due = (title, now, done), True
        self._last_done = done
        if self._on_progress and (due or done >= total):
            self._last_report = now
            _, start, begun = self._stage
            self._on_progress(Progress(title, done, total, now - start, begun, unit))

    @property
    def hears_partials(self) -> bool:
        """Whether anybody takes partial results, so that making them is worth the work."""
        return self._on_partial is not None

    def partial(self, name: str, value: Any) -> None:
        """Hand out a result that is ready before the job is."""
        self.check()
        if self._on_partial:
            self._on_partial(name, value)


class QuietPart(Job):
    """Work inside another job: it tells nobody anything, and rests and stops with the whole."""

    def __init__(self, whole: Job) -> None:
        super().__init__()
        self._whole = whole

    @property
    def cancelled(self) -> bool:
        """Whether a stop of the whole was requested, or of this part alone."""
        return self._whole.cancelled or super().cancelled

    @property
    def paused(self) -> bool:
        """Whether a rest was requested."""
        return self._whole.paused or super().paused

    def check(self) -> None:
        """A checkpoint of the whole."""
        self._whole.check()
        super().check()

    def give_way(self) -> None:
        """A checkpoint; what is timed quietly lets nobody go first."""
        self.check()


def job_or_default(job: Job | None) -> Job:
    """The job given, or a silent one that is never cancelled."""
    if job is None:
        return Job()
    expect(job, Job, "job", "a Job", "Write job=microtome.jobs.Job(), or leave it out.")
    return job


def end_users_code(thread: int) -> bool:
    """Raise ``Cancelled`` in a thread that runs code of a user's; whether it does.

    Such code has no checkpoints and may loop for ever. What waits inside a call of the system
    (``time.sleep``) hears of it when that call returns.
    """
    frame = sys._current_frames().get(thread)  # noqa: SLF001  nothing else tells where it is
    while frame is not None and not _of_user(frame.f_globals):
        frame = frame.f_back
    if frame is not None:
        number, error = ctypes.c_ulong(thread), ctypes.py_object(Cancelled)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(number, error)
    return frame is not None


def _of_user(names: dict[str, Any]) -> bool:
    return str(names.get("__name__", "")).startswith(USERS_CODE)
