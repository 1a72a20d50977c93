"""Decoding in a child process: what a hostile file does to Pillow, it does there.

The child is a bare interpreter that imports NumPy and Pillow only; ``microtome.images.child`` is
what it does. It is never told a path: bytes go in and pixels come out.
"""

from __future__ import annotations

import contextlib
import json
import queue
import signal
import subprocess
import threading
import time
from types import TracebackType
from typing import IO, Any

import numpy as np

from microtome.errors import ImageError, expect, megabytes
from microtome.images.formats import HEAD, MOST_BYTES, MOST_PIXELS, NAMES, kind_of, other_kind
from microtome.jobs import Job, job_or_default
from microtome.prompts import ImageInput
from microtome.triage.programs import (
    CANNOT_START,
    child_command,
    child_surroundings,
    exit_name,
)

_SECONDS = 20  # of processor time for an image, which the child limits itself
_PATIENCE = 90.0  # seconds by the clock: a busy machine is no damage
_LOOK_AGAIN = 0.05  # seconds, whether the user has stopped it
_LONGEST_WORDS = 1 << 16  # bytes of what the child says
_OTHER_COPY = "Use another copy of the image."
_CONVERT = "Save it in one of these forms."
_Answer = tuple[dict[str, Any], bytes]


def decode_bytes(data: bytes, name: str, job: Job | None = None) -> ImageInput:
    """The image that these bytes of a file hold, for example of a clipboard. Raises ImageError."""
    with Decoder() as decoder:
        return decoder.decode(data, name, job)


class Decoder:
    """A child that decodes one image after another; begun with the first, ended by ``close``."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Decoder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop the child; the next image starts another."""
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            with contextlib.suppress(OSError):  # what it never read is still to be written
                child.communicate()

    def decode(
        self, data: bytes, name: str, job: Job | None = None, source: str = ""
    ) -> ImageInput:
        """The image that these bytes hold, named so; ``source`` is where they are from.

        Raises ImageError for what is no image of a known kind, is too large or damaged, or makes
        the child crash, hang or run out of memory; Cancelled when ``job`` is stopped.
        """
        expect(data, bytes, "data", "the bytes of a file", "Open files with read_image.")
        _expect_image(data, name)
        said, pixels = self._asked(data, name, job_or_default(job))
        if "why" in said:
            raise ImageError(f"{name} {said['why']}", str(said["way_out"]))
        values = np.frombuffer(pixels, np.uint8).reshape(said["shape"])
        return ImageInput(values, name, note=" ".join(said["notes"]), source=source)

    def _asked(self, data: bytes, name: str, job: Job) -> _Answer:
        """What the child says of these bytes; whoever waits for it can be stopped meanwhile."""
        child = self._child = self._child or _start()
        answers: queue.SimpleQueue[_Answer | None] = queue.SimpleQueue()
        thread = threading.Thread(target=_exchange, args=(child, data, answers), daemon=True)
        thread.start()
        answer: _Answer | None = None
        try:
            answer = _awaited(answers, job)
            if answer is None:
                raise ImageError(f"{name} {_end(child)}.", _OTHER_COPY)
        except TimeoutError:
            raise ImageError(
                f"{name} takes longer than {_PATIENCE:.0f} seconds to read.", _OTHER_COPY
            ) from None
        finally:
            if answer is None:
                child.kill()
            thread.join()
            if answer is None:
                self.close()
        return answer


def _start() -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - our own interpreter and program
        child_command("images", str(_SECONDS)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=child_surroundings(),
    )


def _exchange(
    child: subprocess.Popen[bytes], data: bytes, answers: queue.SimpleQueue[_Answer | None]
) -> None:
    """Put the child's answer, or None when it ended without one or made no sense."""
    assert child.stdin is not None  # noqa: S101 - both were asked for
    assert child.stdout is not None  # noqa: S101
    try:
        child.stdin.write(len(data).to_bytes(8, "little"))
        child.stdin.write(data)
        child.stdin.flush()
        answers.put(_answer(child.stdout))
    except (OSError, ValueError, TypeError, LookupError, RecursionError):
        answers.put(None)


def _answer(pipe: IO[bytes]) -> _Answer | None:
    length = int.from_bytes(pipe.read(4), "little")
    if not 0 < length <= _LONGEST_WORDS:
        return None
    said = json.loads(pipe.read(length))
    if "why" in said:
        return said, b""
    rows, columns, channels = map(int, said["shape"])
    if min(rows, columns) < 1 or rows * columns > MOST_PIXELS or channels not in (1, 3):
        return None
    said = {"shape": (rows, columns, channels), "notes": [str(note) for note in said["notes"]]}
    pixels = pipe.read(rows * columns * channels)
    return (said, pixels) if len(pixels) == rows * columns * channels else None


def _awaited(answers: queue.SimpleQueue[_Answer | None], job: Job) -> _Answer | None:
    """The answer, None when the child gave none. Raises TimeoutError and Cancelled."""
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until:
        job.check()
        with contextlib.suppress(queue.Empty):
            return answers.get(timeout=_LOOK_AGAIN)
    raise TimeoutError


def _end(child: subprocess.Popen[bytes]) -> str:
    """How a child ended that gave no answer, after the name of what it read."""
    try:
        code = child.wait(_SECONDS)
    except subprocess.TimeoutExpired:
        return "made the reader say what makes no sense: it was made to do harm"
    if code == CANNOT_START:
        return "cannot be read: the reader of images does not start"
    if hasattr(signal, "SIGXCPU") and code == -signal.SIGXCPU:
        return f"takes more than {_SECONDS} seconds of processor time to read"
    return f"stopped the reader ({exit_name(code)}): it is damaged, or was made to do harm"


def _expect_image(data: bytes, name: str) -> None:
    """Refuse what need not be decoded to be refused. Raises ImageError."""
    if not data:
        raise ImageError(f"{name} is empty.", _OTHER_COPY)
    expect_size(len(data), name)
    if not kind_of(data[:HEAD]):
        other = other_kind(data[:HEAD]) or "no image that is known"
        raise ImageError(f"{name} is {other}; images of {NAMES} can be read.", _CONVERT)


def expect_size(size: int, name: str) -> None:
    """Refuse a file that is too large. Raises ImageError."""
    if size > MOST_BYTES:
        raise ImageError(
            f"{name} has {megabytes(size)}, but an image may have {megabytes(MOST_BYTES)}.",
            "Make it smaller in a picture program.",
        )
