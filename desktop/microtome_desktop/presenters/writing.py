"""Generated text as pieces to draw: what both sides say, and where they part."""

from __future__ import annotations

from dataclasses import dataclass

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


def _spaced(written: Generation) -> list[str]:
    """The tokens with what stands between them in the joined text: some models leave it out."""
    pieces, at = [], 0
    for token in written.texts:
        found = written.text.find(token, at)
        end = at if found < 0 else found + len(token)
        pieces.append(token if found < 0 else written.text[at:end])
        at = end
    return pieces


def text_of(one: Generation | None, other: Generation | None) -> Text | None:
    """One side, with the tokens marked that differ from the other."""
    if one is None:
        return None
    against = () if other is None else other.texts
    facing = (*against, *[None] * len(one.texts))
    rows = zip(one.texts, _spaced(one), one.probabilities.tolist(), facing, strict=False)
    pieces = tuple(
        Piece(shown, probability, bool(against) and token != other)
        for token, shown, probability, other in rows
    )
    return Text(pieces, _STOPPED.get(one.stopped, one.stopped))
