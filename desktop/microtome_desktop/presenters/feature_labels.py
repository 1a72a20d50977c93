"""Labels of features: those that are proposed, and those that leave the window."""

from __future__ import annotations

from microtome_desktop.presenters.feature_table import FeatureTable
from microtome_desktop.state.exports import Table
from microtome_desktop.state.features import Labels


def labels_table(labels: Labels) -> Table:
    """Labels as rows, by number."""
    return Table(("feature", "label"), [(row, labels[row]) for row in sorted(labels)])


def proposed_labels(table: FeatureTable, labels: Labels) -> dict[int, str]:
    """What is proposed for features that have no label."""
    held = enumerate(table.proposed)
    return {row: told for row, told in held if told and not labels.get(row)}
