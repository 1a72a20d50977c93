"""Bare interpreters for files of strangers: one library or two, no site hooks, and little else."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

CHILD = "--child"
# The children of a frozen program, and what their ``main`` is in.
CHILDREN = {"session": "microtome.session.child", "images": "microtome.images.child"}


def child_command(name: str, seconds: int, program: str, *libraries: str) -> list[str]:
    """The command that starts one of ``CHILDREN``, which gives itself so much processor time.

    It is an interpreter that runs ``program`` with the path of these libraries as JSON. The
    executable of a frozen program is no interpreter but the program: it is told what to be.
    """
    if getattr(sys, "frozen", False):
        return [sys.executable, CHILD, name, str(seconds)]
    return [sys.executable, "-I", "-S", "-c", program, json.dumps(search_path(*libraries))]


def be_child(arguments: Sequence[str]) -> bool:
    """Be the child that the arguments of a frozen program ask for; whether they ask for one."""
    if len(arguments) != 3 or arguments[0] != CHILD or arguments[1] not in CHILDREN:
        return False
    import_module(CHILDREN[arguments[1]]).main(int(arguments[2]))
    return True


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
