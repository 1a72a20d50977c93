"""The most probable tokens at one position, as rows of a table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from microtome.records.session import Session
from microtome.records.trace import Trace
from microtome_desktop.presenters.places import in_place, place_of
from microtome_desktop.presenters.tokens import shown_token

COUNT = 8  # rows of the table


@dataclass(frozen=True, slots=True)
class Prediction:
    """One row: the token, its probability, and what the corrupt prompt changes.

    ``difference`` is its logit on the clean prompt minus its logit on the corrupt one; None
    where there is no pair or the file does not hold that logit.
    """

    token: str
    probability: float
    logit: float
    difference: float | None
    is_answer: bool
    is_wrong: bool


def predictions(
    session: Session, position: int | None, count: int = COUNT
) -> tuple[Prediction, ...]:
    """The rows of a position, for None where the answer is read; empty without a run."""
    clean = session.clean
    if clean is None or not len(clean.tokens):
        return ()
    place = min(place_of(session, position), len(clean.top_ids) - 1)
    return tuple(_row(session, clean, place, k) for k in range(min(count, clean.top_ids.shape[1])))


def _row(session: Session, clean: Trace, place: int, k: int) -> Prediction:
    token = int(clean.top_ids[place, k])
    logit = float(clean.top_logits[place, k])
    return Prediction(
        token=_said(clean, clean.top_tokens[place][k]),
        probability=float(clean.top_probabilities[place, k]),
        logit=logit,
        difference=_difference(session, clean, place, k),
        is_answer=session.metric.get("answer_id") == token,
        is_wrong=session.metric.get("wrong_id") == token,
    )


def _said(clean: Trace, token: str) -> str:
    """A token with its white space visible; a class as it is called."""
    return shown_token(token) if clean.image is None else token


def _difference(session: Session, clean: Trace, place: int, k: int) -> float | None:
    kept = session.analyses.get("logit-change")
    if kept is not None:
        return float(kept.array("difference")[place, k])
    if session.corrupt is None:
        return None
    other = _logit(session.corrupt, place, int(clean.top_ids[place, k]))
    return None if other is None else float(clean.top_logits[place, k]) - other


def _logit(trace: Trace, place: int, token: int) -> float | None:
    if place >= len(trace.tokens):
        return None
    if isinstance(trace.logits, np.ndarray):  # in memory: a file is never read on this thread
        return float(trace.logits[place, token])
    found = np.flatnonzero(trace.top_ids[place] == token)
    return float(trace.top_logits[place, found[0]]) if found.size else None


def heading(session: Session | None, position: int | None) -> str:
    """What the table is about: the position, and the token it follows or takes the place of."""
    clean = session.clean if session is not None else None
    if session is None or clean is None or not len(clean.tokens):
        return ""
    place = place_of(session, position)
    if clean.image is not None:
        once = len(clean.top_ids) == 1
        return f"for {clean.image.name}" if once else f"at {clean.tokens[place]} ({place})"
    where = "in the place of" if in_place(session) else "after"
    return f"{where} “{shown_token(clean.tokens[place])}” ({place})"
