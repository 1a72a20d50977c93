"""One file, or the files of one folder, looked at by a child before this program reads them."""

from __future__ import annotations

import json
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from microtome import errors
from microtome.errors import MicrotomeError
from microtome.jobs import Job
from microtome.triage import server, trust
from microtome.triage.kinds import KINDS, Kind
from microtome.triage.limits import PATIENCE, Budget, budget, bytes_read
from microtome.triage.programs import CANNOT_START, exit_name
from microtome.triage.server import Answer, Server

_PATIENCE = PATIENCE + 5.0  # the child's own clock ends it first


class Examination:
    """A look at files by a child; begun at once, so that the caller can go on meanwhile.

    ``paths`` are what the check of the kind is given, ``files`` all files that it may read, whose
    bytes are its budget.
    """

    def __init__(self, kind: str, paths: Sequence[Path], files: Sequence[Path] = ()) -> None:
        self._kind, self._paths, self._files = KINDS[kind], tuple(paths), tuple(files or paths)
        self._stamps = trust.stamps(self._files)
        self._limits = _budget(self._kind, self._files)
        self._server: Server | None = server.take()
        self._server.ask(self._request())
        self.used: Answer = {}

    def _request(self) -> dict[str, Any]:
        return {
            "check": self._kind.check,
            "paths": [str(path.absolute()) for path in self._paths],
            "links": [str(path.resolve()) for path in self._files],
            "seconds": self._limits.seconds,
            "memory": self._limits.memory,
        }

    def finish(self, job: Job | None = None) -> bool:
        """Wait for the child; whether it looked at the files, and they are still the same.

        Raises what the check raised, or the error of the kind where the child crashed, hung or
        ran out of its budget; Cancelled when the job is stopped, with the child.
        """
        held, self._server = self._server, None
        assert held is not None  # noqa: S101 - there is one look
        try:
            answer = held.answer(job, _PATIENCE)
        except TimeoutError:
            raise self._failed(f"took longer than {_PATIENCE:.0f} seconds to look at") from None
        if answer is None:
            code = held.end()
            if code == CANNOT_START:
                return False
            raise self._failed(f"stopped the reader ({exit_name(code)})")
        server.give_back(held)
        self.used = answer
        if "cannot" in answer:
            return False
        self._judge(answer)
        return trust.stamps(self._files) == self._stamps

    def cancel(self) -> None:
        """Stop the child if it still looks."""
        held, self._server = self._server, None
        if held:
            held.end()

    def _judge(self, answer: Answer) -> None:
        code, verdict = answer.get("code"), _verdict(answer.get("said"))
        if code in _TOO_LONG:
            raise self._failed(
                f"takes more than {self._limits.seconds} s of processor time to read"
            )
        if code != 0 or verdict is None:
            raise self._failed(f"stopped the reader ({_end(code)})")
        kind = verdict.get("kind")
        if kind is None:
            return
        if kind == "MemoryError":
            most = errors.megabytes(self._limits.memory)
            raise self._failed(f"takes more than {most} of memory to read")
        raised = getattr(errors, str(kind), None)
        if not isinstance(raised, type) or not issubclass(raised, MicrotomeError):
            raise self._failed("made the reader say what makes no sense")
        raise raised(str(verdict.get("what")), str(verdict.get("way_out")))

    def _failed(self, what: str) -> MicrotomeError:
        made: MicrotomeError = getattr(errors, self._kind.error)(
            f"{self._paths[0].name} {what}: it is damaged, or was made to do harm.",
            f"Open another copy of the {self._kind.name}.",
        )
        return made


_TOO_LONG = {-int(getattr(signal, "SIGXCPU", 0)) or None}


def _budget(kind: Kind, files: Sequence[Path]) -> Budget:
    return budget(sum(map(bytes_read, files)), kind.pace, kind.times, kind.most)


def _verdict(said: Any) -> dict[str, Any] | None:
    try:
        found = json.loads(said)
    except (TypeError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _end(code: Any) -> str:
    return exit_name(code) if isinstance(code, int) else "no answer"


def examine(
    kind: str, paths: Sequence[Path], files: Sequence[Path] = (), *, job: Job | None = None
) -> None:
    """Have a child look at foreign files, unless it did and they are the same since.

    What this program wrote itself, or came with it, is not foreign. ``paths`` and ``files`` are as
    in ``Examination``. Raises what ``Examination.finish`` raises.
    """
    held = tuple(files or paths)
    if all(trust.is_own(path, kind) for path in held):
        return
    if Examination(kind, paths, held).finish(job):
        for path in held:
            trust.remember(path, kind)
