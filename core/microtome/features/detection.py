"""Texts in which a feature fires and texts in which it does not, to score a label by."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

import numpy as np
from jaxtyping import Bool, Int

from microtome.errors import InputError
from microtome.features.firing import where_it_fires
from microtome.features.neurons import Coder
from microtome.jobs import Job
from microtome.models.model import Model
from microtome.records.feature_card import FeatureCard
from microtome.records.feature_examples import joined
from microtome.records.feature_index import FeatureIndex
from microtome.records.firing import Firing
from microtome.records.label_score import Detection

_TRIES = 400  # rows of text that are looked at for stretches without a feature


class TooFewTexts(InputError):
    """A text has too few places with a feature, or without it, to score a label."""


class RowsOfText:
    """The rows of an index's text in an order drawn by seed, each run through the model once.

    Stretches without a feature are looked for in the same rows for all features, so that the
    second feature needs hardly any run.
    """

    def __init__(
        self, model: Model, dictionary: Coder, index: FeatureIndex, seed: int, job: Job
    ) -> None:
        self.index, self.seed, self.job = index, seed, job
        self.special = model.lexicon.special_tokens
        self.names = index.arrays["vocabulary"]
        self._model, self._dictionary = model, dictionary
        self._order = np.random.default_rng(seed).permutation(index.arrays["tokens"].shape[0])
        self._fires: dict[int, Firing] = {}

    def silent(
        self, number: int, feature: int
    ) -> tuple[Int[np.ndarray, " position"], Bool[np.ndarray, " position"]]:
        """The tokens of a row, counted in that order and around, and where a feature is off."""
        row = int(self._order[number % len(self._order)])
        ids = np.asarray(self.index.arrays["tokens"][row : row + 1])[0]
        if row not in self._fires:
            self._fires[row] = where_it_fires(
                self._model, self._dictionary, ids.tolist(), job=self.job
            )
        return ids, self._fires[row].of(feature) == 0

    def text(self, ids: Int[np.ndarray, " position"]) -> str:
        """A stretch as it reads, without the tokenizer's own tokens."""
        kept = ids[~np.isin(ids, self.special)]
        return joined([str(self.names[token]) for token in kept])


def detection(rows: RowsOfText, card: FeatureCard, pairs: int) -> Detection:
    """``label_detection`` of one feature. Raises TooFewTexts."""
    random = np.random.default_rng(rows.seed)
    # The strongest alone would be easy: what is shown of a card is left out where there is enough.
    held = [one for quantile in card.quantiles[1:] for one in quantile.examples]
    held += list(card.top) if len(held) < pairs else []
    special = {str(rows.names[token]) for token in rows.special}
    shown = (joined([each for each in one.tokens if each not in special]) for one in held)
    texts = list(dict.fromkeys(shown))
    if len(texts) < pairs:
        raise TooFewTexts(
            f"Feature {card.feature} has {len(texts)} different examples, but {pairs} are needed.",
            "Ask for fewer pairs, or index more text.",
        )
    with_it = [texts[at] for at in random.permutation(len(texts))[:pairs]]
    lengths = [len(one.tokens) for one in held]
    without = _without(rows, card.feature, lengths, pairs, random, frozenset(["", *texts]))
    order = random.permutation(2 * pairs)
    both, fires = [*with_it, *without], np.arange(2 * pairs) < pairs
    return Detection(card.feature, tuple(both[at] for at in order), fires[order], rows.seed)


def _without(
    rows: RowsOfText, feature: int, lengths: Sequence[int], wanted: int,
    random: np.random.Generator, taken: frozenset[str],
) -> list[str]:  # fmt: skip
    found: dict[str, None] = {}
    for tried in count():
        if len(found) == wanted:
            return list(found)
        if tried == _TRIES:
            raise TooFewTexts(
                f"Feature {feature} is on nearly everywhere: {len(found)} of {wanted} stretches "
                "without it were found.",
                "Ask for fewer pairs.",
            )
        rows.job.check()
        ids, off = rows.silent(tried, feature)
        length = min(int(lengths[tried % len(lengths)]), len(ids))
        start = int(random.integers(len(ids) - length + 1))
        stretch = slice(start, start + length)
        if off[stretch].all() and (text := rows.text(ids[stretch])) not in taken:
            found[text] = None
    raise AssertionError
