"""What is asked of a model: a prompt, a pair of prompts, and the answers that matter."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from operator import index
from typing import Any, SupportsIndex, TypeAlias

import numpy as np
from jaxtyping import UInt8

from microtome.errors import InputError, PromptError, described, expect


@dataclass(frozen=True, slots=True, eq=False)
class ImageInput:
    """An image as a model is asked about it; equal to any other of the same pixels.

    ``values`` has one channel (grey) or three (red, green, blue), rows from the top. A
    ``prepared`` one is already as the model reads it: it is neither resized nor cut, only scaled
    and normalised. ``note`` says what reading the file left away, as a sentence.
    """

    values: UInt8[np.ndarray, "row column channel"]
    name: str = "image"
    prepared: bool = False
    note: str = ""
    source: str = ""  # where it was taken from: a file, or the set and number as ``set:shapes/17``
    digest: str = field(init=False, default="")  # SHA-256 of shape, pixels and ``prepared``

    def __post_init__(self) -> None:
        values = np.asarray(self.values)
        shaped = values.ndim == 3 and values.size > 0 and values.shape[2] in (1, 3)
        if not shaped or values.dtype != np.uint8:
            array = isinstance(self.values, np.ndarray)
            given = f"{values.dtype} {values.shape}" if array else described(self.values)
            raise InputError(
                f"An image of {given} was given, but uint8 [row, column, 1 or 3] was expected.",
                "Open files with read_image.",
            )
        held = np.ascontiguousarray(values)
        held.setflags(write=False)
        made = hashlib.sha256(f"{held.shape}{self.prepared}".encode() + held.tobytes())
        object.__setattr__(self, "values", held)
        object.__setattr__(self, "digest", made.hexdigest())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ImageInput) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns."""
        return int(self.values.shape[0]), int(self.values.shape[1])


# Text becomes exactly what the model's tokenizer gives for it; ids are taken as they are.
# A model that sees is given an image.
# For a model with an encoder, what stands before ``|||`` (among ids, before -1) is what the
# encoder reads, and what stands behind it is where the decoder goes on from.
Prompt: TypeAlias = str | tuple[int, ...] | ImageInput
SEPARATOR, SEPARATOR_ID = "|||", -1

_IDS = re.compile(r"\s*\d+(?:[\s,]+\d+)*\s*,?\s*")


def typed_ids(text: str) -> tuple[int, ...] | None:
    """Token ids as typed, with commas or spaces between; None for what is no list of ids."""
    source, bar, target = text.partition(SEPARATOR)
    sides = [source, target] if target.strip() else [source]
    if not all(_IDS.fullmatch(side) for side in sides):
        return None
    read = [[int(part) for part in side.replace(",", " ").split()] for side in sides]
    return (*read[0], SEPARATOR_ID, *(read[1:] or [[]])[0]) if bar else tuple(read[0])


def shown_ids(ids: Sequence[int]) -> str:
    """Token ids as one would type them."""
    shown = ", ".join(SEPARATOR if token == SEPARATOR_ID else str(token) for token in ids)
    return shown.replace(f", {SEPARATOR}", f" {SEPARATOR}").replace(f"{SEPARATOR},", SEPARATOR)


def plain_prompt(prompt: Prompt) -> str | list[int]:
    """A prompt as JSON can hold it: a text, ids, or the name of an image and its checksum."""
    if isinstance(prompt, ImageInput):
        return f"image {prompt.name} (sha256 {prompt.digest[:16]})"
    return prompt if isinstance(prompt, str) else [int(token) for token in prompt]


def prompt_line(prompt: Prompt) -> str:
    """A prompt in one line: a text, ids as one would type them, or the name of an image."""
    if isinstance(prompt, ImageInput):
        return prompt.name
    return prompt if isinstance(prompt, str) else shown_ids(prompt)


def both_sides(prompt: Prompt) -> tuple[Prompt, Prompt]:
    """What the encoder reads and what the decoder goes on from, which may be empty.

    Raises PromptError when there is nothing for the encoder.
    """
    source: Prompt
    target: Prompt
    if isinstance(prompt, ImageInput):
        raise PromptError("An image was given to a model that reads text.", "Type a text.")
    if isinstance(prompt, str):
        source, _, target = prompt.partition(SEPARATOR)
        source, target = source.rstrip(), target.strip()
    else:
        at = prompt.index(SEPARATOR_ID) if SEPARATOR_ID in prompt else len(prompt)
        source, target = prompt[:at], prompt[at + 1 :]
    if not source:
        raise PromptError(
            f"Nothing stands before {SEPARATOR}, so the encoder has nothing to read.",
            f"Write the text for the encoder, then {SEPARATOR} and how the answer begins.",
        )
    return source, target


def as_prompt(prompt: str | Sequence[int] | ImageInput) -> Prompt:
    """The prompt as an immutable value; an image is one already.

    Raises PromptError when it is empty, neither text nor a sequence of ids, or a token id is not
    a whole number.
    """
    if isinstance(prompt, ImageInput):
        return prompt
    if isinstance(prompt, bytes) or not isinstance(prompt, Iterable):
        raise PromptError(
            f"The prompt is {described(prompt)}, but a text or a list of token ids was expected.",
            "Type a text, or give token ids, for example (12, 7, 305).",
        )
    frozen = prompt if isinstance(prompt, str) else tuple(_whole(token) for token in prompt)
    if not frozen or (isinstance(frozen, str) and not frozen.strip()):
        raise PromptError("The prompt is empty.", "Type a text, or give a list of token ids.")
    return frozen


def _whole(token: Any) -> int:
    try:
        return index(token)
    except TypeError:
        raise PromptError(f"{token!r} is not a token id.", "Give whole numbers.") from None


def expect_word(word: Any, name: str) -> None:
    """Raise WrongKind for an answer that is neither a word nor a token id."""
    expect(word, (str, int, SupportsIndex), name, "a word or a token id", "Give one word.")


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
        for name in ("answer", "wrong"):
            if getattr(self, name) is not None:
                expect_word(getattr(self, name), name)

    @property
    def pair(self) -> PromptPair | None:
        """The clean and corrupt prompt, None for a single prompt."""
        return None if self.corrupt is None else PromptPair(self.prompt, self.corrupt)
