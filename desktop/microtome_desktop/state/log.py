"""The log: one line an event, in words, in the state folder.

It holds what was done and when, never what with: no prompts, tokens or notes, and files by their
own name only. The lines are written at once, in the thread that has something to tell: what was
told before a crash is what the log is for.
"""

from __future__ import annotations

import logging
import re
from logging.handlers import RotatingFileHandler
from pathlib import Path

from microtome_desktop.state.scrubbing import told, without_folders

NAME = "microtome.log"
_BYTES, _OLDER = 1_000_000, 2  # three files in all
_LENGTH = 500  # bytes of a line, at most on the average, when the last ones are looked for
_LINE_END = re.compile(r"[\r\n\u2028\u2029\x85\x0b\x0c]+")
LOG = logging.getLogger("microtome")


class _Words(logging.Formatter):
    """One line an event; an error's way through the program follows, indented."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", "%Y-%m-%d %H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        """The line, without folders, and what follows it."""
        text = _LINE_END.sub(" ", without_folders(record.getMessage()))
        stamp = f"{self.formatTime(record, self.datefmt)} {record.levelname:<7} {text}"
        error = record.exc_info[1] if record.exc_info else None
        more = told(error) if error is not None else getattr(record, "more", "")
        return "\n    ".join([stamp, *more.splitlines()])


def start(folder: Path) -> logging.Handler | None:
    """Write the log into a folder from now on; None where it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handler = _File(
            folder / NAME, maxBytes=_BYTES, backupCount=_OLDER, encoding="utf-8", errors="replace"
        )
    except OSError:
        return None
    handler.setFormatter(_Words())
    LOG.addHandler(handler)
    if logging.lastResort is not None:  # a terminal shows faults as it would without a log
        LOG.addHandler(logging.lastResort)
    LOG.setLevel(logging.INFO)
    return handler


def stop(handler: logging.Handler | None) -> None:
    """Write no more, and close the file."""
    if handler is not None:
        LOG.removeHandler(handler)
        if logging.lastResort is not None:
            LOG.removeHandler(logging.lastResort)
        LOG.setLevel(logging.NOTSET)
        handler.close()


class _File(RotatingFileHandler):
    """A file that may become unwritable at any time: the program goes on without its log."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Tell nobody: standard error may be gone as well."""


def event(text: str, more: str = "") -> None:
    """Note an event."""
    if _files():
        LOG.info(text, extra={"more": more})


def fault(text: str, more: str = "") -> None:
    """Note that something failed, with more lines that tell where."""
    if _files():
        LOG.error(text, extra={"more": more})


def last_lines(count: int) -> tuple[str, ...]:
    """The last lines of the log that is being written, oldest first."""
    found: list[str] = []
    for path in _files():
        found = _tail(path, count - len(found)) + found
        if len(found) >= count:
            break
    return tuple(found)


def _files() -> list[Path]:
    """The log that is being written, then the one before it."""
    now = [Path(h.baseFilename) for h in LOG.handlers if isinstance(h, _File)]
    return [each for path in now for each in (path, path.with_name(f"{path.name}.1"))]


def _tail(path: Path, count: int) -> list[str]:
    try:
        with path.open("rb") as stream:
            size = stream.seek(0, 2)
            start = stream.seek(max(0, size - count * _LENGTH))
            lines = stream.read().decode("utf-8", "replace").splitlines()[start > 0 :]
    except OSError:
        return []
    return lines[-count:]
