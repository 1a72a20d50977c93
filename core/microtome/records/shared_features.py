"""The features that share a neuron, and the meanings that a neuron or a feature has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float

from microtome.errors import InputError, expect
from microtome.records.analysis import Analysis, Labelled
from microtome.records.feature_card import FeatureCard
from microtome.records.feature_examples import Example

SHARED_FEATURES = "shared-features"
_TEXTS = {
    "correlation": "of the activity of neuron and feature over all tokens",
    "share": "of the neuron's activity, at tokens at which the feature is on",
    "cosine": "of what both write to the residual stream",
}


@dataclass(frozen=True, slots=True, eq=False)
class SharedFeatures:
    """How each feature of a dictionary goes together with one neuron over a text.

    ``correlation`` is that of activities over all tokens (0 for what never changes), ``share`` the
    part of the neuron's summed activity that falls on tokens at which the feature is on, ``cosine``
    that of what both write to the residual stream, 0 where that cannot be said.
    """

    layer: int
    neuron: int
    correlation: Float[np.ndarray, " feature"]
    share: Float[np.ndarray, " feature"]
    cosine: Float[np.ndarray, " feature"]
    params: Mapping[str, Any] = field(default_factory=dict)

    def strongest(self, count: int = 10) -> tuple[int, ...]:
        """The features that go with the neuron most, by correlation."""
        order = np.argsort(-self.correlation, kind="stable")
        return tuple(order[:count].tolist())


def shared_analysis(shared: SharedFeatures) -> Analysis:
    """The same as labelled arrays, for panels, files and exports."""
    arrays = {
        name: Labelled(("feature",), getattr(shared, name), long_name=text)
        for name, text in _TEXTS.items()
    }
    params = {**shared.params, "layer": shared.layer, "neuron": shared.neuron}
    named = f"{SHARED_FEATURES}-{shared.layer}.{shared.neuron}"
    title = f"Features that share neuron {shared.neuron} of layer {shared.layer}"
    return Analysis(named, SHARED_FEATURES, title, arrays, params)


def shared_of(analysis: Analysis) -> SharedFeatures:
    """What an analysis holds, also one from a file."""
    params = dict(analysis.params)
    layer, neuron = int(params.pop("layer")), int(params.pop("neuron"))
    return SharedFeatures(
        layer, neuron, **{name: analysis.array(name) for name in _TEXTS}, params=params
    )


@dataclass(frozen=True, slots=True)
class Meaning:
    """Examples that have a token in common: the one that fires, or the one before it."""

    name: str
    share: float  # of all examples
    mean: float  # activation at their peaks
    examples: tuple[Example, ...]


def meanings(card: FeatureCard, by: str = "token") -> tuple[Meaning, ...]:
    """The meanings of a feature or neuron: its examples by what they have in common, most first.

    ``by`` is ``token`` (the one at which it is strongest) or ``before`` (the one before that).
    Texts that are there twice count once. One meaning says that it is monosemantic as far as
    tokens tell, many that it is not; what else examples share is for the eye.
    Raises InputError for another ``by``.
    """
    expect(card, FeatureCard, "card", "a FeatureCard", "feature_card makes one.")
    if by not in ("token", "before"):
        raise InputError(f"Examples have no {by!r} to go by.", "Choose 'token' or 'before'.")
    groups: dict[str, dict[tuple[str, ...], Example]] = {}
    for one in card.examples:
        at = one.peak - (by == "before")
        # Pieces of words with and without a space in front read the same.
        name = one.tokens[at].strip() or one.tokens[at] if at >= 0 else ""
        groups.setdefault(name, {}).setdefault(one.tokens, one)
    total = sum(len(held) for held in groups.values())
    found = [
        Meaning(
            name, len(held) / total, float(np.mean([_peak(one) for one in held.values()])),
            tuple(sorted(held.values(), key=_peak, reverse=True)),
        )
        for name, held in groups.items()
    ]  # fmt: skip
    return tuple(sorted(found, key=lambda one: (-one.share, -one.mean)))


def _peak(example: Example) -> float:
    return example.activations[example.peak]
