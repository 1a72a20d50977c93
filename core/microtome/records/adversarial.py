"""What a search for token swaps found: prompts that flip an answer, and who carries the change."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from microtome.prompts import Prompt
from microtome.records.analysis import Analysis, Labelled

ADVERSARIAL = "adversarial"  # the kind of its analysis


@dataclass(frozen=True, slots=True, eq=False)
class Adversarial:
    """Swapped prompts: those that flip, the fewest and nearest swaps first, then by margin.

    ``margin`` is the logit of the answer minus that of the wrong answer, or of the best other
    token; below 0 the answer is ``flipped``. ``probability`` is that of the answer and ``said``
    the most probable token; ``nearness`` is the mean cosine of the embeddings of what is swapped,
    NaN in files that did not know it yet. ``ids`` hold the tokens of each prompt and ``swapped``
    which of them are other than in the prompt given, whose own numbers are ``margin_before`` and
    ``probability_before``. ``nodes`` carry the change from the prompt to the first of them: their
    ``scores`` are parts of its margin, in the circuit of the pair; empty without one.
    """

    tokens: tuple[str, ...]
    ids: Int[np.ndarray, "prompt position"]
    swapped: Bool[np.ndarray, "prompt position"]
    texts: tuple[str, ...]
    margin: Float[np.ndarray, " prompt"]
    probability: Float[np.ndarray, " prompt"]
    said: tuple[str, ...]
    nearness: Float[np.ndarray, " prompt"]
    margin_before: float
    probability_before: float
    nodes: tuple[str, ...]
    scores: Float[np.ndarray, " node"]
    params: dict[str, Any] = field(default_factory=dict)

    @property
    def flipped(self) -> Bool[np.ndarray, " prompt"]:
        """Which prompts flip the answer."""
        return np.asarray(self.margin < 0)

    @property
    def complete(self) -> bool:
        """Whether the search was ended."""
        return bool(self.params.get("complete", True))

    def prompt(self, row: int) -> Prompt:
        """A swapped prompt: its text where the tokenizer makes the same tokens of it, else ids."""
        return self.texts[row] or tuple(int(token) for token in self.ids[row])

    @property
    def said_before(self) -> str:
        """What the model says to the prompt given; empty in files that did not know it yet."""
        return str(self.params.get("said_before", ""))

    def swaps(self, row: int) -> tuple[tuple[int, str], ...]:
        """Where a prompt is another one, and the token that stands there."""
        texts = self.params["swapped_texts"][row]
        places = np.flatnonzero(self.swapped[row])
        return tuple((int(at), str(text)) for at, text in zip(places, texts, strict=True))

    def rows(self) -> list[dict[str, Any]]:
        """The prompts as plain values."""
        return [
            {
                "prompt": self.texts[row] or " ".join(map(str, self.ids[row].tolist())),
                "swaps": ", ".join(
                    f"{at}: {self.tokens[at].strip()} → {text.strip()}"
                    for at, text in self.swaps(row)
                ),
                "flipped": bool(self.flipped[row]),
                "said_before": self.said_before.strip(),
                "said": self.said[row].strip(),
                "margin_before": self.margin_before,
                "margin": float(self.margin[row]),
                "change": float(self.margin[row]) - self.margin_before,
                "probability_before": self.probability_before,
                "probability": float(self.probability[row]),
                "nearness": float(self.nearness[row]),
            }
            for row in range(len(self.texts))
        ]

    def node_rows(self) -> list[dict[str, Any]]:
        """The nodes that carry the change to the first prompt, and their shares of it."""
        whole = self.margin_before - float(self.margin[0]) if len(self.margin) else 0.0
        return [
            {"node": name, "score": float(score), "share": float(score) / whole if whole else 0.0}
            for name, score in zip(self.nodes, self.scores, strict=True)
        ]


_TEXTS = {"tokens": "position", "texts": "prompt", "said": "prompt", "nodes": "node"}
_NUMBERS = {
    "ids": (("prompt", "position"), "token ids"),
    "margin": (("prompt",), "logit of the answer minus that of the wrong or best other one"),
    "probability": (("prompt",), "probability of the answer"),
    "nearness": (("prompt",), "mean cosine of the embeddings of what is swapped"),
    "scores": (("node",), "part of the change of the margin"),
}
_ENDS = ("margin_before", "probability_before")


def adversarial_analysis(found: Adversarial) -> Analysis:
    """The result as labelled arrays, for panels, files and exports."""
    arrays = {
        name: Labelled(dims, getattr(found, name), long_name=text)
        for name, (dims, text) in _NUMBERS.items()
    }
    arrays["swapped"] = Labelled(("prompt", "position"), found.swapped.astype(np.int8))
    for name, axis in _TEXTS.items():
        held = np.array(getattr(found, name), dtype=np.str_)
        arrays[name] = Labelled((axis,), held if len(held) else np.zeros(0, dtype="<U1"))
    params = {**found.params, **{name: getattr(found, name) for name in _ENDS}}
    return Analysis(str(params["id"]), ADVERSARIAL, "Swaps that flip the answer", arrays, params)


def adversarial_of(analysis: Analysis) -> Adversarial:
    """The result that an analysis holds, also one from a file."""
    texts: dict[str, Any] = {
        name: tuple(str(text) for text in analysis.array(name)) for name in _TEXTS
    }
    known = [name for name in _NUMBERS if name != "nearness" or name in analysis.arrays]
    numbers: dict[str, Any] = {name: analysis.array(name) for name in known}
    numbers.setdefault("nearness", np.full(len(texts["texts"]), np.nan))
    params = dict(analysis.params)
    ends: dict[str, Any] = {name: float(params.pop(name)) for name in _ENDS}
    swapped = analysis.array("swapped").astype(np.bool_)
    return Adversarial(**texts, **numbers, **ends, swapped=swapped, params=params)
