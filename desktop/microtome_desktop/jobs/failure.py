"""What went wrong in a job, as text that crosses threads."""

from __future__ import annotations

import traceback
from dataclasses import dataclass

from microtome.errors import MemoryExceeded, MicrotomeError
from microtome_desktop.state.notices import Level, Notice
from microtome_desktop.state.scrubbing import told

_REPORT = "This is a fault of Microtome. The details tell where it happened."
_NO_MEMORY = ("out of memory", "not enough memory", "can't allocate memory")


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed job: which, what went wrong, the way out, and the details."""

    title: str
    what: str
    way_out: str = ""
    details: str = ""
    expected: bool = True  # raised on purpose, with a way out; no fault of the program
    way: str = ""  # its type and where it came from, for the log: nothing that was typed

    @classmethod
    def of(cls, title: str, error: BaseException) -> Failure:
        """The failure of an exception."""
        details = "".join(traceback.format_exception(error))
        known = _memory_error(error) or error
        if isinstance(known, MicrotomeError):
            return cls(title, known.what, known.way_out, details, way=told(error))
        first = (str(error).strip() or "no message").splitlines()[0]
        what = f"{type(error).__name__}: {first}"
        return cls(title, what, _REPORT, details, expected=False, way=told(error))

    @property
    def notice(self) -> Notice:
        """The failure as a notice."""
        return Notice(Level.ERROR, self.title, self.what, self.way_out, self.details)


def _memory_error(error: BaseException) -> MemoryExceeded | None:
    # torch reports a full memory as a RuntimeError; only its text tells it from others.
    text = str(error).lower()
    full = isinstance(error, RuntimeError) and any(phrase in text for phrase in _NO_MEMORY)
    if not full and not isinstance(error, MemoryError):
        return None
    return MemoryExceeded(
        "The memory of this machine is full.",
        "Use a shorter prompt or a smaller model, or close other programs.",
    )
