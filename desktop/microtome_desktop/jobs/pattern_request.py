"""The request for the attention of one head of a long prompt."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from microtome.jobs import Job
from microtome.records.pattern import HeadPattern
from microtome.records.session import Session
from microtome_desktop.jobs.engine import Engine
from microtome_desktop.jobs.request import Request
from microtome_desktop.state.arrays import ArrayKey
from microtome_desktop.state.desk import Desk


@dataclass(frozen=True, slots=True)
class LookAgain(Request):
    """Compute where a head looks: the run did not keep it. The latest wish is the one served."""

    slot: ClassVar[str] = "pattern"
    replaces: ClassVar[frozenset[str]] = frozenset({"pattern"})
    about_session: ClassVar[bool] = True

    session: Session = field(repr=False)
    key: ArrayKey

    @property
    def title(self) -> str:
        """What is being done, for the status bar."""
        return f"Computing the attention of L{self.key.layer}H{self.key.head}"

    def perform(self, engine: Engine, job: Job) -> HeadPattern | None:
        """None when the model has gone meanwhile."""
        from microtome.activations.pattern import head_pattern

        model, clean = engine.model, self.session.clean
        layer, head = self.key.layer, self.key.head
        if model is None or clean is None or layer is None or head is None:
            return None
        if model.identity.fingerprint != self.session.model.fingerprint:
            return None
        return head_pattern(model, clean.as_prompt, layer, head, name=self.key.site, job=job)

    def deliver(self, desk: Desk, result: HeadPattern | None) -> None:
        """Give it to the panels."""
        if result is not None:
            desk.workspace.arrays.put(self.key, result)

    def ended(self, desk: Desk) -> None:
        """It may be asked for again."""
        desk.workspace.arrays.forget(self.key)
