"""What every request is: frozen, self-sufficient, and able to travel to another process."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar, Self

from microtome.jobs import Job
from microtome_desktop.jobs.engine import Engine
from microtome_desktop.state.desk import Desk


class Thread(Enum):
    """Where a request is performed."""

    MODEL = "model"  # owns the model
    IO = "io"  # all files
    DRAWING = "drawing"  # layouts of large circuits: a slider waits for no file
    NETWORK = "network"  # downloads: nothing else waits for them
    ASIDE = "aside"  # waits for another process


@dataclass(frozen=True, slots=True)
class Request:
    """One piece of work: ``perform`` runs in its thread, the others in the GUI thread.

    A request takes the place of everything whose ``slot`` is among its ``replaces``: that work
    is cancelled and its result dropped.
    """

    thread: ClassVar[Thread] = Thread.MODEL
    slot: ClassVar[str] = ""
    replaces: ClassVar[frozenset[str]] = frozenset()
    about_session: ClassVar[bool] = False  # its answer means nothing to another session
    asks_first: ClassVar[bool] = False  # before it kills what the user waits for
    quiet: ClassVar[bool] = False  # too short for the status bar
    # Why it cannot rest, empty when it can: it has no checkpoints between start and end.
    restless: ClassVar[str] = ""
    # Partial results of which the newest alone is shown, when several have come before their turn.
    newest_parts: ClassVar[frozenset[str]] = frozenset()
    # Whether it lets others of its thread go first, between its steps and when it rests.
    gives_way: ClassVar[bool] = False

    @property
    def title(self) -> str:
        """What is being done, for the status bar."""
        return type(self).__name__

    @property
    def missed(self) -> bool:
        """Whether somebody asked for it and would miss its result, were it killed."""
        return not self.quiet

    @property
    def fails_quietly(self) -> bool:
        """Whether the user is not told when it fails."""
        return False

    def part_title(self, name: str, value: Any) -> str:
        """What a partial result is called in the job panel, empty for one that is not told."""
        return ""

    def memory(self, desk: Desk) -> int | None:
        """Bytes that it will take beside what is there already, None where nobody can tell."""
        return None

    def bound(self, desk: Desk) -> Self:
        """The request with what it needs of the session on screen."""
        return self

    def perform(self, engine: Engine, job: Job) -> Any:
        """Do the work; imports the engine's functions when called."""
        raise NotImplementedError

    def deliver_partial(self, desk: Desk, name: str, value: Any) -> None:
        """Put a part of the answer into the state."""

    def deliver(self, desk: Desk, result: Any) -> None:
        """Put the answer into the state."""

    def started(self, desk: Desk) -> None:
        """Show that the work was asked for."""

    def ended(self, desk: Desk) -> None:
        """Tidy up, however the work ended."""
