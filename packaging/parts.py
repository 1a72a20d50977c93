"""All tests in parts of about the same length, for two processes that take one after another.

The parts follow from the files found: a new file or folder of tests needs no entry anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

WINDOW = "desktop"
# The tests of the engine check the shapes of all arrays; those of the window, which run it through
# the same calls, take it as users do, which saves a third of their time.
PLAIN = ("--jaxtyping-packages=",)
# Few: each opens its own window or loads its own models. As many of each kind as run at once, so
# that no process ends long before the other.
AT_ONCE = 2


@dataclass(frozen=True)
class Part:
    """Tests that one process runs: their files below the root, and options of pytest."""

    name: str
    files: tuple[Path, ...]
    options: tuple[str, ...] = ()


def parts(root: Path) -> list[Part]:
    """All test files below ``root``, each in one part; those that last longest come first."""
    files = sorted((root / "tests").rglob("test_*.py"))
    window = [file for file in files if root / "tests" / WINDOW in file.parents]
    engine = [file for file in files if file not in window]
    made = [*_divided("window", window, PLAIN), *_divided("engine", engine, ())]
    return [part for part in made if part.files]


def _divided(kind: str, files: list[Path], options: tuple[str, ...]) -> list[Part]:
    """Deal files out so that each part has about the same length of tests to run."""
    dealt: list[list[Path]] = [[] for _ in range(AT_ONCE)]
    for file in sorted(files, key=_length, reverse=True):
        min(dealt, key=lambda part: sum(map(_length, part))).append(file)
    return [
        Part(f"{kind} {number}", tuple(sorted(part)), options)
        for number, part in enumerate(dealt, 1)
    ]


def _length(file: Path) -> int:
    """How long a file is, in bytes: what is known of its time without running it."""
    return file.stat().st_size
