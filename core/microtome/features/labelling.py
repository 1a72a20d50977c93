"""Labels for features, proposed and scored by whatever speaks the ``Labeller`` protocol.

A label is scored by detection (Paulo et al., "Automatically Interpreting Millions of Features",
2024): whoever knows the label alone has to tell texts in which the feature fires from texts in
which it does not. The labeller never sees the answers.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float

from microtome.errors import InputError, PromptError, expect
from microtome.features.detection import RowsOfText, TooFewTexts, detection
from microtome.features.neurons import Coder
from microtome.features.token_labels import propose_label
from microtome.interventions.generation import generate
from microtome.jobs import Job, QuietPart, job_or_default
from microtome.models.given import expect_model
from microtome.models.model import Model
from microtome.records.feature_card import FeatureCard, feature_card
from microtome.records.feature_examples import Example, joined
from microtome.records.feature_index import FeatureIndex
from microtome.records.feature_labels import LabelSet
from microtome.records.label_score import Detection, LabelScore, score_of

# How many examples are shown, and how many tokens to each side: as the model has room.
_SIZES = ((8, 99), (4, 99), (2, 99), (2, 4), (1, 4), (1, 1))
_TOLD_EVERY = 0.3  # seconds between partial results
_TOKENS = 12


@runtime_checkable
class Labeller(Protocol):
    """What proposes labels and can tell texts by them: a local model, a service, a person."""

    def propose(self, card: FeatureCard) -> str:
        """A label for what the card shows."""
        ...

    def detect(self, label: str, texts: Sequence[str]) -> Float[np.ndarray, " text"]:
        """How sure it is that a feature of that label fires in each text; any scale."""
        ...


def label_detection(
    model: Model,
    dictionary: Coder,
    index: FeatureIndex,
    feature: int,
    *,
    pairs: int = 10,
    seed: int = 0,
    job: Job | None = None,
) -> Detection:
    """Texts to tell apart: ``pairs`` with the feature, in all its strengths, and as many without.

    Those without are stretches of the same length from the same text, run through the model to be
    sure that the feature is on at none of their tokens. The tokenizer's own tokens are in neither.
    Raises TooFewTexts, an InputError, when the text has not enough of either.
    """
    expect_model(model)
    rows = RowsOfText(model, dictionary, index, seed, job_or_default(job))
    return detection(rows, feature_card(index, feature), pairs)


def score_label(labeller: Labeller, label: str, held: Detection) -> LabelScore:
    """How well a labeller that knows the label alone tells the texts apart."""
    expect(labeller, Labeller, "labeller", "a Labeller", "LocalLabeller takes any causal model.")
    sure = np.asarray(labeller.detect(label, held.texts))
    good = sure.dtype.kind in "biuf" and sure.shape == (len(held.texts),)
    if not good or not np.isfinite(sure).all():
        raise InputError(
            f"{type(labeller).__name__}.detect gave no finite number for each of the "
            f"{len(held.texts)} texts.",
            "It has to return one number a text: how sure it is.",
        )
    return score_of(held.fires, sure.astype(np.float64))


class LocalLabeller:
    """A local causal model that is asked with a plain prompt.

    It proposes by going on from examples, with what fires in «», and detects by how probable the
    label is after a text. A small model proposes poorly: the score tells.
    """

    def __init__(self, model: Model, *, job: Job | None = None) -> None:
        expect_model(model)
        self.model, self._job = model, job_or_default(job)

    def propose(self, card: FeatureCard) -> str:
        """What the model writes behind the examples; else what token statistics say."""
        written = generate(self.model, self._asked(card), _TOKENS, job=self._job)
        text = written.text
        for token in self.model.lexicon.special_tokens:
            text = text.replace(self.model.token_text(token), "")
        lines = text.strip().splitlines()
        return lines[0].strip(" .-") if lines and lines[0].strip(" .-") else propose_label(card)

    def detect(self, label: str, texts: Sequence[str]) -> Float[np.ndarray, " text"]:
        """The mean log-probability of the label's tokens behind each text."""
        sure = []
        for done, text in enumerate(texts):
            self._job.progress("Testing a label", done, len(texts))
            sure.append(self._after(text.split(" "), f" {label}"))
        return np.array(sure)

    def _asked(self, card: FeatureCard) -> str:
        """The question with as many examples, and as much of each, as the model reads."""
        room = self.model.identity.context
        for shown, near in _SIZES:
            lines = "\n".join(f"- {_marked(one, near)}" for one in card.top[:shown])
            asked = f"Words in «» have one thing in common.\n{lines}\nIn one phrase, they are:"
            try:
                if room is None or len(self.model.tokenize(asked)) + _TOKENS <= room:
                    return asked
            except PromptError:
                continue
        raise InputError(
            f"{self.model.identity.name} reads at most {room} tokens: too few to be asked for a "
            "label.",
            "Choose a model that reads more.",
        )

    def _after(self, words: list[str], label: str) -> float:
        asked = f"Text: {' '.join(words)}\nIn one phrase, it has:"
        try:
            tokens = self.model.tokenize(asked + label)
        except PromptError:
            if len(words) < 2:
                raise
            return self._after(words[len(words) // 2 :], label)  # the end of what is too long
        start = min(len(self.model.tokenize(asked)), len(tokens) - 1)
        with torch.inference_mode():
            logits = self.model.run(tokens).float().log_softmax(-1)
        ids = torch.from_numpy(np.asarray(tokens.ids, np.int64))[start:]
        return float(logits[start - 1 : -1].gather(-1, ids[:, None]).mean())


def label_features(  # noqa: PLR0913  # whose features, who proposes, and how that is scored
    model: Model,
    dictionary: Coder,
    index: FeatureIndex,
    labeller: Labeller,
    features: Sequence[int] | None = None,
    *,
    origin: str = "",
    pairs: int = 10,
    seed: int = 0,
    job: Job | None = None,
) -> LabelSet:
    """Proposals for features that are on in a text, each scored by detection.

    ``features`` are all of them by default, ``pairs`` of texts are told apart for a score; 0
    measures none. A feature that has not enough texts stays without a score. ``origin`` is what
    the labeller is called, its class if nothing is given. Partial results ``labels`` hold what was
    found since the one before.
    Raises InputError for a labeller that answers with something else, and what ``trace`` raises.
    """
    job = job_or_default(job)
    expect_model(model)
    expect(index, FeatureIndex, "index", "a FeatureIndex", "feature_index makes one of a text.")
    expect(labeller, Labeller, "labeller", "a Labeller", "LocalLabeller takes any causal model.")
    alive = index.array("count") > 0
    wanted = np.flatnonzero(alive).tolist() if features is None else list(features)
    labels: dict[int, str] = {}
    scores: dict[int, float] = {}
    told, since = 0, time.monotonic()
    rows = RowsOfText(model, dictionary, index, seed, QuietPart(job))
    named = origin or type(labeller).__name__

    def found(start: int = 0) -> LabelSet:
        kept = dict(list(labels.items())[start:])
        held = LabelSet.of(str(index.params["fingerprint"]), named, kept).scored(scores)
        how = {"method": f"detection of {2 * pairs} texts", "seed": seed} if pairs else {}
        return replace(held, params=how, proposed=True)

    for done, feature in enumerate(wanted):
        job.progress("Labels", done, len(wanted))
        card = feature_card(index, feature)
        label = _proposed(labeller, card)
        if label:
            labels[feature] = label
        if label and pairs:
            try:
                held = detection(rows, card, pairs)
                scores[feature] = score_label(labeller, label, held).accuracy
            except TooFewTexts:
                pass
        if time.monotonic() - since > _TOLD_EVERY:
            job.partial("labels", found(told))
            told, since = len(labels), time.monotonic()
    job.progress("Labels", len(wanted), len(wanted))
    return found()


def _proposed(labeller: Labeller, card: FeatureCard) -> str:
    text = "" if card.dead else labeller.propose(card)
    if not isinstance(text, str):
        raise InputError(
            f"{type(labeller).__name__}.propose gave {text!r} for feature {card.feature}.",
            "It has to return a text, empty for no label.",
        )
    return " ".join(text.split())


def _marked(example: Example, near: int) -> str:
    stretch = slice(max(0, example.peak - near), example.peak + near + 1)
    pairs = zip(example.tokens[stretch], example.activations[stretch], strict=True)
    return joined([f"«{token}»" if value > 0 else token for token, value in pairs]).strip()
