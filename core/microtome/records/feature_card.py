"""The card of one feature: what an index of a text tells of it, in words; without a model.

Only the feature's rows and the rows of text that its examples stand in are read, so that a card
from a session's file costs no more than one in memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from microtome.errors import InputError, SessionDamaged, expect
from microtome.records.feature_examples import Example, ExampleQuantile, FeatureExamples
from microtome.records.feature_index import BIN_EDGES, NONE, FeatureIndex, figures

TOP = "Top activations"
QUANTILES = 5
_BARS = 40
NO_LABELS: Mapping[int, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Word:
    """A token, how it reads, and a number about it: a share, or a logit over the mean."""

    token: int
    text: str
    value: float


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Another feature, its label, and how near it is: a cosine, or a share of positions."""

    feature: int
    label: str
    value: float


@dataclass(frozen=True, slots=True, eq=False)
class FeatureCard:
    """What is known of one feature of a dictionary over a text.

    ``rate`` is the share of positions at which it is on, ``mean`` its mean activation there,
    ``purity`` the share of its activation that is on one token, ``spread`` over how many tokens it
    is spread evenly (both NaN for a feature that is never on). ``histogram`` counts positions in
    the bins between ``BIN_EDGES``, one below and one above them. ``quantiles`` are its strongest
    examples, then a sample of all strengths from strong to weak; their activations are 0 where it
    is silent. ``fires_with`` are features that are on at the same positions.
    """

    feature: int
    label: str
    dictionary: str
    rate: float
    mean: float
    peak: float
    count: int
    purity: float
    spread: float
    histogram: Int[np.ndarray, " bin"]
    quantiles: tuple[ExampleQuantile, ...]
    quantile_values: tuple[float, ...]
    tokens: tuple[Word, ...]
    raised: tuple[Word, ...]
    lowered: tuple[Word, ...]
    alike: tuple[Neighbour, ...]
    fires_with: tuple[Neighbour, ...]
    source: Mapping[str, str] = field(default_factory=dict)

    @property
    def top(self) -> tuple[Example, ...]:
        """The examples in which it is strongest."""
        return self.quantiles[0].examples if self.quantiles else ()

    @property
    def examples(self) -> tuple[Example, ...]:
        """All examples, strongest first, each place once."""
        return tuple(one for quantile in self.quantiles for one in quantile.examples)

    @property
    def dead(self) -> bool:
        """Whether it is never on in the text."""
        return not self.count


def feature_card(
    index: FeatureIndex, feature: int, *, labels: Mapping[int, str] = NO_LABELS, each: int = 5
) -> FeatureCard:
    """The card of a feature; ``each`` examples are shown of each fifth of its activations.

    ``labels`` names features by number. Raises InputError for a feature that is not there,
    SessionDamaged when a file cannot be read.
    """
    expect(index, FeatureIndex, "index", "a FeatureIndex", "feature_index makes one of a text.")
    expect(feature, (int, np.integer), "feature", "a number", "Write for example 12.")
    if not 0 <= feature < index.n_features:
        raise InputError(
            f"There is no feature {feature}: the dictionary has {index.n_features:,}.",
            "Count from 0.",
        )
    reading = _Reading(index, int(feature), labels)
    top = reading.examples("top")
    values = index.row("some_value", feature)[index.row("some_place", feature) >= 0]
    numbers = {name: float(one[0]) for name, one in figures(index, feature).items()}
    return FeatureCard(
        feature=int(feature), label=labels.get(int(feature), ""),
        dictionary=str(index.params.get("dictionary", "")),
        rate=numbers["rate"], mean=numbers["mean"], peak=numbers["peak"],
        count=int(index.row("count", feature)), purity=numbers["purity"], spread=numbers["words"],
        histogram=index.row("histogram", feature),
        quantiles=(ExampleQuantile(TOP, top), *reading.quantiles(each)) if top else (),
        quantile_values=_borders(values),
        tokens=reading.words("token", "token_share"),
        raised=reading.words("raised", "raised_by"),
        lowered=reading.words("lowered", "lowered_by"),
        alike=reading.neighbours("alike", "alike_cosine"),
        fires_with=reading.neighbours("together", "together_share"),
        source={name: str(index.params.get(name, "")) for name in (
            "architecture", "fingerprint", "reads", "writes", "model", "corpus")},
    )  # fmt: skip


class _Reading:
    """The rows of one feature, in words."""

    def __init__(self, index: FeatureIndex, feature: int, labels: Mapping[int, str]) -> None:
        self._index, self._feature, self._labels = index, feature, labels
        self._vocabulary = index.arrays["vocabulary"]
        self._rows: dict[int, NDArray[np.int32]] = {}

    def examples(self, kind: str) -> tuple[Example, ...]:
        """All examples of a kind (``top``, ``some``), as they are kept."""
        places = self._index.row(f"{kind}_place", self._feature)
        windows = self._index.row(f"{kind}_window", self._feature)
        seen: set[tuple[str, ...]] = set()
        made = []
        for place, window in zip(places.tolist(), windows, strict=True):
            if place < 0:
                continue
            made.append(self._example(place, window, seen))
        return tuple(made)

    def quantiles(self, each: int) -> Iterator[ExampleQuantile]:
        """A sample of all strengths, from strong to weak, without the strongest ones again."""
        top = set(self._index.row("top_place", self._feature).tolist())
        places = self._index.row("some_place", self._feature)
        values = self._index.row("some_value", self._feature)
        used = np.flatnonzero(places >= 0)
        order = used[np.argsort(-values[used], kind="stable")]
        windows = self._index.row("some_window", self._feature)
        for at, part in enumerate(np.array_split(order, QUANTILES)):
            chosen = [one for one in part.tolist() if int(places[one]) not in top][:each]
            seen: set[tuple[str, ...]] = set()
            held = tuple(self._example(int(places[one]), windows[one], seen) for one in chosen)
            if held:
                high = 100 - at * 100 // QUANTILES
                yield ExampleQuantile(f"{high - 100 // QUANTILES}–{high} %", held)

    def words(self, name: str, by: str) -> tuple[Word, ...]:
        """Tokens and numbers of two arrays."""
        tokens, values = (self._index.row(each, self._feature).tolist() for each in (name, by))
        pairs = zip(tokens, values, strict=True)
        return tuple(Word(token, self._text(token), by) for token, by in pairs if token >= 0)

    def neighbours(self, name: str, by: str) -> tuple[Neighbour, ...]:
        """Features and numbers of two arrays."""
        others, values = (self._index.row(each, self._feature).tolist() for each in (name, by))
        return tuple(
            Neighbour(other, self._labels.get(other, ""), value)
            for other, value in zip(others, values, strict=True)
            if other >= 0
        )

    def _example(
        self, place: int, window: Float[np.ndarray, " near"], seen: set[tuple[str, ...]]
    ) -> Example:
        row, position = divmod(place, self._index.context)
        if row not in self._rows:
            self._expect(row, self._index.arrays["tokens"].shape[0], "rows of text")
            self._rows[row] = np.asarray(self._index.arrays["tokens"][row : row + 1])[0]
        near = self._index.near
        around = np.arange(position - near, position + near + 1)
        within = (around >= 0) & (around < self._index.context)
        inside = np.flatnonzero(within & (window != NONE))
        ids = self._rows[row][position - near + inside]
        tokens = tuple(self._text(token) for token in ids.tolist())
        peak = int(np.searchsorted(inside, near))
        repeated = tokens in seen
        seen.add(tokens)
        activations = tuple(float(value) for value in window[inside])
        return Example(tokens, activations, peak, repeated)

    def _expect(self, number: int, count: int, what: str) -> None:
        if not 0 <= number < count:
            raise SessionDamaged(
                f"Feature {self._feature} of the index names {number} of {count} {what}.",
                "Index the text again.",
            )

    def _text(self, token: int) -> str:
        self._expect(token, self._vocabulary.shape[0], "tokens")
        return str(self._vocabulary[token])


def _borders(values: NDArray[np.float32]) -> tuple[float, ...]:
    """The activations between the fifths of a sample, from its weakest to its strongest."""
    if not len(values):
        return ()
    return tuple(float(one) for one in np.quantile(values, np.linspace(0, 1, QUANTILES + 1)))


def as_examples(card: FeatureCard) -> FeatureExamples:
    """A card as circuit-tracer's page shows it, for ``write_examples``.

    Its histogram has bars of equal width: what a bin counts is spread evenly over it.
    """
    low = float(min((one.activations[one.peak] for one in card.examples), default=0.0))
    low = min(low, card.quantile_values[0]) if card.quantile_values else low
    return FeatureExamples(
        feature=card.feature,
        quantiles=card.quantiles,
        top_logits=tuple(word.text for word in card.raised),
        bottom_logits=tuple(word.text for word in card.lowered),
        histogram=tuple(_bars(card.histogram, low, card.peak).tolist()),
        quantile_values=card.quantile_values,
        minimum=low,
        maximum=card.peak,
        frequency=card.rate,
        source=card.dictionary,
    )


def _bars(counts: Int[np.ndarray, " bin"], low: float, high: float) -> Float[np.ndarray, " bar"]:
    if high <= low:
        return np.full(1, float(counts.sum())) if counts.any() else np.zeros(0)
    edges = np.concatenate([[0.0], BIN_EDGES, [np.inf]])
    edges = np.maximum.accumulate(np.clip(edges, low, high))
    below = np.concatenate([[0], np.cumsum(counts)]).astype(np.float64)
    # A bin outside of the range has no width left: all it counts lies at the range's end.
    borders = np.linspace(low, high, _BARS + 1)
    reached = np.interp(borders, edges, below)
    reached[0], reached[-1] = 0, below[-1]
    return np.diff(reached)


def examples_of(
    index: FeatureIndex, labels: Mapping[int, str] = NO_LABELS
) -> Iterator[FeatureExamples]:
    """All features that were on, one at a time, in order: what ``write_examples`` takes."""
    for feature in np.flatnonzero(index.array("count")).tolist():
        yield as_examples(feature_card(index, feature, labels=labels))
