"""A fork server: copies of this process read damaged files, some each, and may break in it."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import mutators
from seeds import Folder

from microtome.errors import MicrotomeError
from microtome.triage.guard import confine
from microtome.triage.limits import MB, Budget, keep_to

SECONDS = 2  # of processor time that one input may take
_MEMORY = 256 * MB


@dataclass
class Tally:
    """What came of the inputs of one reader."""

    read: int = 0
    refused: int = 0
    broken: dict[int, str] = field(default_factory=dict)  # number of the input → how

    @property
    def count(self) -> int:
        """How many inputs there were."""
        return self.read + self.refused + len(self.broken)


def damaged(name: str, number: int, held: Sequence[Folder], seed: int) -> Folder:
    """The input of a number: one file of a folder damaged, the same whenever it is asked for."""
    dice = random.Random(f"{seed}:{name}:{number}")
    folder = dict(dice.choice(held))
    file = dice.choice(sorted(folder))
    others = [dice.choice(sorted(dice.choice(held).items()))[1] for _ in range(3)]
    folder[file] = mutators.mutated(dice, folder[file], others)
    return folder


def refused_seeds(reader, held: Sequence[Folder], room: Path) -> list[str]:
    """How seeds went that were not read: there is nothing to damage about them."""
    for number, folder in enumerate(held):
        _lay_out(room / str(number), folder)
    try:
        return [how for _, how in _copy(reader, list(range(len(held))), room) if how != "read"]
    finally:
        shutil.rmtree(room, ignore_errors=True)


def _lay_out(where: Path, folder: Folder) -> None:
    for file, data in folder.items():
        (where / file).parent.mkdir(parents=True, exist_ok=True)
        (where / file).write_bytes(data)


def batch(reader, name, numbers, held, seed, room: Path) -> Tally:
    """Read the inputs of these numbers; each copy goes as far as it gets."""
    tally, left = Tally(), list(numbers)
    for number in numbers:
        _lay_out(room / str(number), damaged(name, number, held, seed))
    try:
        while left:
            for number, how in _copy(reader, left, room):
                left.remove(number)
                if how == "read":
                    tally.read += 1
                elif how == "refused":
                    tally.refused += 1
                else:
                    tally.broken[number] = how
    finally:
        shutil.rmtree(room, ignore_errors=True)
    return tally


def _copy(reader, numbers: list[int], room: Path) -> Iterator[tuple[int, str]]:
    """How inputs went, up to the first that ended the copy."""
    reading, writing = os.pipe()
    copy = os.fork()
    if copy == 0:
        try:
            os.close(reading)
            _read_all(reader, numbers, room, writing)
            os._exit(0)
        finally:
            os._exit(70)
    os.close(writing)
    left = list(numbers)
    with os.fdopen(reading, "rb") as pipe:
        for line in pipe:
            number, how = json.loads(line)
            left.remove(number)
            yield number, how
    code = os.waitstatus_to_exitcode(os.waitpid(copy, 0)[1])
    if left:  # it ended at the first of them
        yield left[0], signal.Signals(-code).name if code < 0 else f"exit status {code}"


def _read_all(reader, numbers: list[int], room: Path, pipe: int) -> None:
    warnings.simplefilter("ignore")
    sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115
    keep_to(Budget(60 + 2 * len(numbers), _MEMORY))
    confine([room])
    for number in numbers:
        signal.setitimer(signal.ITIMER_PROF, SECONDS)  # SIGPROF ends the copy
        try:
            reader.read(room / str(number))
            how = "read"
        except MicrotomeError:
            how = "refused"
        except BaseException as error:  # noqa: BLE001  # that is what is looked for
            where = traceback.extract_tb(error.__traceback__)[-1]
            told = f"{type(error).__name__}: {str(error)[:100]} at {Path(where.filename).name}"
            how = f"{told}:{where.lineno}"
            if isinstance(error, MemoryError) and reader.child:
                how = "refused"
        signal.setitimer(signal.ITIMER_PROF, 0)
        os.write(pipe, json.dumps([number, how]).encode() + b"\n")
