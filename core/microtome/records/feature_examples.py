"""Examples of one feature: where it fires, how strongly, and what it raises and lowers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


def joined(tokens: Sequence[str]) -> str:
    """Tokens as text: with spaces between where the tokenizer's own have none in front."""
    between = "" if any(token != token.strip() for token in tokens) else " "
    return between.join(tokens)


@dataclass(frozen=True, slots=True)
class Example:
    """A stretch of text around one position at which a feature fires.

    ``activations`` has one number a token, 0 where the feature is silent; ``peak`` is the token
    that the stretch was chosen for.
    """

    tokens: tuple[str, ...]
    activations: tuple[float, ...]
    peak: int
    repeated: bool = False  # whether the same text was among the examples already


@dataclass(frozen=True, slots=True)
class ExampleQuantile:
    """Examples of like strength: ``Top activations``, or a stretch of the range."""

    name: str
    examples: tuple[Example, ...]


@dataclass(frozen=True, slots=True)
class FeatureExamples:
    """What is shown of a feature, as circuit-tracer's page has it.

    ``histogram`` counts activations in bins of equal width from ``minimum`` to ``maximum``;
    ``quantile_values`` are the activations at the borders of the quantiles; ``frequency`` is the
    share of positions at which the feature fires. ``source`` names the dictionary.
    """

    feature: int
    quantiles: tuple[ExampleQuantile, ...]
    top_logits: tuple[str, ...] = ()
    bottom_logits: tuple[str, ...] = ()
    histogram: tuple[float, ...] = ()
    quantile_values: tuple[float, ...] = ()
    minimum: float = 0.0
    maximum: float = 0.0
    frequency: float = 0.0
    source: str = ""
