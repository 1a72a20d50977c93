"""A trial reading in a child process: a file that hangs or crashes HDF5 does so there.

The child is a bare interpreter that imports numpy and h5py only; ``microtome.session.child``
is what it does.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import subprocess
from pathlib import Path

from microtome import errors
from microtome.errors import SessionDamaged
from microtome.session.bare import child_command, exit_name
from microtome.session.trust import stamp

_SECONDS = 10  # of processor time, which the child limits itself
_PATIENCE = 90  # seconds by the clock: a busy machine is no damage
_CANNOT_START = 3
_PROGRAM = f"""
import json, sys
sys.path[:] = json.loads(sys.argv[1])
try:
    from microtome.session.child import main
except ImportError:
    sys.exit({_CANNOT_START})
main({_SECONDS})
"""

_waiting: list[subprocess.Popen[bytes]] = []


def prepare() -> None:
    """Start the child of the next trial ahead of time, for example when a dialog opens.

    It waits for its file, and ends with this process.
    """
    if not _waiting:
        _waiting.append(_start())
        atexit.register(_dismiss)


def _dismiss() -> None:
    while _waiting:
        child = _waiting.pop()
        child.kill()
        child.communicate()


def _start() -> subprocess.Popen[bytes]:
    # No plugin may load, and one thread of arithmetic is one more than is needed.
    settings = {"HDF5_PLUGIN_PRELOAD": "::", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(  # noqa: S603 - our own interpreter and program
        child_command("session", _SECONDS, _PROGRAM, "numpy", "h5py"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **settings},
    )


class Trial:
    """A child that reads a file; begun at once, so that the caller can go on meanwhile."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp = stamp(path)
        self._child = _waiting.pop() if _waiting else _start()
        assert self._child.stdin is not None  # noqa: S101 - it was asked for
        with contextlib.suppress(BrokenPipeError):
            self._child.stdin.write(os.fsencode(path.absolute()))
            self._child.stdin.close()
        self._child.stdin = None

    def finish(self) -> bool:
        """Wait for the child; whether it looked at the file, and the file is still the same.

        Raises what it raised, or SessionDamaged when it crashed, hung or ran out of memory.
        """
        try:
            output, _ = self._child.communicate(timeout=_PATIENCE)
        except subprocess.TimeoutExpired:
            raise self._failed(f"took longer than {_PATIENCE} seconds to look at") from None
        finally:
            self.cancel()
        if self._child.returncode == _CANNOT_START:
            return False
        if self._child.returncode != 0 or not output:
            raise self._failed(f"stopped the reader ({exit_name(self._child.returncode)})")
        verdict = json.loads(output)
        if verdict is not None:
            raise getattr(errors, verdict["kind"])(verdict["what"], verdict["way_out"])
        return stamp(self._path) == self._stamp

    def cancel(self) -> None:
        """Stop the child if it still runs."""
        if self._child.poll() is None:
            self._child.kill()
            self._child.communicate()

    def _failed(self, what: str) -> SessionDamaged:
        return SessionDamaged(
            f"{self._path.name} {what}: it is damaged, or was made to do harm.",
            "Open another copy of the session.",
        )
