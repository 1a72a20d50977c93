"""Text that a model wrote, token by token, and two of them side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from microtome.records.analysis import Analysis, Labelled

GENERATION = "generation"  # the id and the kind of its analysis


@dataclass(frozen=True, slots=True, eq=False)
class Generation:
    """A prompt, and how the model went on.

    ``probabilities`` are those that the model, with its edits, gave each token before any
    sampling setting: at temperature 1, of the whole vocabulary. ``stopped`` says why it ended:
    ``length`` (as many as asked for), ``end`` (the model ended the text), ``context`` (it reads
    no more), or empty while it goes on. ``source`` are the tokens that an encoder read.
    """

    model: str
    prompt: str
    tokens: tuple[str, ...]  # of the prompt; behind an encoder those of the decoder
    token_ids: Int[np.ndarray, " position"]
    ids: Int[np.ndarray, " token"]  # generated
    texts: tuple[str, ...]
    probabilities: Float[np.ndarray, " token"]
    text: str  # the generated tokens joined
    stopped: str = ""
    source: tuple[str, ...] = ()
    edits: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)  # n_tokens, temperature, seed …
    seconds: float = 0.0


_FIELDS = ("model", "prompt", "text", "stopped", "seconds")
_TEXTS = ("tokens", "texts", "source", "edits")


def generation_analysis(before: Generation, after: Generation | None = None) -> Analysis:
    """A generation, or one without and one with edits, as labelled arrays."""
    sides = {"before": before} | ({} if after is None else {"after": after})
    arrays: dict[str, Labelled] = {}
    for side, held in sides.items():
        arrays[f"{side}_ids"] = Labelled((f"{side}_token",), held.ids)
        arrays[f"{side}_probabilities"] = Labelled((f"{side}_token",), held.probabilities)
    arrays["prompt_ids"] = Labelled(("position",), before.token_ids)
    params = {side: _settings(held) for side, held in sides.items()}
    title = "Generated text" if after is None else "Generated text without and with edits"
    return Analysis(GENERATION, GENERATION, title, arrays, params)


def _settings(held: Generation) -> dict[str, Any]:
    plain = {name: getattr(held, name) for name in _FIELDS}
    return plain | {name: list(getattr(held, name)) for name in _TEXTS} | {
        "settings": dict(held.settings)
    }  # fmt: skip


def generations_of(analysis: Analysis) -> tuple[Generation, Generation | None]:
    """What an analysis holds: the generation before, and the one after if there is one.

    Raises SiteMissing when it lacks an array.
    """
    before = _read(analysis, "before")
    return before, _read(analysis, "after") if "after" in analysis.params else None


def _read(analysis: Analysis, side: str) -> Generation:
    held: dict[str, Any] = dict(analysis.params[side])
    return Generation(
        **held | {name: tuple(held[name]) for name in _TEXTS},
        token_ids=analysis.array("prompt_ids"),
        ids=analysis.array(f"{side}_ids"),
        probabilities=analysis.array(f"{side}_probabilities"),
    )
