"""What a session holds of features: indexes of texts, and labels."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from microtome.records.analysis import Analysis
from microtome.records.feature_index import FEATURE_INDEX
from microtome.records.feature_labels import FEATURE_LABELS, label_texts
from microtome.records.marks import Marks, Note, feature_of
from microtome.records.session import Session

Labels = Mapping[int, str]  # feature -> what it is called
Notes = Mapping[int, str]  # feature -> what was written on it


def indexes(session: Session | None) -> tuple[Analysis, ...]:
    """The indexes that a session holds."""
    held = () if session is None else session.analyses.values()
    return tuple(analysis for analysis in held if analysis.kind == FEATURE_INDEX)


def index_with(session: Session | None, fingerprint: str) -> Analysis | None:
    """The index of a dictionary, None without one."""
    found = (a for a in indexes(session) if a.params.get("fingerprint") == fingerprint)
    return next(found, None)


def labels_in(session: Session | None, fingerprint: str) -> dict[int, str]:
    """Feature -> label of one dictionary: the user's own, and sets that are in memory.

    A set of labels that is too large to be read with the session stays in its file.
    """
    if session is None:
        return {}
    sets = (one for one in session.analyses.values() if one.kind == FEATURE_LABELS)
    near = [one for one in sets if isinstance(one.arrays["text"].values, np.ndarray)]
    return label_texts(fingerprint, near, session.marks.labels)


def notes_in(session: Session | None, fingerprint: str) -> dict[int, str]:
    """Feature -> what the user wrote on it, of one dictionary."""
    held = () if session is None else feature_notes(session.marks)
    places = ((feature_of(note.target), note.text) for note in held)
    return {at[1]: text for at, text in places if at is not None and at[0] == fingerprint}


def feature_notes(marks: Marks) -> tuple[Note, ...]:
    """The notes that are on features: they mean the same in another run of the model."""
    return tuple(note for note in marks.notes if feature_of(note.target) is not None)
