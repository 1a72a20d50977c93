"""How tokens read on screen: white space made visible, everything as plain text."""

from __future__ import annotations

from functools import lru_cache

_VISIBLE = str.maketrans({" ": "␣", "\n": "⏎", "\t": "⇥", "\r": "␍"})
# Byte-level and SentencePiece vocabularies mark a leading space with these letters.
_SPACE_MARKS = ("Ġ", "▁")


@lru_cache(maxsize=1 << 16)  # a long prompt asks for thousands, most of them again and again
def shown_token(token: str, limit: int = 14) -> str:
    """The token with its white space visible, cut to ``limit`` letters."""
    for mark in _SPACE_MARKS:
        token = token.replace(mark, " ")
    visible = "".join(
        letter if letter.isprintable() else "·" for letter in token.translate(_VISIBLE)
    )
    return visible if len(visible) <= limit else f"{visible[: limit - 1]}…"
