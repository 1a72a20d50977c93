"""The object that lives in a worker thread and performs tickets one after another."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QObject, Qt, Signal, Slot

from microtome.errors import Cancelled
from microtome.jobs import Job, Progress, end_users_code
from microtome.records.analysis import Analysis
from microtome.records.sweep import Sweep
from microtome_desktop.jobs.engine import Engine, step_back
from microtome_desktop.jobs.failure import Failure
from microtome_desktop.jobs.request import Request

# Seconds between two partial pictures of one analysis; a sweep is redrawn in a few milliseconds.
_PICTURE_EVERY = 0.5
_CELLS_EVERY = 0.1


@dataclass(eq=False, slots=True)
class Ticket:
    """A request on its way: its generation number, and the session it is about."""

    number: int
    request: Request
    session: str
    job: Job
    began: float | None = None  # by a clock that only runs forward

    @property
    def seconds(self) -> float:
        """How long it has run, 0 before it has begun."""
        return 0.0 if self.began is None else time.monotonic() - self.began


class Worker(QObject):
    """Performs tickets in the thread it was moved to; all signals carry the ticket's number.

    A job that gives way between its steps is where others wait for: they are performed inside it,
    so that whatever needs the model has it to itself.
    """

    started = Signal(int)
    progressed = Signal(int, object)  # Progress
    partial = Signal(int, str, object)
    finished = Signal(int, object)
    failed = Signal(int, object)  # Failure
    stopped = Signal(int)
    rested = Signal(int, bool)  # whether the job has come to a rest, or goes on
    _wake = Signal()

    def __init__(self, engine: Engine, niceness: int) -> None:
        super().__init__()
        self._engine, self._niceness = engine, niceness
        self._waiting: deque[Ticket] = deque()
        self._deep = 0  # jobs that are begun
        self._thread = 0
        self._innermost: Job | None = None  # that is being performed
        self._between = threading.Lock()  # held where one job gives place to another
        self._wake.connect(self._next, Qt.ConnectionType.QueuedConnection)

    def put(self, ticket: Ticket) -> None:
        """Let a request wait for its turn; from any thread."""
        self._waiting.append(ticket)
        self._wake.emit()

    @Slot()
    def prepare(self) -> None:
        """The first thing in the thread."""
        self._thread = threading.get_ident()
        step_back(self._niceness)

    def free(self) -> None:
        """End code of a user's that runs on although its job was cancelled; from any thread."""
        with self._between:
            if self._innermost is not None and self._innermost.cancelled:
                end_users_code(self._thread)

    def wait(self) -> bool:
        """Whether requests wait that may go before the job that runs; inside others none may."""
        return self._deep == 1 and bool(self._waiting)

    def work(self, job: Job) -> None:
        """Do what waits. What was asked for after ``job`` was cancelled may be in its place."""
        while self.wait() and not job.cancelled:
            self._next()

    @Slot()
    def _next(self) -> None:
        if self._waiting:  # else it was performed inside another
            self._deep += 1
            try:
                self._perform(self._waiting.popleft())
            finally:
                self._deep -= 1

    def _perform(self, ticket: Ticket) -> None:
        """Do one request. This is the job boundary: every error becomes a signal here."""
        number, request, job = ticket.number, ticket.request, ticket.job
        if job.cancelled:
            self.stopped.emit(number)
            return
        self.started.emit(number)
        try:
            result = self._result(request, job)
        except Cancelled:
            self.stopped.emit(number)
        # Libraries in Rust panic with what is no Exception; nothing may fail silently here.
        except BaseException as error:  # noqa: BLE001
            self.failed.emit(number, Failure.of(f"{request.title} failed", error))
        else:
            self.finished.emit(number, result)

    def _result(self, request: Request, job: Job) -> Any:
        with self._between:
            outer, self._innermost = self._innermost, job
        try:
            result = request.perform(self._engine, job)
            job.check()
            return result
        finally:
            with self._between:
                self._innermost = outer


class Pace:
    """Lets through one picture of each analysis in a while; the whole answer comes anyway.

    A feature space that grows hands out a picture for every few prompts, and drawing all of them
    would keep the window busy for longer than the work takes.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._clock = seconds, clock
        self._last: dict[str, float] = {}

    def passes(self, value: Any) -> bool:
        """Whether this partial result is to be shown."""
        if not isinstance(value, Analysis | Sweep):
            return True
        now = self._clock()
        least = self._seconds if isinstance(value, Analysis) else _CELLS_EVERY
        if now - self._last.get(value.id, -least) < least:
            return False
        self._last[value.id] = now
        return True


def job_for(worker: Worker, number: int, request: Request) -> Job:
    """A job that reports through the worker's signals."""
    pace = Pace(_PICTURE_EVERY)

    def on_progress(progress: Progress) -> None:
        worker.progressed.emit(number, progress)

    def on_partial(name: str, value: Any) -> None:
        if pace.passes(value):
            worker.partial.emit(number, name, value)

    def on_rest(resting: bool) -> None:
        worker.rested.emit(number, resting)

    others = worker if request.gives_way else None
    return Job(on_progress, on_partial, on_rest=on_rest, others=others)
