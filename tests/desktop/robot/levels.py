"""What must not grow, counted where the window is as at first: objects, threads, hooks, memory."""

from __future__ import annotations

import ctypes
import gc
import os
import re
import threading
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import shiboken6
from faults import children
from PySide6.QtCore import QCoreApplication, QEvent, QObject, QThread, QTimer
from PySide6.QtWidgets import QApplication

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_LOG = "the log of a session"
MESSAGE_MS = 5000
FEW = 0.01
NEAR = 1.10  # memory is back within 10 %


@dataclass(frozen=True)
class Levels:
    """How much of everything there is."""

    objects: Counter
    threads: Counter
    timers: Counter
    windows: Counter
    files: Counter  # that are open
    hooks: int
    children: int
    memory: int  # bytes

    def grown(self, before, *, whole=True):
        """What there is more of than before, by its name; memory beyond a tenth.

        A hundredth of all Qt objects may be new: panels show what else is known of the model.

        Not ``whole``: without what a window makes when something in it is first used.
        """
        found = {}
        for name in ("objects", "windows", "threads", "timers", "files")[0 if whole else 2 :]:
            more = getattr(self, name) - getattr(before, name)
            few = FEW * getattr(before, name).total() if name == "objects" else 0
            if more.total() > few:
                found[name] = dict(more)
        for name in ("hooks", "children"):
            if getattr(self, name) > getattr(before, name):
                found[name] = getattr(self, name) - getattr(before, name)
        if whole and self.memory > NEAR * before.memory:
            found["memory"] = f"{before.memory / 1e6:.0f} MB → {self.memory / 1e6:.0f} MB"
        return found


def measure(bench, ticks_for_nobody):
    """Count everything; what nobody holds is collected first."""
    _settle()
    held = [each for each in gc.get_objects() if issubclass(type(each), QObject)]
    alive = [each for each in held if shiboken6.isValid(each)]
    timers = [t for t in alive if isinstance(t, QTimer) and ticks_for_nobody(t) and not _last(t)]
    running = [each for each in alive if isinstance(each, QThread) and each.isRunning()]
    names = [each.objectName() for each in running]
    model = bench.runner._engine.model
    modules = [] if model is None else list(model.module.modules())
    return Levels(
        Counter(f"{type(each).__module__}.{type(each).__name__}" for each in alive),
        # Qt's own threads are known to Python once Python has run in them: counted as Qt's.
        Counter([*names, *(t.name for t in threading.enumerate() if "Dummy" not in t.name)]),
        Counter(f"{timer.parent()} every {timer.interval()} ms" for timer in timers),
        Counter(type(each).__name__ for each in QApplication.topLevelWidgets()),
        _files(),
        sum(len(getattr(module, kind, ())) for module in modules for kind in _HOOKS),
        len(children()),
        _memory(),
    )


def _last(timer):
    """Whether it ticks once more and no further: a message goes by itself."""
    return timer.isSingleShot() and timer.interval() <= MESSAGE_MS


def _files():
    """What is open, without the numbers of pipes and of temporary names."""
    found = Counter()
    for file in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            name = file.readlink().name.removesuffix(" (deleted)")
            name = re.sub(r"[0-9a-f]{8,}|\d+", "#", name)
            found[_LOG if name.endswith("-log") else name] += 1
    # A window has these from the first time that it keeps what nobody saved: a file for a session
    # without one and its lock, and a log beside it and beside the file that was saved last.
    return found - Counter({"kept-#.lock": 1, "kept-#.h#": 1, _LOG: 2})


def _settle():
    for _ in range(3):
        QApplication.processEvents()
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        if not gc.collect():
            break


def _memory():
    """Bytes in memory, after what is free was given back to the system."""
    ctypes.CDLL(None).malloc_trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
