"""What the child that decodes images does: bytes come in, pixels go out, within limits.

A request is eight bytes that tell a length, and so many bytes of a file. An answer is four bytes
that tell a length, so many bytes of JSON with ``shape`` and ``notes``, and the pixels; or JSON
with ``why`` and ``way_out`` alone. The child ends when no more requests come.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Sequence
from typing import Any, BinaryIO

from microtome.errors import ImageError
from microtome.images.decoding import decode
from microtome.triage.guard import confine

_MEMORY = 5 << 29  # bytes, 2.5 GiB


def main(arguments: Sequence[str]) -> None:
    """Answer requests until the standard input ends.

    The one argument is how many seconds of processor time each image may take to decode.
    """
    seconds = int(arguments[0])
    warnings.simplefilter("ignore")
    confine([])
    asked, answers = sys.stdin.buffer, sys.stdout.buffer
    while len(head := asked.read(8)) == 8:
        data = asked.read(int.from_bytes(head, "little"))
        limit(seconds)
        _answer(answers, data)


def _answer(answers: BinaryIO, data: bytes) -> None:
    said: dict[str, Any]
    try:
        values, notes = decode(data)
    except ImageError as error:
        said, pixels = {"why": error.what, "way_out": error.way_out}, b""
    else:
        said, pixels = {"shape": values.shape, "notes": notes}, values.tobytes()
    text = json.dumps(said).encode()
    answers.write(len(text).to_bytes(4, "little") + text)
    answers.write(pixels)
    answers.flush()


def limit(seconds: int) -> None:
    """Let this process use little more time, and no more memory than any image needs."""
    if sys.platform != "win32":
        import resource

        used = resource.getrusage(resource.RUSAGE_SELF)
        for what, most in (
            (resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime) + seconds),
            (resource.RLIMIT_AS, _MEMORY),
            (resource.RLIMIT_CORE, 0),
            (resource.RLIMIT_FSIZE, 0),
        ):
            hard = resource.getrlimit(what)[1]
            lower = hard != resource.RLIM_INFINITY and hard < most
            resource.setrlimit(what, (hard if lower else most, hard))
