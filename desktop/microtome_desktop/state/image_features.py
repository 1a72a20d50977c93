"""What a session holds of dictionaries that were shown images."""

from __future__ import annotations

from microtome.records.analysis import Analysis
from microtome.records.feature_selectivity import FEATURE_SELECTIVITY
from microtome.records.session import Session

SOURCE = "source"  # what a set was loaded by: its name, or its folder


def source_of(analysis: Analysis) -> str:
    """The set that was asked for, as it was asked for."""
    return str(analysis.params.get(SOURCE, analysis.params.get("images", "")))


def selectivities(session: Session | None, fingerprint: str = "") -> tuple[Analysis, ...]:
    """Those of one dictionary, or of all, in the order in which they came."""
    held = () if session is None else session.analyses.values()
    found = (one for one in held if one.kind == FEATURE_SELECTIVITY)
    return tuple(one for one in found if fingerprint in ("", one.params.get("fingerprint")))
