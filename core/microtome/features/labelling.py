"""Labels for features: by token statistics, and by whatever speaks the ``Labeller`` protocol.

A label is scored by detection (Paulo et al., "Automatically Interpreting Millions of Features",
2024): whoever knows the label alone has to tell texts in which the feature fires from texts in
which it does not. The labeller never sees the answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float

from microtome.errors import InputError, expect
from microtome.features.firing import where_it_fires
from microtome.features.neurons import Coder
from microtome.interventions.generation import generate
from microtome.jobs import Job, job_or_default
from microtome.models.given import expect_model
from microtome.models.model import Model
from microtome.records.feature_card import FeatureCard, feature_card
from microtome.records.feature_examples import Example, joined
from microtome.records.feature_index import FeatureIndex
from microtome.records.feature_labels import LabelSet
from microtome.records.label_score import Detection, LabelScore, score_of

_PURE, _COVERED, _MOST_TOKENS = 0.6, 0.8, 4
_SHOWN = 8
_TRIES = 400  # rows of text that are looked at for stretches without the feature
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


def propose_label(card: FeatureCard) -> str:
    """A label by token statistics: the token or tokens that carry a feature, and what it raises.

    ``"to" after "went"`` where both are the same nearly always; ``"Mary", "John"`` where few
    tokens carry four fifths of its activation; else what comes before, or what it raises.
    """
    expect(card, FeatureCard, "card", "a FeatureCard", "feature_card makes one.")
    if card.dead:
        return ""
    before = _before(card.top)
    if card.purity >= _PURE:
        return _quoted(card.tokens[0].text) + (f" after {_quoted(before)}" if before else "")
    shares = np.cumsum([word.value for word in card.tokens])
    few = int(np.searchsorted(shares, _COVERED)) + 1
    if few <= min(_MOST_TOKENS, len(card.tokens)):
        return ", ".join(_quoted(word.text) for word in card.tokens[:few])
    if before:
        return f"after {_quoted(before)}"
    raised = ", ".join(_quoted(word.text) for word in card.raised[:3])
    return f"raises {raised}" if raised else ""


def propose_labels(index: FeatureIndex, *, job: Job | None = None) -> LabelSet:
    """Labels of all features that are on in a text, by token statistics."""
    job = job_or_default(job)
    expect(index, FeatureIndex, "index", "a FeatureIndex", "feature_index makes one of a text.")
    found: dict[int, str] = {}
    for feature in np.flatnonzero(index.array("count")).tolist():
        job.progress("Labels by tokens", feature, index.n_features)
        found[feature] = propose_label(feature_card(index, feature))
    named = {feature: text for feature, text in found.items() if text}
    return LabelSet.of(str(index.params["fingerprint"]), "token statistics", named)


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
    Raises InputError when the text has not enough of either.
    """
    job = job_or_default(job)
    expect_model(model)
    card = feature_card(index, feature)
    random = np.random.default_rng(seed)
    # The strongest alone would be easy: what is shown of a card is left out where there is enough.
    held = [one for quantile in card.quantiles[1:] for one in quantile.examples]
    held += list(card.top) if len(held) < pairs else []
    special = {model.token_text(token) for token in model.lexicon.special_tokens}
    shown = (joined([each for each in one.tokens if each not in special]) for one in held)
    texts = list(dict.fromkeys(shown))
    if len(texts) < pairs:
        raise InputError(
            f"Feature {feature} has {len(texts)} different examples, but {pairs} are needed.",
            "Ask for fewer pairs, or index more text.",
        )
    with_it = [texts[at] for at in random.permutation(len(texts))[:pairs]]
    lengths = [len(one.tokens) for one in held]
    without = _without(model, dictionary, index, feature, lengths, pairs, random, job)
    order = random.permutation(2 * pairs)
    both, fires = [*with_it, *without], np.arange(2 * pairs) < pairs
    return Detection(int(feature), tuple(both[at] for at in order), fires[order], seed)


def score_label(labeller: Labeller, label: str, held: Detection) -> LabelScore:
    """How well a labeller that knows the label alone tells the texts apart."""
    expect(labeller, Labeller, "labeller", "a Labeller", "LocalLabeller takes any causal model.")
    return score_of(held.fires, np.asarray(labeller.detect(label, held.texts), np.float64))


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
        shown = "\n".join(f"- {_marked(one)}" for one in card.top[:_SHOWN])
        asked = f"Words in «» have one thing in common.\n{shown}\nIn one phrase, they are:"
        written = generate(self.model, asked, _TOKENS, job=self._job)
        lines = written.text.strip().splitlines()
        return lines[0].strip(" .-") if lines and lines[0].strip(" .-") else propose_label(card)

    def detect(self, label: str, texts: Sequence[str]) -> Float[np.ndarray, " text"]:
        """The mean log-probability of the label's tokens behind each text."""
        sure = []
        for done, text in enumerate(texts):
            self._job.progress("Testing a label", done, len(texts))
            sure.append(self._after(f"Text: {text}\nIn one phrase, it has:", f" {label}"))
        return np.array(sure)

    def _after(self, asked: str, label: str) -> float:
        tokens = self.model.tokenize(asked + label)
        start = min(len(self.model.tokenize(asked)), len(tokens) - 1)
        with torch.inference_mode():
            logits = self.model.run(tokens).float().log_softmax(-1)
        ids = torch.from_numpy(np.asarray(tokens.ids, np.int64))[start:]
        return float(logits[start - 1 : -1].gather(-1, ids[:, None]).mean())


def label_features(
    labeller: Labeller,
    cards: Sequence[FeatureCard],
    texts: Mapping[int, Detection],
    *,
    origin: str,
    job: Job | None = None,
) -> LabelSet:
    """Proposed labels of features, scored where there are texts to tell apart."""
    job = job_or_default(job)
    expect(labeller, Labeller, "labeller", "a Labeller", "LocalLabeller takes any causal model.")
    labels: dict[int, str] = {}
    scores: dict[int, float] = {}
    for done, card in enumerate(cards):
        job.progress("Labels", done, len(cards))
        labels[card.feature] = labeller.propose(card)
        if card.feature in texts:
            held = score_label(labeller, labels[card.feature], texts[card.feature])
            scores[card.feature] = held.accuracy
    fingerprint = cards[0].source.get("fingerprint", "") if cards else ""
    return LabelSet.of(fingerprint, origin, labels).scored(scores)


def _without(  # what a stretch must not have, and where it is looked for
    model: Model,
    dictionary: Coder,
    index: FeatureIndex,
    feature: int,
    lengths: Sequence[int],
    wanted: int,
    random: np.random.Generator,
    job: Job,
) -> list[str]:
    found: dict[str, None] = {}
    tokens, names = index.arrays["tokens"], index.arrays["vocabulary"]
    special = model.lexicon.special_tokens
    for tried in count():
        if len(found) == wanted:
            return list(found)
        if tried == _TRIES:
            raise InputError(
                f"Feature {feature} is on nearly everywhere: {len(found)} of {wanted} stretches "
                "without it were found.",
                "Ask for fewer pairs.",
            )
        job.check()
        row = int(random.integers(tokens.shape[0]))
        ids = np.asarray(tokens[row : row + 1])[0]
        off = where_it_fires(model, dictionary, ids.tolist(), job=job).of(feature) == 0
        length = min(int(lengths[tried % len(lengths)]), len(ids))
        start = int(random.integers(len(ids) - length + 1))
        stretch = slice(start, start + length)
        if off[stretch].all():
            kept = ids[stretch][~np.isin(ids[stretch], special)]
            found[joined([str(names[token]) for token in kept])] = None
    raise AssertionError


def _marked(example: Example) -> str:
    pairs = zip(example.tokens, example.activations, strict=True)
    return joined([f"«{token}»" if value > 0 else token for token, value in pairs]).strip()


def _quoted(text: str) -> str:
    return f"“{text.strip() or text}”"


def _before(examples: Sequence[Example]) -> str:
    """The token before the peak, where it is the same in four of five examples."""
    fresh = [one for one in examples if not one.repeated]
    tokens = [one.tokens[one.peak - 1] if one.peak else "" for one in fresh]
    if len(tokens) < 3:
        return ""
    best = max(set(tokens), key=tokens.count)
    return best if tokens.count(best) >= _COVERED * len(tokens) else ""
