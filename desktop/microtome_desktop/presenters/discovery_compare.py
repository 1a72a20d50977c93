"""Rival circuits beside each other: how alike their ranks and edges are, and who has which edge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from microtome.circuits.discovery.comparing import overlap, rank_correlations
from microtome.records.analysis import Analysis
from microtome.records.provenance import provenance, rivals_differ
from microtome_desktop import palette as colours
from microtome_desktop.presenters.circuit_curves import FIRST_RIVAL, SHARED
from microtome_desktop.presenters.discovery_dial import Ranked


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Ticked rivals in the order of the list; both tables are symmetric, with 1 on the diagonal.

    ``correlation`` is Spearman's of the scores of all edges, signed when the dial goes by score;
    ``overlap`` the share of the edges of either that both have at the dial's size. What a worker
    still computes is not a number.
    """

    names: tuple[str, ...]
    correlation: Float[np.ndarray, "rival rival"]
    overlap: Float[np.ndarray, "rival rival"]


def correlations(rivals: Sequence[Ranked], *, signed: bool) -> Float[np.ndarray, "rival rival"]:
    """Spearman's correlation of each two; of the sizes of the scores unless signed."""
    return rank_correlations([rival.scores if signed else np.abs(rival.scores) for rival in rivals])


def where_comparable(
    values: Float[np.ndarray, "rival rival"], rivals: Sequence[Analysis]
) -> Float[np.ndarray, "rival rival"]:
    """The values but for rivals that differ in more than the method, which are not compared."""
    found, told = np.array(values, dtype=float), [provenance(rival) for rival in rivals]
    for row, first in enumerate(told):
        for column in range(row):
            if rivals_differ(first, told[column]):
                found[row, column] = found[column, row] = np.nan
    return found


def overlaps_at(
    rivals: Sequence[Ranked], count: int, *, signed: bool
) -> Float[np.ndarray, "rival rival"]:
    """The overlap of each two rivals at a size."""
    return overlaps([rival.kept(count, signed=signed) for rival in rivals])


def overlaps(kept: Sequence[Bool[np.ndarray, " edge"]]) -> Float[np.ndarray, "rival rival"]:
    """The overlap of each two circuits."""
    found = np.eye(len(kept))
    for row, first in enumerate(kept):
        for column in range(row):
            found[row, column] = found[column, row] = overlap(first, kept[column])
    return found


def rival_hue(place: int) -> int:
    """The hue of the rival that has this place among the colours."""
    return FIRST_RIVAL + place % len(colours.POINT_GROUPS)


def groups_of(
    first: Bool[np.ndarray, " edge"],
    second: Bool[np.ndarray, " edge"],
    places: tuple[int, int],
) -> Int[np.ndarray, " edge"]:
    """The group that each edge is coloured by; ``places`` are those of the rivals' colours."""
    own, theirs = map(rival_hue, places)
    return np.asarray(np.where(first & second, SHARED, np.where(first, own, theirs)))


def colouring_of(names: tuple[str, str], places: tuple[int, int]) -> Mapping[str, int]:
    """The legend of two circuits in one graph: what each hue says."""
    told = (f"only {name}" for name in names)
    return {"both": SHARED, **dict(zip(told, map(rival_hue, places), strict=True))}


def comparison_rows(compared: Comparison) -> tuple[tuple[str, str, float, float], ...]:
    """Each two once: their names, correlation and overlap."""
    names = compared.names
    return tuple(
        (names[row], names[column], float(compared.correlation[row, column]),
         float(compared.overlap[row, column]))
        for row in range(len(names)) for column in range(row + 1, len(names))
    )  # fmt: skip
