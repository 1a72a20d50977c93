"""A robot user before the real window: nothing crashes, hangs, leaks or comes late."""

from __future__ import annotations

import faulthandler
import json
import os
import threading
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from _pytest.faulthandler import fault_handler_stderr_fd_key
from faults import MARK
from lateness import LATEST
from levels import measure
from PySide6.QtCore import QTimer
from robot_user import robot

from microtome_desktop.jobs.failure import Failure

TESTS = Path(__file__).parents[2]
SHORT, WARM, BETWEEN = 5.0, 120.0, 300.0  # seconds
LONG = float(os.environ.get("MICROTOME_ROBOT_SECONDS", "0"))
REPLAY = os.environ.get("MICROTOME_ROBOT_REPLAY")
SEED = int(os.environ.get("MICROTOME_ROBOT_SEED", "0"))
pytestmark = pytest.mark.gl


@pytest.fixture
def folder(tmp_path):
    """Where the log of deeds and the trace of a crash stay."""
    named = os.environ.get("MICROTOME_ROBOT_FOLDER")
    made = Path(named) if named else tmp_path / "robot"
    made.mkdir(parents=True, exist_ok=True)
    return made


@pytest.fixture
def traced(request, folder):
    """Python's trace of a crash in a file; afterwards where pytest has it."""
    with (folder / "crash.txt").open("w") as trace:
        yield lambda: faulthandler.enable(trace, all_threads=True)
        kept = request.config.stash.get(fault_handler_stderr_fd_key, None)
        if kept is not None:  # the window's own mark took it, and let it go at its end
            faulthandler.enable(file=kept)


@pytest.fixture
def user(request, qapp, monkeypatch, folder, traced):
    ticks = request.config.pluginmanager.get_plugin(str(TESTS / "conftest.py")).ticks_for_nobody
    sheet, shades = qapp.styleSheet(), qapp.palette()
    with robot(monkeypatch, folder, SEED, ticks) as made:
        traced()
        yield made
    qapp.setStyleSheet(sheet)
    qapp.setPalette(shades)


@pytest.mark.skipif(LONG > 0, reason="make robot runs the long form")
def test_a_robot_at_the_window(user, tmp_path):
    before = user.go_home(anew=False)
    user.act(SHORT)
    now = user.go_home(anew=False)
    assert user.step > 3  # many times as many where nothing else computes
    assert user.wrong == []
    assert now.grown(before, whole=False) == {}
    it_does_what_was_written_down(user, tmp_path / "deeds.jsonl")
    it_sees_what_it_looks_for(user, now)


def it_does_what_was_written_down(user, log):
    deeds = [("panel", {"name": "notes"}), ("resize", {"width": 1234, "height": 777})]
    lines = [{"step": n, "deed": name, "with": held} for n, (name, held) in enumerate(deeds)]
    log.write_text("\n".join(map(json.dumps, lines)))
    user.act_again(log)
    assert (user.window.width(), user.window.height()) == (1234, 777)


def it_sees_what_it_looks_for(user, before):
    desk, module = user.bench.desk, user.bench.runner._engine.model.module
    ended = threading.Event()
    threading.Thread(target=ended.wait, name="leaked").start()
    hook, timer = module.register_forward_hook(lambda *_: None), QTimer(interval=10_000)
    timer.start()
    now = measure(user.bench, user.ticks_for_nobody)
    ended.set()
    hook.remove()
    timer.stop()
    assert now.grown(before, whole=False) == {
        "threads": {"leaked": 1}, "timers": {"None every 10000 ms": 1}, "hooks": 1,
    }  # fmt: skip
    fat = now.objects + Counter({"leaked": now.objects.total() // 50})
    assert replace(now, objects=fat).grown(now) == {"objects": {"leaked": fat["leaked"]}}
    assert replace(now, memory=round(1.05 * now.memory)).grown(now) == {}
    assert replace(now, memory=round(1.15 * now.memory)).grown(now).keys() == {"memory"}
    for text in (f"Of the robot, {MARK}", "of nobody"):
        desk.notices.post(Failure.of("Work failed", ZeroDivisionError(text)).notice)
    (wrong,) = user.wrong
    assert "ZeroDivisionError: of nobody" in wrong


@pytest.mark.skipif(not LONG, reason="make robot runs it")
def test_a_robot_at_the_window_for_long(user):
    if REPLAY:
        user.act_again(Path(REPLAY))
        assert user.wrong == []
        return
    user.act(min(WARM, LONG / 4))
    before, left = user.go_home(anew=True), LONG
    while left > 0:
        user.act(min(BETWEEN, left))
        left -= BETWEEN
        now = user.go_home(anew=True)
        user.tell(f"step {user.step}: {now.memory / 1e6:.0f} MB; more: {now.grown(before)}")
    user.tell(f"{user.step} deeds: {dict(user.done)}; faults: {dict(user.faults.struck)}")
    user.tell(f"{user.lateness.told()}; longest stop {user.slowest_stop:.1f} s")
    assert user.wrong == []
    assert now.grown(before) == {}
    assert np.percentile(user.lateness.net, 99) <= LATEST
