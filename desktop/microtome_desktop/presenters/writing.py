"""Generated text as pieces to draw: what both sides say, and where they part."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest

from microtome.records.generation import GENERATION, Generation, generations_of
from microtome.records.session import Session

_STOPPED = {
    "end": "the model ended the text",
    "context": "the model reads no more",
    "length": "",
    "": "writing …",
}


@dataclass(frozen=True, slots=True)
class Piece:
    """A token of the text, its probability, and whether the other side has another one there."""

    text: str
    probability: float
    parts: bool = False


@dataclass(frozen=True, slots=True)
class Text:
    """One side: its tokens, and why it ended."""

    pieces: tuple[Piece, ...]
    ended: str = ""


def texts_of(session: Session | None) -> tuple[Generation | None, Generation | None]:
    """What a session holds: without edits, and with them."""
    held = None if session is None else session.analyses.get(GENERATION)
    return (None, None) if held is None else generations_of(held)


def text_of(one: Generation | None, other: Generation | None) -> Text | None:
    """One side, with the tokens marked that differ from the other."""
    if one is None:
        return None
    against = () if other is None else other.texts
    rows = zip_longest(one.texts, one.probabilities.tolist(), against[: len(one.texts)])
    pieces = tuple(
        Piece(text, probability, bool(against) and text != facing)
        for text, probability, facing in rows
    )
    return Text(pieces, _STOPPED.get(one.stopped, one.stopped))
