"""What is explained: the logit of a class, or the difference of two."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from microtome.errors import AnswerError, expect
from microtome.models.model import Model
from microtome.models.vision.sight import Sight
from microtome.prompts import ImageInput
from microtome.vision.activity import sight_of


@dataclass(frozen=True, slots=True)
class Score:
    """A class and, for a difference, the class whose logit is taken away."""

    answer: int
    wrong: int | None = None

    def of(self, logits: Float[Tensor, "image class"]) -> Float[Tensor, " image"]:
        """The score of each image."""
        value = logits[:, self.answer]
        return value if self.wrong is None else value - logits[:, self.wrong]

    def weights(self, sight: Sight) -> Float[Tensor, " class"]:
        """What each logit counts."""
        weights = torch.zeros(len(sight.classes))
        weights[self.answer] = 1.0
        if self.wrong is not None:
            weights[self.wrong] = -1.0
        return weights

    def params(self, sight: Sight) -> dict[str, Any]:
        """What a result remembers of it."""
        wrong = None if self.wrong is None else sight.classes[self.wrong]
        return {"answer": sight.classes[self.answer], "answer_id": self.answer,
                "wrong": wrong, "wrong_id": self.wrong}  # fmt: skip

    def name(self, sight: Sight) -> str:
        """``face`` or ``face − cup``."""
        wrong = "" if self.wrong is None else f" − {sight.classes[self.wrong]}"
        return f"{sight.classes[self.answer]}{wrong}"


def score_of(
    model: Model, image: ImageInput, answer: str | int | None, wrong: str | int | None
) -> Score:
    """The score asked for; without an answer that of the most probable class.

    Raises AnswerError for a class that the model does not have, or for one class twice.
    """
    sight = sight_of(model)
    expect_image(image)
    if answer is None:
        with torch.inference_mode():
            number = int(sight.logits(sight.pixels([image]))[0].argmax())
    else:
        number = model.answer_token(answer)
    other = None if wrong is None else model.answer_token(wrong)
    if other == number:
        raise AnswerError(f"Both classes are {sight.classes[number]}.", "Give two, or one alone.")
    return Score(number, other)


def expect_image(image: object) -> None:
    """Raise WrongKind for what is no image."""
    way_out = "Open a file with read_image, or take one of an embedded set."
    expect(image, ImageInput, "image", "an image", way_out)


def seen(sight: Sight, image: ImageInput) -> dict[str, Any]:
    """What a result remembers of its image."""
    return {"image": image.name, "digest": sight.preprocessing.prepare(image).digest}
