"""Every run of this window, so that none is lost to the next one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from psygnal import Signal

from microtome.records.session import Session
from microtome_desktop.state.workspace import Workspace

_BUDGET = 512 * 2**20  # bytes of activations; the oldest runs go first


@dataclass(frozen=True, slots=True)
class Past:
    """A run: its session as it is now, its number, and the file that holds it."""

    number: int
    session: Session
    path: Path | None = None
    dirty: bool = True


class History:
    """Follows the workspace: each session that is shown, with all that is added to it."""

    changed = Signal()

    def __init__(self, workspace: Workspace, budget: int = _BUDGET) -> None:
        self._workspace, self._budget = workspace, budget
        self._runs: list[Past] = []
        self._count = 0
        self.dropped = 0  # runs that had to go
        workspace.session_replaced.connect(self._on_session)
        workspace.part_changed.connect(self._on_part)
        workspace.dirty_changed.connect(self._on_dirty)
        workspace.path_changed.connect(self._on_path)

    @property
    def runs(self) -> tuple[Past, ...]:
        """The runs that are held, oldest first."""
        return tuple(self._runs)

    def find(self, uuid: str) -> Past | None:
        """The run with this session."""
        return next((run for run in self._runs if run.session.uuid == uuid), None)

    def reopen(self, uuid: str) -> bool:
        """Show a run again, as it was left; False when it is not held any more."""
        run = self.find(uuid)
        if run is not None:
            self._workspace.show(run.session, run.path, dirty=run.dirty)
        return run is not None

    def _on_session(self, session: Session | None) -> None:
        if session is None:
            return
        if self.find(session.uuid) is None:
            self._count += 1
            self._runs.append(Past(self._count, session))
        self._keep()

    def _on_part(self, part: str) -> None:
        self._keep()

    def _on_dirty(self, dirty: bool) -> None:
        self._keep()

    def _on_path(self, path: object) -> None:
        self._keep()

    def _keep(self) -> None:
        """Bring the run on screen up to date, and drop what is too much."""
        shown = self._workspace.session
        held = None if shown is None else self.find(shown.uuid)
        if shown is None or held is None:
            return
        now = Past(held.number, shown, self._workspace.path, self._workspace.dirty)
        self._runs[self._runs.index(held)] = now
        while len(self._runs) > 1 and sum(map(_nbytes, self._runs)) > self._budget:
            oldest = next(run for run in self._runs if run is not now)
            self._runs.remove(oldest)
            self.dropped += 1
        self.changed.emit()


def _nbytes(run: Past) -> int:
    """Bytes of memory that a run's activations take; those in a file take none."""
    edited = () if run.session.edited is None else (run.session.edited,)
    traces = (*run.session.traces, *edited)
    held = (a.values for trace in traces for a in trace.activations.values())
    return sum(values.nbytes for values in held if isinstance(values, np.ndarray))
