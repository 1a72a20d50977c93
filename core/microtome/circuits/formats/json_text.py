"""JSON of any length, value by value: what is large is never in memory as a whole.

Long arrays are parsed in blocks by the standard library's C scanner. A block ends behind some
``},``; where brackets and quotes balance up to there, that place is between two elements, and
nowhere else, so that a parse that succeeds is right.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, TextIO

from microtome.errors import GraphError, megabytes
from microtome.jobs import Job

_BLOCK = 4 << 20  # characters
_SPACE = " \t\n\r"
_NEAR_END = 16  # an error this near to the end of a block may be the end's
_LONGEST = 1 << 30  # characters of one value that is not read element by element
_COPY = "Copy the file again, or export it anew."


def _no_number(name: str) -> NoReturn:
    raise GraphError(
        f"The file holds {name}, which is not a number of JSON; weights must be finite.",
        "Export the graph anew, without values that are not finite.",
    )


_DECODER = json.JSONDecoder(parse_constant=_no_number)


@dataclass(slots=True, eq=False)
class JsonText:
    """A JSON file with a cursor. Raises GraphError for what is no JSON or ends too early."""

    file: TextIO
    size: int
    job: Job
    name: str
    text: str = ""
    at: int = 0
    read: int = 0
    ended: bool = field(default=False)

    def more(self, count: int = _BLOCK) -> bool:
        """Read on; whether anything came."""
        self.job.progress(f"Reading {self.name}", min(self.read, self.size), self.size, "B")
        try:
            new = self.file.read(count)
        except UnicodeDecodeError as error:
            self.refuse(f"is not UTF-8 text ({error.reason})")
        self.read += len(new)
        self.ended = not new
        self.text = self.text[self.at :] + new
        self.at = 0
        return bool(new)

    def peek(self) -> str:
        """The next character that is no space; empty at the end."""
        while True:
            while self.at < len(self.text) and self.text[self.at] in _SPACE:
                self.at += 1
            if self.at < len(self.text):
                return self.text[self.at]
            if not self.more():
                return ""

    def take(self, wanted: str) -> None:
        """Step over one character that must come."""
        found = self.peek()
        if found != wanted:
            self.refuse(
                f"has {found!r} where {wanted!r} should stand" if found else "ends too early"
            )
        self.at += 1

    def value(self, most: int = _LONGEST) -> Any:
        """The value at the cursor, as a whole; it may have so many characters."""
        self.peek()
        while True:
            try:
                found, end = _DECODER.raw_decode(self.text, self.at)
            except json.JSONDecodeError as error:
                self._expect_cut(error, most)
            except RecursionError:
                self.refuse("is nested too deeply")
            except ValueError as error:  # a number of thousands of digits
                self.refuse(f"holds a number that cannot be read ({str(error)[:60]})")
            else:
                # A number at the end of a block may go on in the next one.
                if end < len(self.text) or self.ended or not self.more(1024):
                    self.at = end
                    return found

    def _expect_cut(self, error: json.JSONDecodeError, most: int) -> None:
        """Read on where a value may only have been cut off, else refuse."""
        length = len(self.text) - self.at
        cut = error.msg.startswith("Unterminated") or error.pos >= len(self.text) - _NEAR_END
        if not cut:
            self.refuse(f"is no JSON ({error.msg[0].lower()}{error.msg[1:]})")
        if length > most:
            self.refuse(f"holds one value of over {megabytes(most)}")
        if self.ended or not self.more(max(1024, min(max(_BLOCK, length), most - length + 1))):
            self.refuse("ends too early")

    def items(self) -> Iterator[str]:
        """The keys of the object at the cursor; the caller takes each value before the next."""
        self.take("{")
        seen: set[str] = set()
        while self.peek() != "}":
            if seen:
                self.take(",")
            key = self.value() if self.peek() == '"' else None
            if not isinstance(key, str):
                self.refuse("has no key where one should stand")
            if key in seen:
                self.refuse(f"names {key[:60]!r} twice")
            seen.add(key)
            self.take(":")
            yield key
        self.at += 1

    def batches(self) -> Iterator[list[Any]]:
        """The elements of the array at the cursor, some at a time."""
        self.take("[")
        if self.peek() == "]":
            self.at += 1
            return
        while True:
            block = self._block()
            if block is None:
                block, last = self._one_by_one()
                yield block
                if last:
                    return
            else:
                yield block

    def _block(self) -> list[Any] | None:
        """All elements of the block in hand but the last ones; None if they are not to be told."""
        if len(self.text) - self.at < _BLOCK // 2 and not self.ended:
            self.more()
        cut = self.text.rfind("},", self.at)
        if cut < 0:
            return None
        try:
            found = _DECODER.decode(f"[{self.text[self.at : cut + 1]}]")
        except (ValueError, RecursionError):
            return None
        self.at = cut + 2
        return list(found)

    def _one_by_one(self) -> tuple[list[Any], bool]:
        """Elements up to the end of the text in hand or of the array, and whether it ended."""
        left, found = len(self.text) - self.at, []
        while True:
            before = len(self.text) - self.at
            found.append(self.value())
            if self.peek() == "]":
                self.at += 1
                return found, True
            self.take(",")
            left -= before - (len(self.text) - self.at)
            if left <= 0 or len(self.text) - self.at > before:
                return found, False

    def refuse(self, reason: str) -> NoReturn:
        """Raise GraphError with the file's name."""
        raise GraphError(f"{self.name} {reason}.", _COPY)


def open_json(file: TextIO, path: Path, job: Job) -> JsonText:
    """A cursor at the start of an open file."""
    return JsonText(file, path.stat().st_size, job, path.name)
