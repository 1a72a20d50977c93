"""What a session holds of features: indexes of texts, and the labels among the user's names."""

from __future__ import annotations

from collections.abc import Mapping

from microtome.records.analysis import Analysis
from microtome.records.feature_index import FEATURE_INDEX
from microtome.records.session import Session

Labels = Mapping[int, str]  # feature -> what the user calls it
_KEPT = 12  # letters of a fingerprint that tell dictionaries apart


def indexes(session: Session | None) -> tuple[Analysis, ...]:
    """The indexes that a session holds."""
    held = () if session is None else session.analyses.values()
    return tuple(analysis for analysis in held if analysis.kind == FEATURE_INDEX)


def index_with(session: Session | None, fingerprint: str) -> Analysis | None:
    """The index of a dictionary, None without one."""
    found = (a for a in indexes(session) if a.params.get("fingerprint") == fingerprint)
    return next(found, None)


def label_key(fingerprint: str, feature: int) -> str:
    """What the label of a feature is kept under among the names of the marks."""
    return f"{_start(fingerprint)}{feature}"


def labels_in(names: Mapping[str, str], fingerprint: str) -> dict[int, str]:
    """Feature -> label, of one dictionary."""
    start = _start(fingerprint)
    return {
        int(key[len(start) :]): name
        for key, name in names.items()
        if key.startswith(start) and key[len(start) :].isdecimal()
    }


def with_labels(names: Mapping[str, str], fingerprint: str, labels: Labels) -> dict[str, str]:
    """The names of the marks with these labels among them; an empty label is taken away."""
    start = _start(fingerprint)
    held = {**names, **{f"{start}{row}": label for row, label in labels.items()}}
    return {key: name for key, name in held.items() if name}


def _start(fingerprint: str) -> str:
    return f"feature/{fingerprint[:_KEPT]}/"
