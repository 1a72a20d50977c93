"""What the child of a trial does: walk a file and read its small parts, within limits."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from microtome.errors import MicrotomeError
from microtome.session.handle import Handle
from microtome.session.safety import check_inflation

_MEMORY = 1 << 30
_SMALL = 1 << 20


def main(seconds: int) -> None:
    """Read a path from the standard input, write null or the error as JSON."""
    path = Path(os.fsdecode(sys.stdin.buffer.read()))
    if not path.name:
        return
    limit(seconds)
    verdict: dict[str, str] | None = None
    try:
        examine(path)
    except MicrotomeError as error:
        kind = type(error).__name__
        verdict = {"kind": kind, "what": error.what, "way_out": error.way_out}
    except MemoryError:
        verdict = {
            "kind": "SessionDamaged",
            "what": f"{path.name} takes more memory to open than any session.",
            "way_out": "Open another copy of the session.",
        }
    sys.stdout.write(json.dumps(verdict))


def limit(seconds: int) -> None:
    """Let this process use little time and memory, where the system can."""
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def examine(path: Path) -> None:
    """Check a file as the reader would, and read all that the reader reads on opening.

    Raises what the reader would raise.
    """
    handle = Handle(path)
    with handle.understanding():
        for name in handle.inspect():
            with handle.reading(name) as file:
                dataset = file[name]
                if dataset.nbytes <= _SMALL:
                    check_inflation(dataset.id, name)
                    dataset[...]
    handle.close()
