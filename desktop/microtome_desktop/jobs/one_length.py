"""The pairs of a prompt set that can be kept apart by position: those of the commonest length."""

from __future__ import annotations

from collections import Counter
from typing import Any

from microtome.prompt_sets import SetPair


def of_one_length(model: Any, pairs: tuple[SetPair, ...]) -> tuple[tuple[SetPair, ...], str]:
    """Those of the commonest number of tokens, and what is to be said of it where it is not all."""
    lengths = [len(model.tokenize(pair.clean)) for pair in pairs]
    length, most = Counter(lengths).most_common(1)[0]
    kept = tuple(pair for pair, one in zip(pairs, lengths, strict=True) if one == length)
    if most == len(pairs):
        return kept, ""
    return kept, f"of the {most} pairs with {length} tokens, the commonest length"
