"""What a session of 5 GB takes to keep what changed, and to save it, through its log.

100 rounds: a note of some hundred letters and a changed view are kept, as two seconds after the
last key; every fourth is saved. Beside it stand the processor time, and an append with fsync of as
many bytes as the log takes on the same disk in the same rounds: no commit can be faster than two of
those, one for the file and one for the log.
"""

from __future__ import annotations

import os
import time
from dataclasses import replace

import numpy as np
import pytest

from microtome.records.marks import Marks, Note
from microtome.records.model import ModelIdentity
from microtome.records.session import Session
from microtome.records.trace import Activation, Trace
from microtome.session.reader import open_session
from microtome.session.store import SessionStore
from microtome.session.verify import verify_session

pytestmark = pytest.mark.benchmark
ROUNDS, LAYERS, TOKENS, WIDTH = 100, 12, 512, 768
KEEP_WANTED, SAVE_WANTED = 0.050, 0.100  # seconds, of 95 %
GIGABYTES = 5


class Filled:
    """Activations of a layer's shape that take no memory."""

    shape, dtype = (LAYERS, TOKENS, WIDTH), np.dtype(np.float32)

    def __init__(self, value: float) -> None:
        self._value = np.float32(value)

    def __getitem__(self, index: object) -> np.ndarray:
        return np.broadcast_to(self._value, self.shape)[index]


def large_session() -> Session:
    size = LAYERS * TOKENS * WIDTH * 4
    model = ModelIdentity(
        "sized", "gpt2", "00" * 32, LAYERS, 12, 12, WIDTH, 64, 4 * WIDTH, 50257, 1024, 1 << 27
    )
    top = np.zeros((TOKENS, 20), np.int32)
    words = tuple("word" for _ in range(TOKENS))
    run = Trace(
        model, " ".join(words), top[:, 0], words, top, top.astype(np.float32),
        top.astype(np.float32), (words[:20],) * TOKENS, None, {},
    )  # fmt: skip
    layers = tuple(range(LAYERS))
    runs = [
        replace(run, activations={"resid_post": Activation(Filled(number), layers)})
        for number in range(round(GIGABYTES * 1e9 / size))
    ]
    return Session(model, tuple(runs))


@pytest.mark.timeout(900)
def test_keeping_and_saving_take_the_time_of_what_changed(tmp_path, measuring):
    path, store, session = tmp_path / "large.h5", SessionStore(), large_session()
    store.save(path, session, None)
    kept, worked, saved, raw = [], [], [], []
    with (tmp_path / "raw.bin").open("wb", buffering=0) as file:
        for number in range(ROUNDS):
            note = Note("/", f"What I saw in round {number}. " * 20, "2026-01-01T00:00:00+00:00")
            session = replace(session, marks=Marks(notes=(note,)), view={"round": number})
            worked.append(-time.process_time())
            kept.append(-time.perf_counter())
            assert store.keep(path, session, None)
            kept[-1] += time.perf_counter()
            worked[-1] += time.process_time()
            if number % 4 == 0:
                saved.append(kept[-1] - time.perf_counter())
                store.save(path, session, None)
                saved[-1] += time.perf_counter()
            raw.append(-time.perf_counter())
            file.write(bytes(64 << 10))
            os.fsync(file.fileno())
            raw[-1] += time.perf_counter()
    title = f"{path.stat().st_size / 1e9:.1f} GB"
    measuring.figure(f"keeping a change, {title}", kept, "s")
    measuring.figure(f"keeping a change, processor, {title}", worked, "s")
    measuring.figure(f"saving a change, {title}", saved, "s")
    measuring.figure("64 kB and fsync", raw, "s")
    slow_keep, slow_save, slow_raw = (float(np.percentile(x, 95)) for x in (kept, saved, raw))
    print(f"95 %: keeping {slow_keep * 1000:.1f} ms, saving {slow_save * 1000:.1f} ms, ", end="")
    print(f"fsync {slow_raw * 1000:.1f} ms")
    store.save(path, session, None)
    store.close()
    assert open_session(path).marks == session.marks
    assert verify_session(path).good
    assert slow_keep <= KEEP_WANTED * measuring.NEAR
    assert slow_save <= SAVE_WANTED * measuring.NEAR
