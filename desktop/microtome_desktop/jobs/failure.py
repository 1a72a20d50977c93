"""What went wrong in a job, as text that crosses threads."""

from __future__ import annotations

import traceback
from dataclasses import dataclass

from microtome.errors import MemoryExceeded, MicrotomeError
from microtome.full_memory import free_frames, memory_exceeded, memory_ran_out
from microtome_desktop.state.notices import Level, Notice
from microtome_desktop.state.scrubbing import told

_REPORT = "This is a fault of Microtome. The details tell where it happened."
_LOWER = "Use a shorter prompt or a smaller model, or close other programs."


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
        """The failure of an exception, as text alone: what its frames held is free afterwards."""
        details = "".join(traceback.format_exception(error))
        way = told(error)
        free_frames(error)
        known = _memory_error(error) or error
        if isinstance(known, MicrotomeError):
            return cls(title, known.what, known.way_out, details, way=way)
        first = (str(error).strip() or "no message").splitlines()[0]
        what = f"{type(error).__name__}: {first}"
        return cls(title, what, _REPORT, details, expected=False, way=way)

    @property
    def notice(self) -> Notice:
        """The failure as a notice."""
        return Notice(Level.ERROR, self.title, self.what, self.way_out, self.details)


def _memory_error(error: BaseException) -> MemoryExceeded | None:
    """The last resort, where no one nearer has said what ran."""
    if isinstance(error, MicrotomeError) or not memory_ran_out(error):
        return None
    return memory_exceeded("The memory of this machine is full", _LOWER, error)
