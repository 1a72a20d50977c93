"""The methods of discovery by name, and what may take an edge's place; plain values, no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Ablation = Literal["resample", "zero", "mean", "position mean"]
ABLATIONS: tuple[Ablation, ...] = ("resample", "zero", "mean", "position mean")
SIGN = "positive: the clean content raises the metric"


@dataclass(frozen=True, slots=True)
class Method:
    """A way to score edges: its title, what its scores are, and what it needs.

    ``local`` methods look at the gradient at the clean run alone.
    """

    title: str
    scale: str
    pairs: bool = False  # needs corrupt prompts
    local: bool = False
    signed: bool = True
    stepped: bool = False  # integrates over steps
    positioned: bool = True  # scores edges at each position


METHODS: Mapping[str, Method] = {
    "two-point": Method("two-point rule", "change of the metric, exact along the edge", True),
    "eap": Method("edge attribution patching", "change of the metric, first order", local=True),
    "eap-ig": Method(
        "EAP, integrated over inputs", "change of the metric, mean slope", stepped=True
    ),
    "eap-ig-activations": Method(
        "EAP, integrated over activations",
        "mean slope over groups of writers; only ranks compare",
        stepped=True,
    ),
    "clean-corrupt": Method("EAP, both ends", "change of the metric, mean of two slopes", True),
    "routes": Method("information flow routes", "share of what the reader reads", signed=False),
    "exact": Method(
        "exact edge patching",
        "change of the metric when the edge alone is replaced",
        positioned=False,
    ),
    "acdc": Method(
        "ACDC",
        "rise of the metric (fall, where more is better) when the edge was tried; 0 where it went",
        signed=False,
        positioned=False,
    ),
}
