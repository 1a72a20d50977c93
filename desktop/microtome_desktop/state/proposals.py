"""What is proposed for features, how it was scored, and taking it or leaving it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from microtome.records.analysis import Analysis
from microtome.records.feature_labels import (
    FEATURE_LABELS,
    FeatureLabel,
    LabelSet,
    labels_analysis,
    labels_id,
    labels_of,
    with_label,
)
from microtome.records.session import Session
from microtome_desktop.state.book import Book

ACCEPTED = "accepted proposals"


@dataclass(frozen=True, slots=True)
class Proposal:
    """A label that somebody proposes; ``score`` is None where it was not measured."""

    text: str
    origin: str
    score: float | None = None
    chance: float = 0.5
    method: str = ""

    @property
    def worth(self) -> str:
        """The score in words, empty without one."""
        if self.score is None:
            return ""
        return f"{self.score:.2f} by {self.method or 'detection'} (chance {self.chance:.2f})"


@dataclass(frozen=True, slots=True, eq=False)
class Proposals:
    """The newest proposal of each feature, and all that was ever scored by feature and text."""

    newest: Mapping[int, Proposal]
    scored: Mapping[tuple[int, str], Proposal]

    def known(self, feature: int, text: str) -> Proposal | None:
        """Who proposed a label, and its score."""
        return self.scored.get((feature, text))


def near_sets(session: Session | None, fingerprint: str) -> tuple[LabelSet, ...]:
    """The sets of labels of a dictionary that are in memory, in the order they came."""
    held = () if session is None else session.analyses.values()
    return tuple(labels_of(one) for one in held if _is_near(one, fingerprint))


def _is_near(one: Analysis, fingerprint: str) -> bool:
    same = one.kind == FEATURE_LABELS and one.params.get("dictionary") == fingerprint
    return same and isinstance(one.arrays["text"].values, np.ndarray)


def proposals_in(session: Session | None, fingerprint: str) -> Proposals:
    """What is proposed for the features of a dictionary."""
    newest: dict[int, Proposal] = {}
    scored: dict[tuple[int, str], Proposal] = {}
    for labels in near_sets(session, fingerprint):
        scores, method = labels.scores(), str(labels.params.get("method", ""))
        for feature, text in labels.as_mapping().items():
            one = Proposal(text, labels.origin, scores.get(feature), labels.chance, method)
            if labels.proposed:
                newest[feature] = one
            if one.score is not None or labels.proposed:
                scored[feature, text] = one
    return Proposals(newest, scored)


def with_proposals(session: Session, found: LabelSet) -> Analysis:
    """The set of proposals of its origin with those that were found; nothing is lost."""
    held = session.analyses.get(labels_id(found.dictionary, found.origin, proposed=True))
    if held is None:
        return labels_analysis(found)
    if not _is_near(held, found.dictionary):  # too large to be read where nobody may wait
        return labels_analysis(replace(found, origin=f"{found.origin}, later"))
    return labels_analysis(labels_of(held).joined(found))


def reject(book: Book, session: Session, fingerprint: str, feature: int) -> None:
    """Take what is proposed for a feature away, as one step."""
    after: dict[str, Analysis | None] = {}
    for labels in near_sets(session, fingerprint):
        if labels.proposed and feature in labels.as_mapping():
            left = labels.without([feature])
            name = labels_id(labels.dictionary, labels.origin, proposed=True)
            after[name] = labels_analysis(left) if left.text else None
    if after:
        book.put_results(f"Reject the label of feature {feature}", after)


def accept_all(
    book: Book, session: Session, fingerprint: str, wanted: Mapping[int, Proposal]
) -> None:
    """Take proposals as labels, with their scores, as one step."""
    scores = {feature: one.score for feature, one in wanted.items() if one.score is not None}
    texts = {feature: one.text for feature, one in wanted.items()}
    method = next((one.method for one in wanted.values() if one.method), "")
    new = LabelSet.of(fingerprint, ACCEPTED, texts).scored(scores)
    new = replace(new, params={"method": method} if method else {})
    held = (one for one in near_sets(session, fingerprint) if one.origin == ACCEPTED)
    before = next(held, None)
    analysis = labels_analysis(new if before is None else before.joined(new))
    book.put_results(f"Accept {len(wanted):,} labels", {analysis.id: analysis})


def label(book: Book, fingerprint: str, feature: int, text: str) -> None:
    """Name a feature; an empty text takes the name away."""
    new = FeatureLabel(fingerprint, feature, text)
    book.mark(f"Label feature {feature}", labels=with_label(book.marks.labels, new))


def typed(labels: Iterable[FeatureLabel], fingerprint: str, feature: int) -> str:
    """What the user typed as the label of a feature, empty for nothing."""
    held = (one.text for one in labels if (one.dictionary, one.feature) == (fingerprint, feature))
    return next(held, "")
