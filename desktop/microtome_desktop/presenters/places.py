"""Which position panels speak of, and whether a model answers there or for what comes next."""

from __future__ import annotations

from microtome.records.session import Session


def in_place(session: Session) -> bool:
    """Whether the logits at a position are about the token there, as those of an encoder are."""
    return bool(session.metric.get("in_place"))


def place_of(session: Session, position: int | None) -> int:
    """The position that is shown, as it was asked for; without one that where the answer is read.

    -1 without a run.
    """
    count = 0 if session.clean is None else len(session.clean.tokens)
    if position is None:
        position = int(session.metric.get("position", -1))
    return count - 1 if position < 0 else min(position, count - 1)
