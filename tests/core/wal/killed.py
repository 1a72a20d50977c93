"""Processes that edit a session file and are killed: `killed.py FOLDER KILLS SEED` tells as JSON.

A warm process forks for each kill, so that none has to begin with imports. The child tells through
a pipe what it is about to do and what it has done; the parent kills it at a random moment, starts
again as the program does, and looks at everything in the file.
"""

from __future__ import annotations

import json
import os
import random
import select
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from wal_sessions import after_start, content, edited, numbered, small_session  # noqa: E402

from microtome.records.session import Session  # noqa: E402
from microtome.session.log import log_of  # noqa: E402
from microtome.session.reader import open_session  # noqa: E402
from microtome.session.schema import safe_name  # noqa: E402
from microtome.session.store import SessionStore  # noqa: E402
from microtome.session.verify import compare  # noqa: E402
from microtome.session.writer import save_session  # noqa: E402
from microtome.triage.trust import remember  # noqa: E402

STEPS = 12


def states(first: Session, seed: int) -> Iterator[tuple[Session, str]]:
    """Sessions one after another, the first as given, and how each is made to last."""
    dice, session = random.Random(seed), first
    yield session, "save"
    for number in range(1, STEPS):
        session = numbered(edited(session, dice, 2), number)
        yield session, dice.choice(["keep", "keep", "save"])


class Script:
    """Sessions one after another, and what a file that holds each must hold."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.seed = seed
        self.path = save_session(
            folder / f"start{seed}.h5", small_session(of=("verification/L2H1>M2/value",))
        )
        self.sessions, self.ways = zip(*states(open_session(self.path), seed), strict=True)
        self._known: dict[int, dict] = {}

    def holds(self, number: int) -> dict:
        """What a file that is saved whole holds of a state."""
        if number not in self._known:
            other = save_session(self.path.with_name("plain.h5"), self.sessions[number])
            self._known[number] = content(other)
        return self._known[number]


def edit(script: Script, path: Path, pipe: int) -> None:
    """In the child: states one after another, each told before and after."""
    store = SessionStore()
    remember(path)
    # What is read when it is asked for lies in the file that is edited.
    opened = open_session(path)
    store.opened(path, opened, None, {one: safe_name(one) for one in opened.analyses})
    for number, (session, way) in enumerate(states(opened, script.seed)):
        if number:
            os.write(pipe, f"asked {number}\n".encode())
            if not getattr(store, way)(path, session, None):
                raise SystemExit("the session was not kept")
            os.write(pipe, f"done {number}\n".encode())
    os.write(pipe, b"end 0\n")
    signal.pause()


def killed(script: Script, path: Path, dice: random.Random) -> list[tuple[str, int]]:
    """Let a child edit a file, kill it after some edits, in one; what it told."""
    steps = dice.randrange(1, STEPS - 1)
    out, into = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.close(out)
            edit(script, path, into)
        except Exception:
            traceback.print_exc()
            raise
        finally:
            os._exit(1)
    os.close(into)
    began = time.monotonic()
    told = _until(out, b"", 30, lambda told: told.count(b"done") >= steps)
    pause = dice.random() * (time.monotonic() - began) / steps  # an edit takes about as long
    told = _until(out, told, pause, lambda told: b"end" in told)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while data := os.read(out, 1 << 16):
        told += data
    os.close(out)
    if told.count(b"done") < steps:
        raise SystemExit(f"the child did not come to {steps} edits: {told.decode()}")
    lines = (line.split() for line in told.decode().splitlines())
    return [(what, int(number)) for what, number in lines]


def _until(pipe: int, told: bytes, seconds: float, enough: Callable[[bytes], bool]) -> bytes:
    end = time.monotonic() + seconds
    while not enough(told) and (left := end - time.monotonic()) > 0:
        if select.select([pipe], [], [], left)[0]:
            told += os.read(pipe, 1 << 16)
    return told


def right(script: Script, told: list[tuple[str, int]], answer: str | None) -> set[int]:
    """Numbers of the states that may be found; ``answer`` None where nothing was asked."""
    acked = max([number for what, number in told if what == "done"], default=0)
    asked = max([number for what, number in told if what == "asked"], default=0)
    saved = max(number for number in range(acked + 1) if script.ways[number] == "save")
    if answer == "recover":
        return {acked, asked}
    if answer == "throw away":
        return {saved}
    finished = {asked} if script.ways[asked] == "save" else set()
    return finished | ({acked} if acked == saved else set())


def main(folder: Path, kills: int, seed: int) -> dict[str, int]:
    """Counts of kills, acknowledged edits, edits cut off, logs found, and questions."""
    dice = random.Random(seed)
    scripts = [Script(folder, seed + number) for number in range(min(8, max(1, kills // 6)))]
    counts = dict.fromkeys(("kills", "acknowledged", "cut off", "asked", "logs"), 0)
    for number in range(kills):
        script = dice.choice(scripts)
        path = Path(shutil.copy(script.path, folder / f"held{number}.h5"))
        told = killed(script, path, dice)
        counts["kills"] += 1
        counts["acknowledged"] += sum(what == "done" for what, _ in told)
        counts["cut off"] += told[-1][0] == "asked"
        counts["logs"] += log_of(path).exists()
        answer = dice.choice(["recover", "recover", "throw away"])
        waits = after_start(path, answer)
        counts["asked"] += waits is not None
        found = content(path)
        states = right(script, told, None if waits is None else answer)
        if not any(found == script.holds(state) for state in states):
            raise SystemExit(f"kill {number} of seed {seed}: {path} is none of {states}; {told}")
        if not compare(path).good:
            raise SystemExit(f"kill {number} of seed {seed}: {path} is damaged")
        log_of(path).unlink(missing_ok=True)
        path.unlink()
        if number % 50 == 49:
            sys.stderr.write(f"{counts}\n")
    return counts


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))
