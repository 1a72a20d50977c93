"""Bare interpreters for files of strangers: one library or two, no site hooks, and little else."""

from __future__ import annotations

import os
import signal
from importlib.util import find_spec
from pathlib import Path


def search_path(*libraries: str) -> list[str]:
    """Folders of the standard library, of this program and of some libraries.

    An interpreter that is started with ``-S`` and these imports nothing else.
    """
    found = [Path(__file__).parents[2]]
    specs = (find_spec(name) for name in libraries)
    found += [Path(spec.origin).parents[1] for spec in specs if spec and spec.origin]
    standard = [Path(os.__file__).parent, Path(os.__file__).parent / "lib-dynload"]
    return list(dict.fromkeys(str(folder) for folder in [*standard, *found]))


def exit_name(code: int) -> str:
    """How a process ended, in words: the name of a signal, or its exit status."""
    return signal.Signals(-code).name if code < 0 else f"exit status {code}"
