"""Child programs: what they are called, and the command line that starts one.

A bare child is an interpreter without site hooks that can import the standard library, this
program and its libraries, and nothing of the user's. In a frozen bundle the executable is the
program itself, so that a child is the program with ``--child NAME ARGUMENTS``, which hands its
arguments to ``be_child`` before anything else.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType

CHILD = "--child"
CANNOT_START = 3
# No plugin of HDF5 may load, and one thread of arithmetic is one more than is needed.
_SETTINGS = {
    "HDF5_PLUGIN_PRELOAD": "::", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}  # fmt: skip
_START = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from microtome.triage.programs import run_child
sys.exit(run_child(sys.argv[2], sys.argv[3:]))
"""


@dataclass(frozen=True, slots=True)
class Program:
    """A child program: the module whose ``main`` it runs, and the libraries of a bare one."""

    module: str
    libraries: tuple[str, ...]
    bare: bool = True


PROGRAMS: Mapping[str, Program] = MappingProxyType({
    "triage": Program("microtome.triage.child", ("numpy", "h5py", "microtome_resources")),
    "images": Program("microtome.images.child", ("numpy", "PIL")),
    "umap": Program("microtome.analysis.umap_process", (), bare=False),
})  # fmt: skip


def child_command(name: str, *arguments: str) -> list[str]:
    """The command line of a child program, a row of ``PROGRAMS``."""
    program = PROGRAMS[name]
    if getattr(sys, "frozen", False):
        return [sys.executable, CHILD, name, *arguments]
    if not program.bare:
        # -P: modules in the folder of whoever started us are no modules of the library's.
        return [sys.executable, "-P", "-m", program.module, *arguments]
    path = json.dumps(_search_path(program.libraries))
    return [sys.executable, "-I", "-S", "-c", _START, path, name, *arguments]


def child_surroundings() -> dict[str, str]:
    """The environment variables of a bare child."""
    return {**os.environ, **_SETTINGS}


def run_child(name: str, arguments: Sequence[str]) -> int:
    """Be a child program until it ends; its exit status, CANNOT_START without its libraries."""
    try:
        main: Callable[[Sequence[str]], None] = import_module(PROGRAMS[name].module).main
    except ImportError:
        return CANNOT_START
    main(arguments)
    return 0


def be_child(arguments: Sequence[str]) -> bool:
    """Be the child that a frozen program's arguments ask for; whether they ask for one."""
    if len(arguments) < 2 or arguments[0] != CHILD or arguments[1] not in PROGRAMS:
        return False
    status = run_child(arguments[1], arguments[2:])
    if status:
        sys.exit(status)
    return True


def _search_path(libraries: Sequence[str]) -> list[str]:
    """Folders of the standard library, of this program and of some libraries."""
    found = [Path(__file__).parents[2]]
    specs = (find_spec(name) for name in libraries)
    found += [Path(spec.origin).parents[1] for spec in specs if spec and spec.origin]
    standard = [Path(os.__file__).parent, Path(os.__file__).parent / "lib-dynload"]
    return list(dict.fromkeys(str(folder) for folder in [*standard, *found]))


def exit_name(code: int) -> str:
    """How a process ended, in words: the name of a signal, or its exit status."""
    return signal.Signals(-code).name if code < 0 else f"exit status {code}"
