"""Sends requests to the threads for the model, files and the network, and brings answers back.

The newest request wins: what it replaces is cancelled at once, and whatever still arrives from
it is dropped. A worker cannot be interrupted inside one long call; the window is free all the
same, and the next request starts when that call returns.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QObject, QThread, QTimer, Signal, Slot

from microtome.errors import MicrotomeError
from microtome.jobs import Progress
from microtome_desktop.jobs import journal
from microtome_desktop.jobs.engine import COMPUTING, FILES, Engine
from microtome_desktop.jobs.failure import Failure
from microtome_desktop.jobs.garbage import GarbageCollector
from microtome_desktop.jobs.request import Request, Thread
from microtome_desktop.jobs.turns import Turns
from microtome_desktop.jobs.worker import Ticket, Worker, job_for
from microtome_desktop.state.desk import Desk
from microtome_desktop.state.work import Outcome, Piece

# A worker that runs pure Python holds the interpreter this long at most before the GUI thread
# gets its turn; with the usual 5 ms its lateness was measured four times as large.
_SWITCH_INTERVAL = 0.001
_HARDLY_WAITED = 1.0  # seconds
# Time enough to reach a checkpoint; then code of a user's is ended that has none.
_FREE_MS = 500


class JobRunner(QObject):
    """The worker threads and everything under way. Lives in the GUI thread."""

    changed = Signal()  # what is under way changed
    progressed = Signal(object, object)  # Request, Progress
    finished = Signal(object)  # Request: its answer is in the state
    failed = Signal(object, object)  # Request, Failure
    stopped = Signal(object)  # Request

    def __init__(self, desk: Desk, parent: QObject | None = None) -> None:
        super().__init__(parent)
        sys.setswitchinterval(_SWITCH_INTERVAL)
        self._desk = desk
        self._number = 0
        self._live: dict[int, Ticket] = {}
        self._newest: dict[tuple[int, str], Any] = {}  # partial results that wait for their turn
        self._running: set[int] = set()  # also those that were dropped but still compute
        self.turns = Turns(self)
        self._freeing = QTimer(self, singleShot=True, interval=_FREE_MS)
        self._freeing.timeout.connect(self._free)
        self._garbage = GarbageCollector(self)
        self._engine = Engine()
        self._workers = {
            thread: Worker(self._engine, COMPUTING if thread is Thread.MODEL else FILES)
            for thread in Thread
        }
        self._threads = {thread: self._start(thread) for thread in Thread}

    def _start(self, kind: Thread) -> QThread:
        thread, worker = QThread(), self._workers[kind]
        thread.setObjectName(f"microtome {kind.value}")
        worker.moveToThread(thread)
        thread.started.connect(worker.prepare)
        worker.started.connect(self._on_started)
        worker.progressed.connect(self._on_progress)
        worker.partial.connect(self._on_partial)
        worker.finished.connect(self._on_finished)
        worker.failed.connect(self._on_failed)
        worker.stopped.connect(self._on_stopped)
        worker.rested.connect(self._on_rested)
        thread.start()
        return thread

    @property
    def idle(self) -> bool:
        """Whether nothing is under way, not even what was dropped or is still to be drawn."""
        return not self._live and not self._running and self.turns.idle

    @property
    def stopping(self) -> bool:
        """Whether dropped work still has to reach its next checkpoint."""
        return any(number not in self._live for number in self._running)

    @property
    def under_way(self) -> tuple[Request, ...]:
        """Requests that somebody waits for, oldest first, without the quiet ones."""
        return tuple(t.request for t in self._live.values() if not t.request.quiet)

    def has(self, slot: str) -> bool:
        """Whether something of a slot is wanted and not there yet, be it quiet."""
        return any(ticket.request.slot == slot for ticket in self._live.values())

    def waits_for(self, number: int) -> bool:
        """Whether a job's answer is still wanted and not there yet."""
        return number in self._live

    def at_stake(self, request: Request | None = None) -> tuple[Piece, ...]:
        """Jobs that the user would miss and that this request would kill; without one, all.

        What is a moment old was hardly waited for, and asking for the same kind of thing again is
        a change of mind.
        """
        slots = None if request is None else request.replaces - {request.slot}
        missed = [t for t in self._live.values() if t.request.missed]
        numbers = [t.number for t in missed if slots is None or t.request.slot in slots]
        pieces = [self._desk.work.find(number) for number in numbers]
        now = time.monotonic()
        return tuple(p for p in pieces if p is not None and now - p.asked > _HARDLY_WAITED)

    def ask(self, request: Request) -> None:
        """Queue a request; what it replaces is cancelled. Returns at once."""
        try:
            bound = request.bound(self._desk)
        except MicrotomeError as error:
            self._desk.notices.post(Failure.of(f"{request.title} failed", error).notice)
            return
        self.cancel(*bound.replaces)
        self._number += 1
        worker = self._workers[bound.thread]
        job = job_for(worker, self._number, bound)
        ticket = Ticket(self._number, bound, self._session(), job)
        self._live[ticket.number] = ticket
        journal.asked(ticket.number, bound)
        if not bound.quiet:
            self._tell_of(ticket)
        bound.started(self._desk)
        worker.put(ticket)
        self.changed.emit()

    def _tell_of(self, ticket: Ticket) -> None:
        request = ticket.request
        self._desk.work.ask(
            ticket.number,
            request.title,
            missed=request.missed,
            restless=request.restless,
            memory=request.memory(self._desk),
            slot=request.slot,
        )

    def pause(self, number: int) -> None:
        """Let one job rest at its next checkpoint; what waits behind it waits with it.

        Nothing waits for a job that gives way.
        """
        ticket, piece = self._live.get(number), self._desk.work.find(number)
        if ticket is None or piece is None or piece.restless or piece.outcome != Outcome.RUNNING:
            return
        ticket.job.pause()
        self._desk.work.pause(number)
        self.changed.emit()

    def resume(self, number: int) -> None:
        """Let one job go on."""
        ticket = self._live.get(number)
        if ticket is not None and ticket.job.paused:
            ticket.job.resume()
            self._desk.work.resume(number)
            self.changed.emit()

    def pause_or_resume(self) -> None:
        """Let everything rest that runs and can; when nothing does, let everything go on."""
        pieces = self._desk.work.pieces
        running = [p for p in pieces if p.outcome is Outcome.RUNNING and not p.restless]
        for piece in running:
            self.pause(piece.number)
        for piece in () if running else pieces:
            self.resume(piece.number)

    def cancel(self, *slots: str) -> None:
        """Stop everything in these slots; their results are dropped from now on."""
        for ticket in [t for t in self._live.values() if t.request.slot in slots]:
            self._drop(ticket)

    def cancel_visible(self) -> None:
        """Stop everything that the status bar shows."""
        for ticket in [t for t in self._live.values() if not t.request.quiet]:
            self._drop(ticket)

    def cancel_one(self, number: int) -> None:
        """Stop one job by the number that the job panel shows."""
        ticket = self._live.get(number)
        if ticket is not None:
            self._drop(ticket)

    def _drop(self, ticket: Ticket) -> None:
        self._desk.work.end(ticket.number, Outcome.STOPPED)
        journal.ended(ticket.number, ticket.request, ticket.seconds, "stopped")
        # The event is set from here: the worker's own event loop is busy with the work.
        ticket.job.cancel()
        del self._live[ticket.number]
        ticket.request.ended(self._desk)
        self._freeing.start()  # it may have begun without this thread knowing of it yet
        self.stopped.emit(ticket.request)
        self.changed.emit()

    @Slot()
    def _free(self) -> None:
        for worker in self._workers.values():
            worker.free()
        if self.stopping:  # users' code may take it for an error of its own, and go on
            self._freeing.start()

    def shut_down(self, patience_ms: int = 10_000) -> bool:
        """Cancel everything but a save, and end all threads; False when one did not end."""
        self._freeing.stop()
        for ticket in [t for t in self._live.values() if t.request.slot != "save"]:
            ticket.job.cancel()
        self._live = {n: t for n, t in self._live.items() if t.request.slot == "save"}
        for ticket in self._live.values():
            ticket.job.resume()
        for thread in self._threads.values():
            thread.quit()
        end = time.monotonic() + patience_ms / 1000
        ended = [self._ends(kind, end) for kind in self._threads]
        if all(ended):
            self._engine.files.close()
            self._garbage.end()
        return all(ended)

    def _ends(self, kind: Thread, end: float) -> bool:
        """Whether a thread ends in time; code of a user's is ended on the way."""
        while not self._threads[kind].wait(_FREE_MS):
            if time.monotonic() > end:
                return False
            self._workers[kind].free()
        return True

    def _session(self) -> str:
        session = self._desk.workspace.session
        return "" if session is None else session.uuid

    def _current(self, number: int) -> Ticket | None:
        """The ticket, unless its answer is not wanted any more."""
        ticket = self._live.get(number)
        if ticket is not None and ticket.request.about_session:
            return ticket if ticket.session == self._session() else None
        return ticket

    def _done(self, number: int) -> Ticket | None:
        self._running.discard(number)
        current = self._current(number)
        ticket = self._live.pop(number, None)
        if ticket is not None:
            ticket.request.ended(self._desk)
        return current

    def _later(self, act: Callable[[], None]) -> None:
        self.turns.ask(act, act)

    @Slot(int)
    def _on_started(self, number: int) -> None:
        self._running.add(number)
        self._desk.work.begin(number)
        ticket = self._live.get(number)
        if ticket is not None:
            ticket.began = time.monotonic()
        if ticket is not None and not ticket.request.quiet:
            self.changed.emit()  # only what has begun can be paused

    @Slot(int, object)
    def _on_progress(self, number: int, progress: Progress) -> None:
        ticket = self._current(number)
        if ticket is not None and not ticket.request.quiet:
            self._desk.work.progress(number, progress)
            self.progressed.emit(ticket.request, progress)

    @Slot(int, bool)
    def _on_rested(self, number: int, resting: bool) -> None:
        self._desk.work.rest(number, resting=resting)

    @Slot(int, str, object)
    def _on_partial(self, number: int, name: str, value: Any) -> None:
        ticket = self._live.get(number)
        if ticket is None or name not in ticket.request.newest_parts:
            self._later(lambda: self._deliver_partial(number, name, value))
            return
        key = number, name
        self._newest[key] = value
        self.turns.ask(key, lambda: self._deliver_partial(*key, self._newest.pop(key)))

    @Slot(int, object)
    def _on_finished(self, number: int, result: Any) -> None:
        self._later(lambda: self._deliver(number, result))

    @Slot(int, object)
    def _on_failed(self, number: int, failure: Failure) -> None:
        self._later(lambda: self._fail(number, failure))

    @Slot(int)
    def _on_stopped(self, number: int) -> None:
        self._later(lambda: self._stop(number))

    def _deliver_partial(self, number: int, name: str, value: Any) -> None:
        ticket = self._current(number)
        if ticket is not None:
            ticket.request.deliver_partial(self._desk, name, value)
            self._desk.work.part(number, ticket.request.part_title(name, value))

    def _deliver(self, number: int, result: Any) -> None:
        ticket = self._done(number)
        self._desk.work.end(number, Outcome.STOPPED if ticket is None else Outcome.DONE)
        try:
            if ticket is not None:
                journal.ended(number, ticket.request, ticket.seconds, "done")
                ticket.request.deliver(self._desk, result)
                self.finished.emit(ticket.request)
        finally:
            self.changed.emit()

    def _fail(self, number: int, failure: Failure) -> None:
        ticket = self._done(number)
        problem = f"{failure.what} {failure.way_out}".strip()
        self._desk.work.end(number, Outcome.FAILED, problem, failure.notice.as_text)
        if ticket is not None:
            journal.failed(number, ticket.request, ticket.seconds, failure)
            if not ticket.request.fails_quietly:
                self._desk.notices.post(failure.notice)
            self.failed.emit(ticket.request, failure)
        self.changed.emit()

    def _stop(self, number: int) -> None:
        self._done(number)
        self._desk.work.end(number, Outcome.STOPPED)
        self.changed.emit()
