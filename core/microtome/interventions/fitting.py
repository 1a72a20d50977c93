"""Which prompts an edit can be taken over: those of one length, where its values have positions."""

from __future__ import annotations

from collections.abc import Sequence

from microtome.errors import EditError
from microtome.models.model import Model
from microtome.prompts import Prompt


def prompts_of_length(
    model: Model, prompts: Sequence[Prompt], lengths: tuple[int, int]
) -> tuple[Prompt, ...]:
    """Those of the prompts that have so many tokens, and so many that an encoder reads.

    A position mean, a resampling and every mean of a pattern need them: a shorter prompt has no
    value at the last position. Raises EditError when none is left.
    """
    fitting = [prompt for prompt in prompts if _lengths(model, prompt) == lengths]
    if not fitting:
        raise EditError(
            f"None of the {len(prompts):,} prompts has {lengths[0]} tokens, as the run has.",
            "Choose another prompt set, or zero or the mean, which take prompts of any length.",
        )
    return tuple(fitting)


def _lengths(model: Model, prompt: Prompt) -> tuple[int, int]:
    tokens = model.tokenize(prompt)
    return len(tokens), tokens.n_source
