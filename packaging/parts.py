"""All tests in parts of about the same length, for processes that take one after another.

The parts follow from the files found: a new file or folder of tests needs no entry anywhere. How
long each file takes stands in ``seconds.json``, which `bootstrap.py test --timed` writes anew; a
file that it does not know counts by its bytes.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

WINDOW = "desktop"
# The tests of the engine check the shapes of all arrays; those of the window, which run it through
# the same calls, take it as users do, which saves a third of their time.
PLAIN = ("--jaxtyping-packages=",)
# So do those of the engine that go through whole families, or whole files, again and again. Name
# only files here whose functions others call too, under the checks.
UNCHECKED = frozenset(
    f"core/test_{name}.py"
    for name in (
        "component_identities", "discovery_memory", "discovery_plain", "edits", "selfcheck",
        "session_damaged", "session_harm", "session_versions", "sweeps_families", "sweeps_memory",
    )
) | frozenset(
    f"core/wal/test_wal_{name}.py"
    for name in ("edits", "full", "kills", "lazy", "logs", "places", "power")
) | {"core/hostile/test_hostile.py", "core/fuzz/test_fuzz.py"}  # fmt: skip
WHOLE = "architecture"  # Tests of files and processes, which have no arrays.
# Few: each opens its own window or loads its own models.
OF_EACH_KIND = {"window": 2, "plain engine": 1, "engine": 1}
# One more than the processors of a small machine: tests of the window wait for timers and threads,
# and the engine's then use the time.
AT_ONCE = 3
# Each process computes with one thread; several of each would wait for one another. Compiled files
# are kept even where the user's own Python writes none: the many processes that tests start need
# them, and rewriting all tests and shapes takes longer than most files of tests.
SETTINGS = {"OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": ""}
SECONDS = Path("packaging", "seconds.json")


@dataclass(frozen=True)
class Part:
    """Tests that one process runs: their files below the root, and options of pytest."""

    name: str
    files: tuple[Path, ...]
    options: tuple[str, ...] = ()


def parts(root: Path) -> list[Part]:
    """All test files below ``root``, each in one part; those that last longest come first."""
    lengths = expected(root)
    kinds: dict[str, dict[Path, float]] = {kind: {} for kind in OF_EACH_KIND}
    for file, long in lengths.items():
        kinds[_kind(file.relative_to(root / "tests"))][file] = long
    made = [part for kind, files in kinds.items() for part in _divided(kind, files)]
    return [part for part in made if part.files]


def expected(root: Path) -> dict[Path, float]:
    """Seconds that each test file below ``root`` takes, as recorded, else by its bytes."""
    files = sorted((root / "tests").rglob("test_*.py"))
    held = root / SECONDS
    known = json.loads(held.read_text("utf-8")) if held.exists() else {}
    names = {file: file.relative_to(root).as_posix() for file in files}
    timed = [file for file in files if names[file] in known]
    taken, read = sum(known[names[file]] for file in timed), sum(map(_bytes, timed))
    rate = taken / read if taken else 1.0
    return {file: known.get(names[file], rate * _bytes(file)) for file in files}


def record(root: Path, reports: Iterable[Path]) -> None:
    """Write down the seconds that each file took, from what pytest reported of all parts."""
    taken: defaultdict[str, float] = defaultdict(float)
    for report in reports:
        for case in ET.parse(report).iter("testcase"):  # noqa: S314  pytest wrote it
            taken[case.get("classname", "").replace(".", "/") + ".py"] += float(case.get("time", 0))
    told = {name: round(seconds, 1) for name, seconds in sorted(taken.items())}
    (root / SECONDS).write_text(json.dumps(told, indent=1) + "\n", "utf-8")


def _kind(file: Path) -> str:
    """Which kind of part a file below ``tests`` belongs to."""
    if file.parts[0] == WINDOW:
        return "window"
    plain = file.parts[0] == WHOLE or file.as_posix() in UNCHECKED
    return "plain engine" if plain else "engine"


def _divided(kind: str, lengths: dict[Path, float]) -> list[Part]:
    """Deal files out so that each part has about the same length of tests to run."""
    dealt: list[list[Path]] = [[] for _ in range(OF_EACH_KIND[kind])]
    options = () if kind == "engine" else PLAIN
    for file in sorted(lengths, key=lengths.__getitem__, reverse=True):
        min(dealt, key=lambda part: sum(lengths[each] for each in part)).append(file)
    return [
        Part(f"{kind} {number}", tuple(sorted(part)), options)
        for number, part in enumerate(dealt, 1)
    ]


def _bytes(file: Path) -> int:
    """The size of a file: what is known of its time without running it."""
    return file.stat().st_size
