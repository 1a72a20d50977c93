"""What the dial says at one size of a circuit, and what can be typed into it."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from microtome.records.faithfulness import Faithfulness
from microtome.records.positions import SUMMED
from microtome_desktop.presenters.circuit_text import percent
from microtome_desktop.presenters.discovery_dial import Ranked, Reading, reading_at

_OF_SUMS = " Edges are taken away at all positions at once, by their sums over positions."
_NUMBER = re.compile(r"\s*([-+\N{MINUS SIGN}]?\d*\.?\d+(?:[eE][-+]?\d+)?)\s*(%?)\s*")


@dataclass(frozen=True, slots=True)
class Told:
    """What the dial says at one size, as text; ``measured`` when its faithfulness is exact."""

    share: str
    threshold: str
    edges: str
    faithfulness: str
    areas: str
    measured: bool = False
    tip: str = ""


def told_at(
    ranked: Ranked,
    kept: Bool[np.ndarray, " edge"],
    count: int,
    curve: Faithfulness | None,
    *,
    signed: bool,
) -> Told:
    """What the dial says of the ``count`` best edges, of which ``kept`` lie on a way."""
    total, left = ranked.count, int(np.count_nonzero(kept))
    lost = count - left
    said = f"{left:,} of {total:,} edges · {ranked.nodes(kept)} nodes"
    said += f" · {lost:,} lead nowhere" if lost else ""
    read = reading(curve, count, left, total, signed=signed)
    worth, tip = _worth(read, partial=curve is not None and bool(curve.params.get("partial")))
    tip += _OF_SUMS if curve is not None and SUMMED in curve.params else ""
    return Told(
        share=percent(count / total),
        threshold=f"{ranked.threshold(count, signed=signed):.4g}",
        edges=said if left else _no_way(count),
        faithfulness=worth,
        areas="" if curve is None else _areas(curve),
        measured=read is not None and read.measured,
        tip=tip,
    )


def reading(
    curve: Faithfulness | None, count: int, left: int, total: int, *, signed: bool
) -> Reading | None:
    """Faithfulness at a size; a circuit without any way keeps nothing, by definition."""
    if curve is None:
        return None
    if not left:
        return Reading(0.0, measured=True)
    return reading_at(curve, count, total, signed=signed)


def _no_way(count: int) -> str:
    edges = "edge" if count == 1 else f"{count:,} edges"
    return f"No way from input to logits in the best {edges}: turn it up"


def _worth(read: Reading | None, *, partial: bool) -> tuple[str, str]:
    if read is None:
        return "faithfulness not measured", "No curve reaches this size: measure it here."
    about = "" if read.measured else "≈ "
    text = f"faithfulness {about}{read.value:.3f}".replace("-", "\N{MINUS SIGN}")
    if read.band is not None:
        low, high = (f"{end:.2f}".replace("-", "\N{MINUS SIGN}") for end in read.band)
        text += f" ({low} to {high})"
    how = "Measured at this size." if read.measured else "Read between the sizes measured beside."
    tip = how + (" The band holds 95 % of bootstrap samples of the examples." if read.band else "")
    return text, tip + (" The curve is not finished." if partial else "")


def _areas(curve: Faithfulness) -> str:
    values = [("CPR", curve.cpr), ("CMD", curve.cmd)]
    said = [f"{name} {value:.3f}" for name, value in values if np.isfinite(value)]
    if not curve.params.get("partial"):
        least = "no size keeps 0.9" if curve.smallest is None else None
        said.append(least or f"0.9 kept by {percent(curve.smallest or 0.0)}")
    return " · ".join(said).replace("-", "\N{MINUS SIGN}")


def typed_count(text: str, total: int) -> int | None:
    """How many edges a typed size means: ``2.5 %`` of all, or a whole number of them."""
    found = _NUMBER.fullmatch(text)
    if found is None:
        return None
    value = float(found[1].replace("\N{MINUS SIGN}", "-"))
    count = round(value / 100 * total) if found[2] else round(value)
    return min(max(count, 1), total)


def typed_threshold(text: str) -> float | None:
    """A typed score."""
    found = _NUMBER.fullmatch(text)
    if found is None or found[2]:
        return None
    return float(found[1].replace("\N{MINUS SIGN}", "-"))
