"""Inputs to test a hypothesis on where there is no prompt set: random tokens that come again."""

from __future__ import annotations

import numpy as np

from microtome.errors import InputError
from microtome.models.model import Model


def repeated_inputs(
    model: Model, count: int, *, length: int = 8, again: int = 6, seed: int = 0
) -> list[tuple[int, ...]]:
    """Token ids of random inputs in which tokens come again.

    Behind what the tokenizer puts before a text stand ``length`` different tokens, then the first
    ``again`` of them once more.
    Raises InputError for a vocabulary, or a context, that has no room for them.
    """
    known = _vocabulary(model)
    if not (0 < again <= length <= len(known)) or count < 1:
        raise InputError(
            f"{count} inputs of {length} and {again} tokens were asked for, and the model has "
            f"{len(known)} words.",
            "Give again up to length, and length up to the number of words.",
        )
    before = _before(model)
    context = model.identity.context
    if context is not None and len(before) + length + again > context:
        raise InputError(
            f"Inputs of {len(before) + length + again} tokens do not fit the context of {context}.",
            "Give a smaller length.",
        )
    random = np.random.default_rng(seed)
    drawn = [random.choice(known, length, replace=False).tolist() for _ in range(count)]
    return [(*before, *segment, *segment[:again]) for segment in drawn]


def _vocabulary(model: Model) -> list[int]:
    """The tokens that are words of their own, without the special ones; all, if none is known."""
    words = model.vocabulary_words()
    return [model.answer_token(word) for word in words] or list(range(model.identity.reads))


def _before(model: Model) -> tuple[int, ...]:
    words = model.vocabulary_words()
    if not words:
        return ()
    ids = model.tokenize(words[0]).ids.tolist()
    return tuple(ids[: ids.index(model.answer_token(words[0]))])
