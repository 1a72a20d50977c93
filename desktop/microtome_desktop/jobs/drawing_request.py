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


@dataclass(frozen=True, slots=True)
class ListRows(LayOut):
    """Sort the nodes and edges of a large circuit into tables; ``take`` gets them."""

    slot: ClassVar[str] = "list rows"
    replaces: ClassVar[frozenset[str]] = frozenset({"list rows"})

    @property
    def title(self) -> str:
        """What is being done."""
        return "Listing nodes and edges"


@dataclass(frozen=True, slots=True)
class ProposeGroups(LayOut):
    """Look for nodes that are alike; ``take`` gets the proposals."""

    slot: ClassVar[str] = "propose groups"
    replaces: ClassVar[frozenset[str]] = frozenset({"propose groups"})
    quiet: ClassVar[bool] = False
    restless: ClassVar[str] = "Nodes are compared in one step."

    @property
    def title(self) -> str:
        """What is being done."""
        return "Looking for groups"


@dataclass(frozen=True, slots=True)
class CompareGraphs(LayOut):
    """Join circuits into one drawing; the window that asked may be of any session.

    Several windows may wait, so that none replaces another's; ``gone`` tells the one that asked
    when the work has ended, however it did, before the drawing is handed over.
    """

    slot: ClassVar[str] = "compare graphs"
    replaces: ClassVar[frozenset[str]] = frozenset()
    about_session: ClassVar[bool] = False
    quiet: ClassVar[bool] = False
    restless: ClassVar[str] = "Circuits are joined in one step."

    gone: Callable[[], None] = field(repr=False)

    @property
    def title(self) -> str:
        """What is being done."""
        return "Comparing circuits"

    def ended(self, desk: Desk) -> None:
        """Let the window know, so that it does not wait for what was stopped."""
        self.gone()
