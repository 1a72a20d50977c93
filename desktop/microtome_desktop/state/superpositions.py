"""What the superposition lab is asked for, and what of it a session holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from microtome.records.analysis import Analysis
from microtome.records.session import Session
from microtome.records.superposition import ToyPlan

KEEP = 2  # decimals of a sparsity


@dataclass(frozen=True, slots=True)
class PhaseWish:
    """A phase diagram, as the engine is asked for it."""

    features: int = 2
    dimensions: int = 1
    squares: int = 12
    repeats: int = 5
    steps: int = 1_000
    seed: int = 0


@dataclass(frozen=True, slots=True)
class SharingWish:
    """Whose directions are measured: those of a layer's neurons, or of an open dictionary."""

    title: str
    layer: int | None = None
    fingerprint: str = ""


def spread(low: float, high: float, models: int) -> tuple[float, ...]:
    """Sparsities from one to another, evenly in the logarithm of the density."""
    dense, thin = 1 - min(low, high), 1 - max(low, high)
    found = 1 - np.geomspace(dense, thin, models) if models > 1 else np.array([max(low, high)])
    return tuple(round(float(each), KEEP) for each in found)


def plan_of(params: dict[str, Any]) -> ToyPlan | None:
    """The plan that a form's state holds; None for what is none."""
    try:
        held = {**params, "sparsity": tuple(float(each) for each in params["sparsity"])}
        return ToyPlan(**held)
    except (KeyError, TypeError, ValueError):
        return None


def newest(session: Session | None, kind: str) -> Analysis | None:
    """The analysis of a kind that came last."""
    held = () if session is None else tuple(session.analyses.values())
    return next((one for one in reversed(held) if one.kind == kind), None)
