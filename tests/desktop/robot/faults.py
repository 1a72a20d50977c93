"""What goes wrong in the engine at random: memory, hooks, libraries that panic, disk, children.

Every fault strikes once, at the next place where its kind can. What it raises carries ``MARK``, so
that an error that nobody injected is told from those.
"""

from __future__ import annotations

import errno
import os
import signal
from collections import Counter
from contextlib import suppress
from pathlib import Path

from microtome.models import hooks
from microtome_desktop.jobs.worker import Worker

MARK = "injected by the robot"
# As torch words it where the C library gives no memory.
_FULL = (
    "[enforce fail at alloc_cpu.cpp:114] err == 0. DefaultCPUAllocator: can't allocate memory: you "
    f"tried to allocate 123456789 bytes. Error code 12 (Cannot allocate memory), {MARK}"
)


class Panic(BaseException):
    """What a library in Rust raises: no Exception."""


class Faults:
    """The faults that wait to strike, and how often each kind has."""

    KINDS = ("memory", "hook", "panic", "disk", "child", "file")

    def __init__(self, patch, folder):
        self._folder, self._armed, self.struck = folder, set(), Counter()
        self._wrap(patch, hooks._Use, "_through", self._in_a_hook)
        self._wrap(patch, Worker, "_result", self._in_a_job)
        self._wrap(patch, os, "fsync", self._on_the_disk)

    def _wrap(self, patch, owner, name, before):
        inner = getattr(owner, name)

        def outer(*arguments):
            before()
            return inner(*arguments)

        patch.setattr(owner, name, outer)

    def arm(self, kind, number):
        """Let a fault strike: those of other processes and of files at once."""
        if kind == "child":
            self._kill(number)
        elif kind == "file":
            self._damage(number)
        else:
            self._armed.add(kind)

    def disarm(self):
        """Let none strike any more."""
        self._armed.clear()

    def _strikes(self, kind):
        struck = kind in self._armed
        if struck:
            self._armed.discard(kind)
            self.struck[kind] += 1
        return struck

    def _in_a_hook(self):
        if self._strikes("memory"):
            raise RuntimeError(_FULL)
        if self._strikes("hook"):
            raise RuntimeError(f"In a hook, {MARK}")

    def _in_a_job(self):
        if self._strikes("panic"):
            raise Panic(f"A panic, {MARK}")

    def _on_the_disk(self):
        if self._strikes("disk"):
            raise OSError(errno.ENOSPC, f"No space left on device, {MARK}")

    def _kill(self, number):
        pids = children()
        if pids:
            with suppress(ProcessLookupError):
                os.kill(pids[number % len(pids)], signal.SIGKILL)
                self.struck["child"] += 1

    def _damage(self, number):
        files = sorted(path for path in self._folder.rglob("*") if path.is_file())
        if not files:
            return
        file = files[number % len(files)]
        with suppress(OSError):
            if number % 3:
                os.truncate(file, file.stat().st_size // 2)
            else:
                file.unlink()
            self.struck["file"] += 1


def children():
    """The processes that this one has started and that live."""
    found = []
    for task in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError):
            found += [int(pid) for pid in task.read_text().split()]
    return sorted(found)
