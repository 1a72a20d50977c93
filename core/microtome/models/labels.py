"""Classes as answers: a model that says what each token is, instead of filling words in."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

import numpy as np

from microtome.errors import AnswerError


@dataclass(frozen=True, slots=True)
class Labels:
    """The names of the classes, in the order of the logits."""

    names: tuple[str, ...]
    model: str

    def text(self, number: int) -> str:
        """The name of a class."""
        return self.names[number] if 0 <= number < len(self.names) else f"<{number}>"

    def number(self, answer: str | int) -> int:
        """The class of a name or a number.

        Raises AnswerError that names classes near to it.
        """
        if isinstance(answer, str) and answer.strip() in self.names:
            return self.names.index(answer.strip())
        if isinstance(answer, int | np.integer) or answer.strip().isdecimal():
            if 0 <= int(answer) < len(self.names):
                return int(answer)
            raise AnswerError(
                f"{self.model} has no class {answer}.", f"Use 0 to {len(self.names) - 1}."
            )
        near = difflib.get_close_matches(answer.strip(), self.names, n=3, cutoff=0.4)
        some = ", ".join(self.names[:3])
        raise AnswerError(
            f"{answer!r} is no class of {self.model}.",
            f"Near to it: {', '.join(near)}." if near else f"Its classes are {some} and so on.",
        )
