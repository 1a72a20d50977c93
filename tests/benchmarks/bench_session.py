"""A session of 1 GB: saved beside a raw write of as many bytes, both with fsync, side by side in
one run, five interleaved rounds; and the first view after opening it.

The first view is that of a user whose window runs: Open session… is triggered, the dialog stands
for a second, and from the file's choice to the last repaint of the panels it takes so long. The
file is another to the program each time, so that it is tried in a child process as any foreign
file is. Beside it, in the same rounds: without a dialog, as when a file is dropped on the window;
and the engine alone in a fresh process. Median of five rounds 0.5 s; the file is in the cache.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from microtome.records.model import ModelIdentity
from microtome.records.session import Session
from microtome.records.trace import Activation, Trace
from microtome.session.writer import save_session
from microtome_desktop.commands.command import CommandId

pytestmark = pytest.mark.benchmark
ROUNDS, LAYERS, TOKENS, WIDTH, HEADS = 5, 12, 750, 768, 12
MB = 1 << 20
FIRST_VIEW_WANTED = 0.5

FIRST_VIEW = """
import sys, time
began = time.perf_counter()
from microtome.session.reader import open_session
session = open_session(sys.argv[1])
session.clean.attention(5), session.clean.activation("resid_post.5")
print(time.perf_counter() - began)
"""

IMPORTS = """
import time
began = time.perf_counter()
import numpy, h5py
print(time.perf_counter() - began)
"""


def gpt2_small_sized() -> Session:
    """Residual streams, outputs, neurons and patterns of one long prompt: about 1 GB."""
    model = ModelIdentity(
        "sized",
        "gpt2",
        "00" * 32,
        LAYERS,
        HEADS,
        HEADS,
        WIDTH,
        64,
        4 * WIDTH,
        50257,
        1024,
        124 * MB,
    )
    rng = np.random.default_rng(0)

    def site(*shape: int) -> Activation:
        return Activation(rng.random((LAYERS, *shape), dtype=np.float32), tuple(range(LAYERS)))

    streams = ("resid_pre", "attn_out", "resid_mid", "mlp_out", "resid_post")
    sites = {name: site(TOKENS, WIDTH) for name in streams}
    sites |= {name: site(TOKENS, 4 * WIDTH) for name in ("mlp_pre", "mlp_post")}
    sites |= {name: site(HEADS, TOKENS, TOKENS) for name in ("scores", "pattern")}
    top = np.zeros((TOKENS, 20), np.int32)
    words = tuple("word" for _ in range(TOKENS))
    trace = Trace(
        model, " ".join(words), top[:, 0], words, top, top.astype(np.float32),
        top.astype(np.float32), (words[:20],) * TOKENS, None, sites,
    )  # fmt: skip
    return Session(model, (trace,))


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def raw_write(path: Path, arrays: list[np.ndarray]) -> None:
    with path.open("wb", buffering=0) as file:
        for array in arrays:
            view = memoryview(array).cast("B")
            for start in range(0, len(view), MB):
                file.write(view[start : start + MB])
        os.fsync(file.fileno())


@pytest.mark.timeout(600)
def test_saving_keeps_up_with_a_raw_write(tmp_path, measuring):
    session = gpt2_small_sized()
    arrays = [held.values for held in session.clean.activations.values()]
    size = sum(array.nbytes for array in arrays) / 1e6
    include = tuple(session.clean.activations)
    saved, raw = [], []
    for _ in range(ROUNDS):
        raw.append(seconds(lambda: raw_write(tmp_path / "raw.bin", arrays)))
        (tmp_path / "raw.bin").unlink()
        path = tmp_path / "session.h5"
        path.unlink(missing_ok=True)  # freeing the old file is no part of writing the new one
        saved.append(seconds(lambda path=path: save_session(path, session, include=include)))
    title = f"saving {size:.0f} MB with fsync"
    speed = measuring.figure(title, [size / spent for spent in saved], "MB/s")
    measuring.figure(f"{title}, a raw write", [size / spent for spent in raw], "MB/s")
    shares = [other / spent for spent, other in zip(saved, raw, strict=True)]
    share = measuring.figure(f"{title}, share of the raw write", shares, "of it")
    wanted = speed >= 400 / measuring.NEAR or share >= 0.5 / measuring.NEAR
    print(f"wanted ≥ 400 MB/s or ≥ 0.5 of it: {'reached' if wanted else 'MISSED'}")
    assert wanted


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A file of 1 GB that this process did not write as far as it can tell."""
    folder = tmp_path_factory.mktemp("opened")
    session = gpt2_small_sized()
    path = save_session(folder / "own.h5", session, include=tuple(session.clean.activations))
    return path.rename(folder / "copy.h5")


@pytest.mark.timeout(600)
def test_first_view(live, copy, measuring, monkeypatch):
    desk, own, chosen = live.desk, live.desk.workspace.session, []

    def dialog(*_):
        opened = time.perf_counter()
        measuring.pump(lambda: time.perf_counter() - opened > 1)  # the user looks for the file
        chosen.append(time.perf_counter())
        return str(copy), ""

    monkeypatch.setattr("microtome_desktop.views.handlers.QFileDialog.getOpenFileName", dialog)

    def viewed(act) -> float:
        desk.workspace.show(own, dirty=False)
        measuring.until_drawn(live)
        os.utime(copy)  # a file that was never tried
        act()
        began = chosen[-1]
        end = measuring.until_drawn(live, lambda: desk.workspace.path == copy)
        assert len(desk.workspace.session.clean.tokens) == TOKENS
        return end - began

    def drop() -> None:
        chosen.append(time.perf_counter())
        live.handlers.open_dropped(str(copy))

    found: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        asked = viewed(lambda: live.window.actions_table.trigger(CommandId.OPEN_SESSION))
        found.setdefault("chosen in the dialog of a running window", []).append(asked)
        found.setdefault("dropped on a running window", []).append(viewed(drop))
        os.utime(copy)
        fresh = told([FIRST_VIEW, str(copy)])
        found.setdefault("fresh process, engine alone, with its imports", []).append(fresh)
        found.setdefault("fresh process, numpy and h5py alone", []).append(told([IMPORTS]))
    desk.workspace.show(own, dirty=False)
    measuring.until_drawn(live)
    medians = [
        measuring.figure(f"first view of {copy.stat().st_size / 1e6:.0f} MB, {name}", rounds, "s",
                         most=None if "alone" in name else FIRST_VIEW_WANTED)
        for name, rounds in found.items()
    ]  # fmt: skip
    assert medians[0] <= FIRST_VIEW_WANTED * measuring.NEAR


def told(arguments: list[str]) -> float:
    command = [sys.executable, "-c", *arguments]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
