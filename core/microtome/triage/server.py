"""The triage child from outside: started ahead, asked for one file after another, and stopped."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from typing import Any

from microtome.jobs import Job, job_or_default
from microtome.triage.limits import PATIENCE
from microtome.triage.programs import child_command, child_surroundings

_LOOK_AGAIN = 0.05  # seconds, whether the user has stopped it
_MOST_IDLE = 2
_LONGEST_LINE = 1 << 20
Answer = Mapping[str, Any]


class Server:
    """A running child. ``ask`` begins a look, ``answer`` waits for it."""

    def __init__(self, *ready: str) -> None:
        self._child = subprocess.Popen(  # noqa: S603 - our own interpreter and program
            child_command("triage", *ready),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=child_surroundings(),
            start_new_session=True,  # so that its copies can be ended with it
        )
        self._answers: queue.SimpleQueue[Answer | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    @property
    def pid(self) -> int:
        """The number of its process."""
        return self._child.pid

    @property
    def ended(self) -> bool:
        """Whether it runs no more."""
        return self._child.poll() is not None

    def ask(self, request: Mapping[str, Any]) -> None:
        """Hand over a request."""
        assert self._child.stdin is not None  # noqa: S101 - it was asked for
        with contextlib.suppress(OSError):  # an ended child is told by the answer
            self._child.stdin.write(json.dumps(request).encode() + b"\n")
            self._child.stdin.flush()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        assert self._child.stdout is not None  # noqa: S101
        try:
            answer = json.loads(self._child.stdout.readline(_LONGEST_LINE))
        except (OSError, ValueError, RecursionError):
            answer = None
        self._answers.put(answer if isinstance(answer, dict) else None)

    def answer(self, job: Job | None = None, patience: float = PATIENCE) -> Answer | None:
        """What it says, None when it ended or made no sense.

        Raises TimeoutError, and Cancelled within a twentieth of a second of a stop; the child
        ends with either.
        """
        given, until, found = job_or_default(job), time.monotonic() + patience, None
        try:
            while found is None and time.monotonic() < until:
                given.check()
                with contextlib.suppress(queue.Empty):
                    found = (self._answers.get(timeout=_LOOK_AGAIN),)
            if found is None:
                raise TimeoutError
            return found[0]
        finally:
            if found is None or found[0] is None:
                self.end()
            elif self._thread:
                self._thread.join()

    def end(self) -> int:
        """Stop it and the look that is under way; its exit status."""
        if self._child.poll() is None:
            _end_group(self._child)
        with contextlib.suppress(OSError, ValueError):
            self._child.communicate()
        if self._thread:
            self._thread.join()
        return self._child.returncode


def _end_group(child: subprocess.Popen[bytes]) -> None:
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
    child.kill()


_idle: list[Server] = []


def prepare(*ready: str) -> None:
    """Start a child ahead of time, for example when a dialog opens; it ends with this process.

    ``ready`` names the checks (``KINDS[…].check``) that it shall have imported.
    """
    if not _idle:
        give_back(Server(*ready))


def take() -> Server:
    """A child that waits, or a new one."""
    with contextlib.suppress(IndexError):  # another thread may take the last one
        while True:
            server = _idle.pop()
            if not server.ended:
                return server
            server.end()
    return Server()


def give_back(server: Server) -> None:
    """Keep a child for the next file."""
    if server.ended or len(_idle) >= _MOST_IDLE:
        server.end()
        return
    _idle.append(server)
    atexit.unregister(dismiss)
    atexit.register(dismiss)


def dismiss() -> None:
    """End all children that wait."""
    while _idle:
        _idle.pop().end()
