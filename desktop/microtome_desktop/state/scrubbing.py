"""Text that can be handed to somebody else: no folders, no user, no host, no message of an error.

An error's message may quote what was typed, so of an error only its type and its way through the
program are told.
"""

from __future__ import annotations

import errno
import getpass
import os
import re
import socket
import traceback
from contextlib import suppress
from pathlib import Path

# Where a path begins: at the start of a word, with a drive, a share, a home or the root.
_BEGIN = r"(?<![\w.~/\\])(?:[A-Za-z]:[\\/]|\\\\|~[\w.-]*[\\/]|\.{1,2}[\\/]|/(?=\S))"
# Folders may hold blanks and quotes, so all up to the last slash of the line goes.
_ABSOLUTE = re.compile(rf"(?:file:/*)?{_BEGIN}[^\n]*[\\/]|file:/+|{_BEGIN}")
_RELATIVE = re.compile(r"(?<![^\s\"'/\\])(?:[^\s\"'/\\]+[\\/])+(?=[^\s\"'/\\])")
_SHORTEST = 2  # letters of a name that is looked for
_FRAMES = 30


def without_folders(text: str) -> str:
    """The text with files and folders by their own name only."""
    return _RELATIVE.sub("", _ABSOLUTE.sub("", text))


def scrubbed(text: str) -> str:
    """The text without folders, and without the names of this user and this machine."""
    home = str(Path.home())
    if len(home) > _SHORTEST:
        text = re.sub(rf"{re.escape(home)}(?![\w.-])", "~", text)
    text = without_folders(text)
    for name, instead in _names():
        text = re.sub(
            rf"(?<![^\W_]){re.escape(name)}(?![^\W_])", instead, text, flags=re.IGNORECASE
        )
    return text


def _names() -> list[tuple[str, str]]:
    """What tells who and where, the longest first: a host's name may hold the user's."""
    host = socket.gethostname()
    told = [(host, "<host>"), (host.partition(".")[0], "<host>"), (Path.home().name, "<user>")]
    told += [(os.environ.get(name, ""), "<user>") for name in ("USER", "LOGNAME", "USERNAME")]
    with suppress(OSError, KeyError, ImportError):  # a process of nobody
        told.append((getpass.getuser(), "<user>"))
    return sorted((pair for pair in set(told) if len(pair[0]) >= _SHORTEST), key=_longest_first)


def _longest_first(pair: tuple[str, str]) -> tuple[int, str]:
    return -len(pair[0]), pair[0]


def told(error: BaseException) -> str:
    """The type of an error and of what caused it, and its way through modules; never its text."""
    lines, seen = [_kind(error), *_frames(error)], {id(error)}
    cause = _cause(error)
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        lines += [f"caused by {_kind(cause)}", *_frames(cause)]
        cause = _cause(cause)
    return "\n".join(lines)


def _cause(error: BaseException) -> BaseException | None:
    return error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _kind(error: BaseException) -> str:
    name = f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
    number = error.errno if isinstance(error, OSError) else None
    return name if number is None else f"{name} ({errno.errorcode.get(number, number)})"


def _frames(error: BaseException) -> list[str]:
    found = [
        f"  {frame.f_globals.get('__name__', '?')}.{frame.f_code.co_name}, line {line}"
        for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    return found[-_FRAMES:]
