"""The request for what patching and ablating every head does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from microtome.jobs import Job
from microtome.records.sweep import Sweep
from microtome_desktop.jobs.engine import Engine
from microtome_desktop.jobs.request import Request
from microtome_desktop.jobs.sweep_requests import analysis_for, sweep
from microtome_desktop.state.desk import Desk
from microtome_desktop.state.sweeps import Wish

HEADS_SLOT = "heads"


@dataclass(frozen=True, slots=True)
class HeadEffects(Request):
    """Sweep the heads once for every wish, one after another: as one job, which can be stopped.

    No two wishes may be of the same kind, patching or ablation.
    """

    slot: ClassVar[str] = HEADS_SLOT
    replaces: ClassVar[frozenset[str]] = frozenset({HEADS_SLOT})
    about_session: ClassVar[bool] = True

    wishes: tuple[Wish, ...]

    @property
    def title(self) -> str:
        """What is being done, for the status bar."""
        names = ("Ablating" if wish.ablates else "Patching" for wish in self.wishes)
        return f"{' and '.join(names)} every head".capitalize()

    def part_title(self, name: str, value: Any) -> str:
        """What a partial result is called in the job panel."""
        return "the first heads"

    def perform(self, engine: Engine, job: Job) -> tuple[Sweep, ...]:
        """The sweeps; each is handed out as it fills and when it is whole."""
        found: list[Sweep] = []
        for wish in self.wishes:
            found.append(sweep(engine.loaded, wish, job))
            job.partial("whole", tuple(found))  # whatever was dropped before, this is shown
        return tuple(found)

    def deliver_partial(self, desk: Desk, name: str, value: Any) -> None:
        """Show the heads that there are."""
        self.deliver(desk, (value,) if name == "sweep" else value[-1:])

    def deliver(self, desk: Desk, result: tuple[Sweep, ...]) -> None:
        """Add them to the session."""
        for one in result:
            wish = next(w for w in self.wishes if w.ablates == (one.mode == "ablation"))
            desk.workspace.add_analysis(analysis_for(wish, one))
