"""What the features of a dictionary answer to over a set of images, for panels and files."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, UInt8

from microtome.records.analysis import Analysis

FEATURE_SELECTIVITY = "feature-selectivity"


_SHOWN = 12  # letters of a checksum


def selectivity_id(fingerprint: str, images: str, digest: str) -> str:
    """The name of the analysis of a dictionary and a set of images, whose content counts."""
    return f"{FEATURE_SELECTIVITY}-{fingerprint[:_SHOWN]}-{images}-{digest[:_SHOWN]}"


@dataclass(frozen=True, slots=True, eq=False)
class FeatureSelectivity:
    """A typed view of the analysis: what each feature answers to, and its strongest images."""

    analysis: Analysis
    rate: Float[np.ndarray, " feature"]
    peak: Float[np.ndarray, " feature"]
    by_class: Float[np.ndarray, "class feature"]
    by_domain: Float[np.ndarray, "domain feature"]
    number: Int[np.ndarray, "feature image"]
    strongest: Float[np.ndarray, "feature image"]
    map_at: Int[np.ndarray, "feature image"]
    maps: Float[np.ndarray, "map row column"]
    shown: Int[np.ndarray, " shown"]
    label: Int[np.ndarray, " shown"]
    thumbnails: UInt8[np.ndarray, "shown _ _ channel"]

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes of the set."""
        return tuple(self.analysis.params["classes"])

    @property
    def domains(self) -> tuple[str, ...]:
        """The domains of the set."""
        return tuple(self.analysis.params["domains"])

    @property
    def nbytes(self) -> int:
        """What it takes in memory."""
        return self.maps.nbytes + self.thumbnails.nbytes + 4 * self.by_class.nbytes

    def map_of(self, feature: int, kept: int) -> Float[np.ndarray, "row column"] | None:
        """A feature's codes at all places of one of its images; None where that was left out."""
        at = int(self.map_at[feature, kept])
        return None if at < 0 else self.maps[at]

    @property
    def left_out(self) -> tuple[int, int]:
        """How many maps and how many strongest images are not kept, to keep the session small."""
        there = self.number >= 0
        images = int((~np.isin(self.number[there], self.shown)).sum())
        return int((self.map_at[there] < 0).sum()), images

    def examples(self, feature: int) -> tuple[tuple[int, int], ...]:
        """Of each of a feature's strongest images: which of its maps, and which thumbnail."""
        at = {int(number): row for row, number in enumerate(self.shown)}
        kept = enumerate(self.number[feature].tolist())
        return tuple((n, at[number]) for n, number in kept if number in at)


def selectivity_of(analysis: Analysis) -> FeatureSelectivity:
    """The view. Raises LookupError for an analysis that is none."""
    names = ("rate", "peak", "by_class", "by_domain", "number", "strongest", "map_at", "maps",
             "shown", "label", "thumbnails")  # fmt: skip
    return FeatureSelectivity(analysis, *(np.asarray(analysis.array(name)) for name in names))
