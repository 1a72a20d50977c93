"""How late the event loop is: every tick of a precise timer, as the benchmark of it counts."""

from __future__ import annotations

import faulthandler
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PySide6.QtCore import Qt, QTimer

from microtome_desktop.views.offscreen_scene import OffscreenScene

TICK = 0.005
HANGS = 1.0  # seconds without a tick, after which it is written down where all threads are
LATEST = 0.033  # p99, seconds


def waited_for_a_core():
    """Seconds that this thread sat ready in the run queue, 0 where the kernel does not tell."""
    path = Path(f"/proc/self/task/{threading.get_native_id()}/schedstat")
    return int(path.read_text().split()[1]) / 1e9 if path.exists() else 0.0


class Lateness:
    """Lateness in seconds, gross and net of waiting for a core, and seconds of 3-D frames.

    What the robot itself does between two deeds, and software frames, are taken off.
    """

    def __init__(self, patch, hangs):
        """``hangs`` is an open file."""
        self.gross, self.net, self.frames = [], [], []
        self._aside, self._hangs, self._armed = 0.0, hangs, 0.0
        self._last, self._queued = time.perf_counter(), waited_for_a_core()
        draw = OffscreenScene.draw

        def timed(scene):
            with self.aside() as spent:
                picture = draw(scene)
            self.frames.append(spent())
            return picture

        patch.setattr(OffscreenScene, "draw", timed)
        self.timer = QTimer(interval=round(TICK * 1000), timerType=Qt.TimerType.PreciseTimer)
        self.timer.timeout.connect(self._tick)

    def go_on(self):
        """Watch from now on."""
        self._last, self._queued, self._aside = time.perf_counter(), waited_for_a_core(), 0.0
        self.timer.start()

    def rest(self):
        """Do not watch: what comes now no user does."""
        self.timer.stop()
        faulthandler.cancel_dump_traceback_later()

    @contextmanager
    def aside(self):
        """Take what is done within off the next tick; no event is handled in it."""
        start = time.perf_counter()
        yield lambda: time.perf_counter() - start
        self._aside += time.perf_counter() - start

    def _tick(self):
        now, queued = time.perf_counter(), waited_for_a_core()
        late = max(0.0, now - self._last - TICK - self._aside)
        self.gross.append(late)
        self.net.append(max(0.0, late - (queued - self._queued)))
        self._last, self._queued, self._aside = now, queued, 0.0
        if now - self._armed > HANGS / 4:
            self._armed = now
            faulthandler.dump_traceback_later(HANGS, file=self._hangs)

    def told(self):
        """The figures in words."""
        lines = [f"{len(self.gross):,} ticks"]
        for name, late in (("gross", self.gross), ("net", self.net)):
            p50, p95, p99, worst = 1000 * np.percentile(late, (50, 95, 99, 100))
            lines.append(
                f"{name}: median {p50:.1f}, p95 {p95:.1f}, p99 {p99:.1f}, worst {worst:,.0f} ms"
            )
        if self.frames:
            p50, worst = 1000 * np.percentile(self.frames, (50, 100))
            lines.append(f"{len(self.frames):,} 3-D frames: median {p50:.1f}, worst {worst:.0f} ms")
        return "lateness: " + "; ".join(lines)
