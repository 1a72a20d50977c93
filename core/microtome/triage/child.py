"""What the triage child does: it looks at files, each in a copy of itself that then ends.

A request is a line of JSON: ``check`` (``module:function``), ``paths`` and the limits. The answer
is one too: ``verdict`` (empty, or an error's kind, what and way_out), or how the copy ended, and
what it used. Where the system cannot copy a process, the child looks itself and then ends.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from microtome.errors import MicrotomeError
from microtome.triage.guard import confine
from microtome.triage.limits import Budget, keep_to

Check = Callable[[Sequence[Path]], None]
MOST_WORDS = 1 << 15  # characters that a verdict may have
_LONGEST = 4_000
_CRASHED = 70


def main(arguments: Sequence[str]) -> None:
    """Answer requests until the standard input ends; ``arguments`` name checks to have ready."""
    for name in arguments:
        _check(name)
    for line in sys.stdin.buffer:
        asked = json.loads(line)
        sys.stdout.write(json.dumps(_answer(asked)) + "\n")
        sys.stdout.flush()
        if not hasattr(os, "fork"):
            return


def _check(name: str) -> Check | None:
    module, _, function = name.partition(":")
    try:
        found: Check = getattr(import_module(module), function)
    except ImportError:
        return None
    return found


def _answer(asked: dict[str, Any]) -> dict[str, Any]:
    check = _check(asked["check"])
    if check is None:
        return {"cannot": asked["check"]}
    if not hasattr(os, "fork"):
        return {"said": json.dumps(_verdict(check, asked)), "code": 0}
    return _in_a_copy(check, asked)


def _in_a_copy(check: Check, asked: dict[str, Any]) -> dict[str, Any]:
    reading, writing = os.pipe()
    copy = os.fork()
    if copy == 0:
        try:
            os.close(reading)
            os.write(writing, json.dumps(_verdict(check, asked)).encode())
            os._exit(0)
        finally:
            os._exit(_CRASHED)  # whatever else it was: the copy never goes on as the child
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read(MOST_WORDS).decode("utf-8", "replace")
    _, status, used = os.wait4(copy, 0)
    return {
        "said": said,
        "code": os.waitstatus_to_exitcode(status),
        "seconds": used.ru_utime + used.ru_stime,
        "memory": used.ru_maxrss << 10,
    }


def _verdict(check: Check, asked: dict[str, Any]) -> dict[str, str]:
    """Empty for a file that is as it should be, else the error that its reader raises."""
    paths = [Path(path) for path in asked["paths"]]
    gc.disable()  # a parse that makes a million values need not look for rings among them
    keep_to(Budget(asked["seconds"], asked["memory"]))
    confine([*paths, *map(Path, asked["links"])])
    try:
        check(paths)
    except MicrotomeError as error:
        kind = type(error).__name__
        return {"kind": kind, "what": error.what[:_LONGEST], "way_out": error.way_out[:_LONGEST]}
    except MemoryError:
        return {"kind": "MemoryError"}
    return {}
