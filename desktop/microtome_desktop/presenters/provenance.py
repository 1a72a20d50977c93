"""What produced the figures of a panel: which records it shows, and what they tell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from microtome.records.checks import CheckReport
from microtome.records.coverage import COVERAGE
from microtome.records.feature_edit import FEATURE_WORDS
from microtome.records.provenance import Differences, Provenance, differ_among, differs, provenance
from microtome.records.session import Session

NO_RUN = "Run a prompt first."
NO_FIGURE = "This panel shows no figure that a model has made."
_RUN, _EDITED, _CIRCUIT = "run", "run with edits", "circuit"
_WORDS, _LACKS = FEATURE_WORDS, COVERAGE  # what names features, and says why a panel is empty

# The panels that show figures, and of which records: the run, the circuit, analyses by kind.
SHOWS: dict[str, tuple[str, ...]] = {
    "ask": (_RUN, _EDITED, "logit-change"),
    "attention": (_RUN, _EDITED, "image-maps", "attention-maps", "attention-rollout", _LACKS),
    "circuit": (_CIRCUIT, "reproduced-share", "edited-edges", "feature-edit", _WORDS, _LACKS),
    "discovery": ("discovery", "faithfulness", "judgement", "stability", _LACKS),
    "edits": (_EDITED, "edited-metric", "edit-price", "generation"),
    "feature_edits": (_CIRCUIT, "feature-edit", "feature-text", _WORDS),
    "feature_space": ("projection", "feature-space", "point-activity", _LACKS),
    "features": (
        "feature-index",
        "feature-labels",
        "feature-images",
        "feature-selectivity",
        "shared-features",
        "shared-neurons",
    ),
    "heads": ("head-scores", "sweep", _LACKS),
    "heatmap": (_RUN, _EDITED, "logit-lens", "direct-attribution", _LACKS),
    "histogram": (_RUN,),
    "hypothesis": ("causal-scrubbing",),
    "lesions": ("lesion",),
    "lists": (_CIRCUIT, _WORDS),
    "neurons": (_RUN, _LACKS),
    "node_card": (
        _CIRCUIT,
        "verification",
        "attention-sources",
        "edge-readers",
        "path-patching",
        _WORDS,
        _LACKS,
    ),
    "patching": ("sweep",),
    "probes": ("probe",),
    "see": (_RUN, "attribution-map", "unit-evidence", "patch-lens"),
    "splitting": ("feature-splits",),
    "suite": ("suite", "slice-circuits", "redundancy", "adversarial"),
    "superposition": ("toy-superposition", "superposition-phases", "directions-sharing"),
    "token_strip": (_RUN, "logit-change", _LACKS),
    "training": ("training-curve",),
    "units": ("unit-table", "unit-card"),
    "visualise": ("visualisation",),
}


def made_by(panel: str, session: Session | None, ids: Sequence[str]) -> tuple[Provenance, ...]:
    """What produced what a panel shows; of a kind with some of ``ids`` it shows no others."""
    if session is None:
        return ()
    runs: dict[str, Any] = {_RUN: session.clean, _EDITED: session.edited, _CIRCUIT: session.circuit}
    found = [runs[key] for key in SHOWS.get(panel, ()) if runs.get(key) is not None]
    for kind in (key for key in SHOWS.get(panel, ()) if key not in runs):
        of_kind = [each for each in session.analyses.values() if each.kind == kind]
        found += [each for each in of_kind if each.id in ids] or of_kind
    return tuple(provenance(each, session) for each in found)


def why_nothing(panel: str, session: Session | None) -> str:
    """Why a panel has nothing to tell, empty when it has."""
    if panel not in SHOWS:
        return NO_FIGURE
    return "" if made_by(panel, session, ()) else NO_RUN if session is None else "Nothing is shown."


def as_text(figures: Sequence[Provenance]) -> str:
    """All of it, a paragraph a figure."""
    return "\n\n".join(each.text for each in figures)


def between(first: Session, second: Session, kind: str = "") -> Differences:
    """Why two sessions' runs, circuits (``circuit``) or analyses of a kind are not compared."""
    sides = [_one(session, kind) for session in (first, second)]
    if None in sides:
        return Differences()
    one, other = (side for side in sides if side is not None)
    return differs(one, other, checks_of(first, second))


def among(sessions: Sequence[Session]) -> Differences:
    """Why the circuits of several sessions are not joined."""
    held = [_one(session, _CIRCUIT) for session in sessions]
    return differ_among(each for each in held if each is not None)


def told_apart(*found: Differences) -> str:
    """What keeps figures from being compared, and what is to be known; each once, in one text."""
    reasons = dict.fromkeys(text for each in found for text in each.reasons)
    remarks = dict.fromkeys(text for each in found for text in each.remarks)
    refused = f"Not compared. {' '.join(reasons)}" if reasons else ""
    return "\n".join(text for text in (refused, " ".join(remarks)) if text)


def checks_of(*sessions: Session) -> CheckReport | None:
    """The self-checks whose tolerance is told: of the first that has any."""
    return next((each.checks for each in sessions if each.checks is not None), None)


def _one(session: Session, kind: str) -> Provenance | None:
    if kind == _CIRCUIT:
        held: Any = session.circuit
    elif kind:
        held = next((each for each in session.analyses.values() if each.kind == kind), None)
    else:
        held = session.clean
    return None if held is None else provenance(held, session)
