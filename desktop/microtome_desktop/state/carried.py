"""Which results outlive a run: what was found of many prompts is as true after another prompt."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from microtome.records.analysis import Analysis
from microtome.records.discovery import DISCOVERY
from microtome.records.faithfulness import FAITHFULNESS
from microtome.records.feature_index import FEATURE_INDEX
from microtome.records.feature_labels import FEATURE_LABELS
from microtome.records.feature_selectivity import FEATURE_SELECTIVITY
from microtome.records.feature_splits import FEATURE_SPLITS
from microtome.records.judgement import JUDGEMENT, STABILITY
from microtome.records.lesion import LESION
from microtome.records.probe import PROBE
from microtome.records.redundancy import REDUNDANCY
from microtome.records.session import Session
from microtome.records.shared_features import SHARED_FEATURES
from microtome.records.shared_neurons import SHARED_NEURONS
from microtome.records.slice_circuits import SLICE_CIRCUITS
from microtome.records.suite_result import SUITE
from microtome.records.superposition import PHASES, SHARING, TOY
from microtome.records.training import TRAINING
from microtome.records.unit_card import UNIT_CARD, UNIT_TABLE
from microtome.records.visualisation import VISUALISATION
from microtome_desktop.state.discoveries import CIRCUIT, KNOWN, curve_for, discoveries_in, search_of
from microtome_desktop.state.history import Past

_OF_SETS = frozenset({SUITE, REDUNDANCY, SLICE_CIRCUITS, KNOWN})
# Of texts, of the model's weights, or of no model at all.
_OF_NO_PROMPT = frozenset({TRAINING, TOY, PHASES, SHARING, PROBE})
_OF_FEATURES = frozenset(
    {
        FEATURE_INDEX,
        FEATURE_LABELS,
        FEATURE_SELECTIVITY,
        FEATURE_SPLITS,
        SHARED_FEATURES,
        SHARED_NEURONS,
    }
)
# Of a set of images, or of pictures that were made: nothing of the image on screen is in them.
_OF_UNITS = frozenset({UNIT_TABLE, UNIT_CARD, VISUALISATION, LESION})
_OF_CIRCUITS = frozenset({FAITHFULNESS, JUDGEMENT, STABILITY})


def carried_analyses(before: Session | None, fingerprint: str) -> dict[str, Analysis]:
    """What a new run of the same model takes over from the session on screen, by id.

    That is what was asked of prompt sets, the circuit that is known, features, and units with
    their lesions and pictures; what was asked of the pair on screen stays with its run.
    """
    if before is None or before.model.fingerprint != fingerprint:
        return {}
    circuits = [one for one in discoveries_in(before) if not _of_the_pair(one)]
    ids = {one.id for one in circuits}
    curves = (curve_for(before, one) for one in circuits)
    kept = ids | {curve.id for curve in curves if curve is not None}
    return {
        one.id: one
        for one in before.analyses.values()
        if one.id in kept
        or one.kind in _OF_SETS | _OF_NO_PROMPT | _OF_FEATURES | _OF_UNITS
        or one.params.get("features")  # directions in the feature space
        or (one.kind in _OF_CIRCUITS and one.params.get(CIRCUIT) in ids)
    }


def _of_the_pair(one: Analysis) -> bool:
    search = search_of(one)
    if search is not None:
        return not search.data
    prompts: Any = one.params.get("prompts", ())
    return not isinstance(prompts, Sequence) or len(prompts) < _MANY


_MANY = 2  # prompts


def left_behind(runs: Iterable[Past], shown: Session | None) -> tuple[Past, int] | None:
    """The newest other run of the session's model with circuits of its own, and how many."""
    if shown is None:
        return None
    for run in reversed(list(runs)):
        same = run.session.model.fingerprint == shown.model.fingerprint
        if not same or run.session.uuid == shown.uuid:
            continue
        count = sum(one.kind == DISCOVERY for one in run.session.analyses.values())
        if count:
            return run, count
    return None
