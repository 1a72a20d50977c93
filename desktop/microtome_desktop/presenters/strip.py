"""One number for each token of the prompt: what the token strip is coloured by."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from jaxtyping import Float

from microtome.errors import SiteMissing
from microtome.records.run_codes import RunCodes
from microtome.records.session import Session
from microtome.records.trace import Trace
from microtome_desktop.presenters.coverage import why_not
from microtome_desktop.presenters.places import in_place, place_of
from microtome_desktop.presenters.tokens import shown_token
from microtome_desktop.state.arrays import Arrays
from microtome_desktop.state.feature_nodes import rows_of
from microtome_desktop.state.selection import Selected


class Colouring(StrEnum):
    """What a token's colour can mean."""

    INFLUENCE = "influence on the answer"
    PREDICTED = "how well it was predicted"
    ATTENTION = "attention of the selected head"
    NORM = "size of the residual stream"
    PAIR = "clean and corrupt differ"
    FEATURE = "activation of the feature"


@dataclass(frozen=True, slots=True)
class Strip:
    """The tokens, their values (NaN where there is none) and how to read them.

    ``values`` is [position], scaled so that 1 is the strongest colour; ``notes`` says each
    value in words; ``explanation`` says what the colour means, or why there is none.
    """

    tokens: tuple[str, ...]
    values: Float[np.ndarray, " position"]
    notes: tuple[str, ...]
    explanation: str
    unknown: tuple[int, ...] = ()


def strip(
    session: Session,
    arrays: Arrays,
    by: Colouring,
    selected: Selected,
    *,
    offline: bool = False,
    codes: RunCodes | None = None,
) -> Strip | None:
    """The strip of a session; None without a run. ``offline``: its model is not loaded.

    ``codes`` are those of the run by the dictionary of the feature that is selected or hovered.
    """
    clean = session.clean
    if clean is None:
        return None
    values, unit, explanation = token_values(
        session, arrays, by, selected, offline=offline, codes=codes
    )
    if values is None:
        values = np.full(len(clean.tokens), np.nan, dtype=np.float32)
    strongest = float(np.nanmax(np.abs(values))) if np.isfinite(values).any() else 0.0
    return Strip(
        tokens=tuple(shown_token(token) for token in clean.tokens),
        values=values / strongest if strongest > 0 else values,
        notes=tuple("" if np.isnan(v) else f"{v:.3g}{unit}" for v in values),
        explanation=explanation,
        unknown=clean.unknown,
    )


def token_values(
    session: Session,
    arrays: Arrays,
    by: Colouring,
    selected: Selected,
    *,
    offline: bool = False,
    codes: RunCodes | None = None,
) -> _Values:
    """What the tokens are coloured by: values before scaling, their unit, and their meaning."""
    if session.clean is None:
        return None, "", "Nothing was run yet."
    try:
        return _READ[by](_About(session, session.clean, arrays, selected, offline, codes))
    except SiteMissing as missing:
        return None, "", str(missing)


@dataclass(frozen=True, slots=True)
class _About:
    """What a value is read from."""

    session: Session
    clean: Trace
    arrays: Arrays
    selected: Selected
    offline: bool
    codes: RunCodes | None


_Values = tuple[Float[np.ndarray, " position"] | None, str, str]


def _influence(about: _About) -> _Values:
    """The influence of a position's token and position embedding on the metric."""
    circuit, clean = about.session.circuit, about.clean
    if circuit is None:
        without = _NOT_HELD if about.offline else _NOT_YET
        pair = why_not(about.session, "pair") if about.session.corrupt is not None else ""
        return None, "", why_not(about.session, "circuit") or pair or without
    embeds = np.isin(np.array(circuit.node_kind), ("token", "position"))
    if clean.image is not None and not embeds.any():
        return None, "", "The circuit of this model is of units: it has no tokens."
    places = circuit.node_position[embeds]
    total = np.bincount(places, circuit.node_influence[embeds], len(clean.tokens))
    return total, "", "share of the answer that this token's embedding carries"


def _predicted(about: _About) -> _Values:
    clean = about.clean
    if clean.image is not None:
        return None, "", "Patches are not predicted: the model answers for the whole image."
    values = np.full(len(clean.tokens), np.nan)
    if in_place(about.session):
        for place, token in enumerate(clean.token_ids):
            values[place] = _probability(clean, place, int(token))
        return values, "", "probability that the model gave this token in its own place"
    for place in range(1, len(clean.tokens)):
        values[place] = _probability(clean, place - 1, int(clean.token_ids[place]))
    return values, "", "probability that the model gave this token after the ones before"


def _probability(trace: Trace, place: int, token: int) -> float:
    if isinstance(trace.logits, np.ndarray):  # in memory: a file is never read on this thread
        # The kept probability of the top token gives the sum over the vocabulary.
        total = float(trace.top_logits[place, 0]) - np.log(float(trace.top_probabilities[place, 0]))
        return float(np.exp(float(trace.logits[place, token]) - total))
    found = np.flatnonzero(trace.top_ids[place] == token)
    return float(trace.top_probabilities[place, found[0]]) if found.size else 0.0


def _attention(about: _About) -> _Values:
    selected = about.selected
    if selected.layer is None or selected.head is None:
        return None, "", "Select a head to see where it looks."
    query = place_of(about.session, selected.position)
    name = f"L{selected.layer}H{selected.head}"
    said = f"where {name} looks from position {query}"
    if "pattern" not in about.clean.activations:  # a long run; the attention panel asks for it
        found = about.arrays.pattern(selected.layer, selected.head, ask=False)
        return (None, "", _NOT_KEPT) if found is None else (found.values[query], "", said)
    pattern = about.arrays.get(0, "pattern", selected.layer)
    if pattern is None:
        return None, "", "Reading the file…"
    if not (selected.head < pattern.shape[0] and query < pattern.shape[1]):
        return None, "", "The selected head is not part of this run."
    return pattern[selected.head, query], "", said


_NOT_HELD = "This session holds no circuit: load its model and press Run to find one."
_NOT_YET = "No circuit yet: it comes as soon as a run has got that far."
_NOT_KEPT = "The attention panel computes where this head looks: the run did not keep it."


def _norm(about: _About) -> _Values:
    last = about.session.model.n_layers - 1
    layer = last if about.selected.layer is None else min(max(about.selected.layer, 0), last)
    values = about.arrays.get(0, "resid_post", layer)
    if values is None:
        return None, "", "Reading the file…"
    norms = np.linalg.norm(values.astype(np.float32), axis=-1)
    return norms, "", f"length of the residual stream after layer {layer}"


def _pair(about: _About) -> _Values:
    clean, corrupt = about.clean, about.session.corrupt
    if corrupt is None:
        return None, "", "There is no corrupt prompt."
    if clean.image is not None:  # patches have the same names; the same pixels have the same id
        other = clean.token_ids != corrupt.token_ids
        return np.where(other, 1.0, np.nan), "", "where the corrupt image has another patch"
    same = len(clean.tokens) == len(corrupt.tokens)
    differ = [1.0 if a != b else np.nan for a, b in zip(clean.tokens, corrupt.tokens, strict=same)]
    return np.array(differ), "", "where the corrupt prompt has another token"


def feature_shown(selected: Selected) -> tuple[str, int] | None:
    """The feature that tokens are coloured by: the one under the pointer, or the selected one."""
    return selected.hovered_feature or selected.feature


def _feature(about: _About) -> _Values:
    """How strongly a feature is on, from the codes, or from the nodes of a graph of features."""
    shown, circuit = feature_shown(about.selected), about.session.circuit
    if shown is None:
        return None, "", "Select a feature, in the Features tab, the feature space or a graph."
    said = f"activation of feature {shown[1]}"
    if about.codes is not None:
        found = about.codes.of(shown[1])
        return found, "", said if found.any() else f"{said}: off in this prompt"
    rows = () if circuit is None else rows_of(circuit, shown)
    if circuit is None or not rows:
        return None, "", "Open the feature's dictionary, with the model, to see where it is on."
    values = np.zeros(len(about.clean.tokens), np.float32)
    for row in rows:
        values[int(circuit.node_position[row])] = circuit.node_score[row]
    return values, "", f"{said}, where the graph has it"


_READ = {
    Colouring.INFLUENCE: _influence,
    Colouring.PREDICTED: _predicted,
    Colouring.ATTENTION: _attention,
    Colouring.NORM: _norm,
    Colouring.PAIR: _pair,
    Colouring.FEATURE: _feature,
}
