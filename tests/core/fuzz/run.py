"""Random damage to sound files, read by every reader: ``make fuzz ARGS="--seconds 600"``.

Inputs that break a reader (another end than a reading or a refusal with its reason) are kept in a
folder outside of the repository, and named. The same ``--seed`` makes the same inputs.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections import defaultdict
from importlib import import_module
from pathlib import Path
from types import ModuleType

HERE = Path(__file__).resolve().parent
_TELL = 10_000  # inputs between two lines


def _find_helpers() -> None:
    """Make modules of the tests importable, as pytest's conftest does."""
    for folder in (HERE, HERE.parent, HERE.parent / "wal"):
        sys.path.append(str(folder))
    hostile = ModuleType("hostile")
    hostile.__path__ = [str(HERE.parent / "hostile")]
    sys.modules["hostile"] = hostile
    os.environ["HF_HUB_OFFLINE"] = "1"


def main(arguments: list[str]) -> int:
    """Fuzz, print what came of it, return 1 when anything broke."""
    asked = _asked(arguments)
    _find_helpers()
    forks, readers = import_module("forks"), import_module("readers")
    import_module("torch").set_num_threads(1)
    keep = Path(asked.keep or tempfile.mkdtemp(prefix="microtome-fuzz-"))
    with tempfile.TemporaryDirectory() as scratch:
        held = _seeds(Path(scratch), readers.READERS, asked.only)
        readers.in_this_process()
        for name, seeds in held.items():
            wrong = forks.refused_seeds(readers.READERS[name], seeds, Path(scratch) / "room")
            assert not wrong, f"seeds of {name} are not read: {wrong}"
        tallies, seconds = _rounds(asked, forks, readers.READERS, held, Path(scratch))
    return _report(asked, forks, held, tallies, seconds, keep)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _asked(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0, help="after which it ends")
    parser.add_argument("--count", type=int, default=100_000, help="inputs after which it ends")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="one reader, for example graph")
    parser.add_argument("--keep", default="", help="a folder for what breaks a reader")
    return parser.parse_args(arguments)


def _seeds(scratch: Path, rows, only: str):
    held = {}
    for name, row in rows.items():
        if only in ("", name):
            (scratch / "seeds" / name).mkdir(parents=True)
            held[name] = row.seeds(scratch / "seeds" / name)
    return held


def _rounds(asked, forks, rows, held, scratch: Path):
    """Batches of all readers in turn, each as often as its share says."""
    tallies = {name: forks.Tally() for name in held}
    spent: defaultdict[str, float] = defaultdict(float)
    begun, told = time.monotonic(), 0
    while (count := sum(tally.count for tally in tallies.values())) < asked.count:
        if count >= told + _TELL:
            told = count
            _say(f"… {count:,} inputs after {time.monotonic() - begun:.0f} s")
        if time.monotonic() - begun > asked.seconds:
            break
        name = min(tallies, key=lambda each: tallies[each].count / rows[each].share)
        tally, row, at = tallies[name], rows[name], time.monotonic()
        numbers = range(tally.count, tally.count + row.at_once)
        found = forks.batch(row, name, numbers, held[name], asked.seed, scratch / "room")
        tally.read += found.read
        tally.refused += found.refused
        tally.broken |= found.broken
        spent[name] += time.monotonic() - at
    return tallies, spent


def _report(asked, forks, held, tallies, seconds, keep: Path) -> int:
    broken = 0
    for name, tally in tallies.items():
        _say(
            f"{name}: {tally.count:,} inputs in {seconds[name]:.0f} s, {tally.refused:,} refused, "
            f"{tally.read:,} read, {len(tally.broken)} broken"
        )
        for number, how in tally.broken.items():
            broken += 1
            where = keep / f"{name}-{asked.seed}-{number}"
            for file, data in forks.damaged(name, number, held[name], asked.seed).items():
                (where / file).parent.mkdir(parents=True, exist_ok=True)
                (where / file).write_bytes(data)
            _say(f"  {where}: {how}")
    total = sum(tally.count for tally in tallies.values())
    _say(f"{total:,} inputs, {broken} broken, seed {asked.seed}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
