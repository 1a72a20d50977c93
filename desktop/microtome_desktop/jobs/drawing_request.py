"""The request of the drawing thread: what takes longer than a frame to lay out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from microtome.jobs import Job
from microtome_desktop.jobs.engine import Engine
from microtome_desktop.jobs.request import Request, Thread
from microtome_desktop.state.desk import Desk


@dataclass(frozen=True, slots=True)
class LayOut(Request):
    """Make a drawing of a large circuit; ``take`` gets it on the GUI thread, the newest alone."""

    thread: ClassVar[Thread] = Thread.DRAWING
    slot: ClassVar[str] = "lay out"
    replaces: ClassVar[frozenset[str]] = frozenset({"lay out"})
    about_session: ClassVar[bool] = True
    quiet: ClassVar[bool] = True

    make: Callable[[Job], Any] = field(repr=False)
    take: Callable[[Any], None] = field(repr=False)

    @property
    def title(self) -> str:
        """What is being done."""
        return "Laying out the circuit"

    def perform(self, engine: Engine, job: Job) -> Any:
        """The drawing."""
        return self.make(job)

    def deliver(self, desk: Desk, result: Any) -> None:
        """Hand it over."""
        self.take(result)
