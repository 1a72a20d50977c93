"""Labels of features: those that are proposed, and those that leave the window."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from microtome.features.token_labels import TOKEN_STATISTICS
from microtome_desktop.presenters.feature_table import FeatureTable
from microtome_desktop.state.exports import Table
from microtome_desktop.state.features import Labels
from microtome_desktop.state.proposals import Proposal, Proposals


def labels_table(labels: Labels) -> Table:
    """Labels as rows, by number."""
    return Table(("feature", "label"), [(row, labels[row]) for row in sorted(labels)])


def proposal_of(table: FeatureTable, proposals: Proposals, feature: int) -> Proposal | None:
    """What is proposed for a feature: by a labeller, else by its tokens."""
    held = proposals.newest.get(feature)
    by_tokens = table.by_tokens[feature]
    return held or (Proposal(by_tokens, TOKEN_STATISTICS) if by_tokens else None)


def proposed_labels(
    table: FeatureTable, labels: Labels, proposals: Proposals
) -> dict[int, Proposal]:
    """What is proposed for features that have no label."""
    found = {}
    for row in range(table.n_features):
        held = None if labels.get(row) else proposal_of(table, proposals, row)
        if held is not None:
            found[row] = held
    return found


@dataclass(frozen=True, slots=True)
class ToName:
    """The selected feature, if there is one that is on, and all that are on without a label."""

    selected: int | None
    unnamed: tuple[int, ...]


def features_to_name(table: FeatureTable, labels: Labels, selected: int | None) -> ToName:
    """For which features labels can be proposed."""
    on = np.asarray(table.figures["rate"], np.float64) > 0
    one = selected if selected is not None and bool(on[selected]) else None
    return ToName(one, tuple(row for row in np.flatnonzero(on).tolist() if not labels.get(row)))


def named_table(table: FeatureTable, labels: Labels, proposals: Proposals) -> FeatureTable:
    """The table with the newest proposals, and the score of what each feature is called."""
    said = list(table.by_tokens)
    for feature, held in proposals.newest.items():
        if feature < len(said):
            said[feature] = held.text
    score = np.full(len(said), np.nan)
    for (feature, text), held in proposals.scored.items():
        called = feature < len(said) and text == (labels.get(feature) or said[feature])
        if called and held.score is not None:
            score[feature] = held.score
    return replace(table, proposed=tuple(said), figures={**table.figures, "score": score})
