"""What is asked of a model: a prompt, a pair of prompts, and the answers that matter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import index
from typing import Any, TypeAlias

from microtome.errors import PromptError

# Text becomes exactly what the model's tokenizer gives for it; ids are taken as they are.
Prompt: TypeAlias = str | tuple[int, ...]


def as_prompt(prompt: str | Sequence[int]) -> Prompt:
    """The prompt as an immutable value.

    Raises PromptError when it is empty, or a token id is not a whole number.
    """
    frozen = prompt if isinstance(prompt, str) else tuple(_whole(token) for token in prompt)
    if not frozen or (isinstance(frozen, str) and not frozen.strip()):
        raise PromptError("The prompt is empty.", "Type a text, or give a list of token ids.")
    return frozen


def _whole(token: Any) -> int:
    try:
        return index(token)
    except TypeError:
        raise PromptError(f"{token!r} is not a token id.", "Give whole numbers.") from None


@dataclass(frozen=True, slots=True)
class PromptPair:
    """A clean prompt and a corrupt one of the same number of tokens."""

    clean: Prompt
    corrupt: Prompt

    def __post_init__(self) -> None:
        object.__setattr__(self, "clean", as_prompt(self.clean))
        object.__setattr__(self, "corrupt", as_prompt(self.corrupt))


@dataclass(frozen=True, slots=True)
class Question:
    """Everything that one run asks: prompt, optional corrupt prompt, answer and wrong answer.

    ``answer`` and ``wrong`` are words or token ids; None leaves the choice to the default
    metric (see ``microtome.metrics.default_metric``).
    """

    prompt: Prompt
    corrupt: Prompt | None = None
    answer: str | int | None = None
    wrong: str | int | None = None
    values_only: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "prompt", as_prompt(self.prompt))
        if self.corrupt is not None:
            object.__setattr__(self, "corrupt", as_prompt(self.corrupt))

    @property
    def pair(self) -> PromptPair | None:
        """The clean and corrupt prompt, None for a single prompt."""
        return None if self.corrupt is None else PromptPair(self.prompt, self.corrupt)
