"""Names of features: typed by the user, imported, or proposed with a score.

What the user types is a mark of the session and is undone like all marks. Sets that come from a
file or a labeller are analyses, as large as a dictionary. A set of proposals names nothing until
its labels are accepted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from microtome.errors import InputError, SessionDamaged
from microtome.records.analysis import Analysis, Labelled

FEATURE_LABELS = "feature-labels"
UNSCORED = -1.0
LONGEST = 2_000  # characters of a label


@dataclass(frozen=True, slots=True)
class FeatureLabel:
    """A label that the user typed; ``dictionary`` is its fingerprint."""

    dictionary: str
    feature: int
    text: str


def with_label(labels: tuple[FeatureLabel, ...], new: FeatureLabel) -> tuple[FeatureLabel, ...]:
    """Labels with one more in the place of the one before; an empty text takes it away.

    Raises InputError for a label of more than 2,000 characters.
    """
    if len(new.text) > LONGEST:
        raise InputError(
            f"The label has {len(new.text):,} characters, over {LONGEST:,}.", "Shorten it."
        )
    place = (new.dictionary, new.feature)
    others = tuple(one for one in labels if (one.dictionary, one.feature) != place)
    return (*others, new) if new.text.strip() else others


@dataclass(frozen=True, slots=True, eq=False)
class LabelSet:
    """Labels of many features of one dictionary.

    ``origin`` says where they are from: a file's name, ``token statistics``, a labeller.
    ``score`` is the accuracy of detection, -1 where it was not measured, and ``chance`` what
    guessing reaches. Those that are ``proposed`` name no feature before they are accepted.
    """

    dictionary: str
    origin: str
    feature: Int[np.ndarray, " label"]
    text: tuple[str, ...]
    score: Float[np.ndarray, " label"]
    chance: float = 0.5
    params: Mapping[str, Any] = field(default_factory=dict)
    proposed: bool = False

    @classmethod
    def of(cls, dictionary: str, origin: str, labels: Mapping[int, str]) -> LabelSet:
        """A set without scores."""
        numbers = sorted(labels)
        unscored = np.full(len(numbers), UNSCORED, np.float32)
        texts = tuple(labels[number][:LONGEST] for number in numbers)
        return cls(dictionary, origin, np.array(numbers, np.int32), texts, unscored)

    def scored(self, scores: Mapping[int, float]) -> LabelSet:
        """The same with accuracies of detection of some features."""
        held = [scores.get(feature, UNSCORED) for feature in self.feature.tolist()]
        return replace(self, score=np.array(held, np.float32))

    def as_mapping(self) -> dict[int, str]:
        """Labels by feature."""
        return dict(zip(self.feature.tolist(), self.text, strict=True))

    def scores(self) -> dict[int, float]:
        """Accuracies of detection by feature, of those that were measured."""
        pairs = zip(self.feature.tolist(), self.score.tolist(), strict=True)
        return {feature: score for feature, score in pairs if score != UNSCORED}

    def joined(self, newer: LabelSet) -> LabelSet:
        """Both together, as the newer says where both label a feature."""
        labels = self.as_mapping() | newer.as_mapping()
        kept = {f: s for f, s in self.scores().items() if f not in newer.as_mapping()}
        both = LabelSet.of(newer.dictionary, newer.origin, labels).scored(kept | newer.scores())
        return replace(both, chance=newer.chance, params=newer.params, proposed=newer.proposed)

    def without(self, features: Iterable[int]) -> LabelSet:
        """The same without the labels of some features."""
        gone = set(features)
        rows = [row for row, one in enumerate(self.feature.tolist()) if one not in gone]
        texts = tuple(self.text[row] for row in rows)
        return replace(self, feature=self.feature[rows], text=texts, score=self.score[rows])


def labels_analysis(labels: LabelSet) -> Analysis:
    """A set as labelled arrays, for files and exports."""
    arrays = {
        "feature": Labelled(("label",), np.asarray(labels.feature, np.int32)),
        "text": Labelled(("label",), np.asarray(labels.text, np.str_)),
        "score": Labelled(("label",), labels.score, long_name="accuracy of detection, -1: none"),
    }
    params = {**labels.params, "dictionary": labels.dictionary, "origin": labels.origin,
              "chance": labels.chance}  # fmt: skip
    if labels.proposed:
        params["proposed"] = True
    what = "Proposed labels" if labels.proposed else "Labels"
    named = labels_id(labels.dictionary, labels.origin, proposed=labels.proposed)
    return Analysis(named, FEATURE_LABELS, f"{what} of features: {labels.origin}", arrays, params)


def labels_id(dictionary: str, origin: str, *, proposed: bool = False) -> str:
    """What the analysis of a set is called."""
    return f"{FEATURE_LABELS}-{dictionary[:12]}-{'proposed by ' if proposed else ''}{origin}"


def labels_of(analysis: Analysis) -> LabelSet:
    """The set that an analysis holds, also one from a file.

    Raises SessionDamaged when its parts do not fit one another.
    """
    told = dict(analysis.params)
    feature, text, score = (analysis.array(name) for name in ("feature", "text", "score"))
    if not feature.shape == text.shape == score.shape or feature.dtype.kind not in "iu":
        raise SessionDamaged(f"The labels {analysis.id} do not fit one another.")
    texts = tuple(str(one) for one in text.tolist())
    dictionary, origin = str(told.pop("dictionary", "")), str(told.pop("origin", ""))
    chance, proposed = float(told.pop("chance", 0.5)), told.pop("proposed", False) is True
    return LabelSet(dictionary, origin, feature, texts, score, chance, told, proposed)


def label_texts(
    dictionary: str, analyses: Iterable[Analysis], typed: Iterable[FeatureLabel]
) -> dict[int, str]:
    """All labels of a dictionary by feature; what the user typed stands before all sets.

    Proposals are none.
    """
    found: dict[int, str] = {}
    for labels in label_sets(dictionary, analyses):
        if not labels.proposed:
            found |= labels.as_mapping()
    return found | {one.feature: one.text for one in typed if one.dictionary == dictionary}


def label_sets(dictionary: str, analyses: Iterable[Analysis]) -> tuple[LabelSet, ...]:
    """The sets of labels of a dictionary, proposals among them, in the order they came."""
    return tuple(
        labels_of(analysis)
        for analysis in analyses
        if analysis.kind == FEATURE_LABELS and analysis.params.get("dictionary") == dictionary
    )
