"""Attention of one layer: a small map for each head, and one large map with tokens."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from microtome.errors import SiteMissing
from microtome.records.pattern import HeadPattern, resolutions, thumbnails
from microtome.records.session import Session
from microtome_desktop.presenters.colour_maps import coloured, magnitude_table
from microtome_desktop.presenters.coverage import why_not
from microtome_desktop.presenters.heatmaps import Grid, Missing
from microtome_desktop.presenters.tokens import shown_token
from microtome_desktop.state.arrays import Arrays

# A head that does its job more often than not is worth its name; below, silence is honest.
_NAMED_ABOVE = 0.4
# Cells beyond which a map is drawn at the resolution that the screen has.
_DRAWN_AT_ONCE = 1 << 20
# Tokens beyond which a head that looks everywhere gives each key next to nothing.
_SPREAD_THIN = 256


@dataclass(frozen=True, slots=True, eq=False)
class HeadMap:
    """One head as a small picture [query, key, rgba], its name, and what detectors call it."""

    head: int
    picture: UInt8[np.ndarray, "query key 4"]
    label: str
    detail: str


def detector_labels(session: Session, layer: int, head: int) -> list[tuple[str, float]]:
    """What the detectors call a head, strongest first: those above the naming threshold."""
    scores = session.analyses.get("head-scores")
    if scores is None:
        return []
    values = np.asarray(scores.array("score"))
    names = [str(name) for name in scores.params.get("detectors", [])]
    if layer >= values.shape[1] or head >= values.shape[2]:
        return []
    found = [(name, float(values[i, layer, head])) for i, name in enumerate(names)]
    return sorted((f for f in found if f[1] >= _NAMED_ABOVE), key=lambda f: -f[1])


def layers_with_patterns(session: Session | None, *, offline: bool = True) -> tuple[int, ...]:
    """The layers whose patterns can be shown: those that are kept, or with the model all."""
    if session is None or session.clean is None:
        return ()
    held = session.clean.activations.get("pattern")
    if held is not None:
        return held.layers
    if why_not(session, "pattern"):
        return ()
    return () if offline or session.clean.edits else tuple(range(session.model.n_layers))


def head_pattern(
    session: Session, arrays: Arrays, layer: int, head: int, *, offline: bool = True
) -> HeadPattern | Missing:
    """Where a head looks and small maps of its neighbours, or why that cannot be told (yet).

    A run keeps its patterns while they fit the memory; of a longer one, the model that is loaded
    computes them again, a head at a time.
    """
    if session.clean is None:
        return Missing("Nothing was run yet.")
    try:
        whole = arrays.get(0, "pattern", layer)
    except SiteMissing:
        if layer not in layers_with_patterns(session, offline=offline):
            return Missing(why_not(session, "pattern") or _NOT_KEPT)
        found = arrays.pattern(layer, head)
        return Missing("Computing where this head looks …") if found is None else found
    if whole is None:
        return Missing("Reading the pattern from the file …")
    head = min(head, len(whole) - 1)
    coarser = resolutions(whole[head]) if whole[head].size > _DRAWN_AT_ONCE else ()
    return HeadPattern(layer, head, whole[head], coarser, thumbnails(whole))


_NOT_KEPT = (
    "The attention patterns of this layer are not in the session. "
    "Attach the model to compute them again."
)


def head_maps(session: Session, pattern: HeadPattern) -> tuple[HeadMap, ...]:
    """All heads of a layer as small pictures."""
    maps = []
    for head, small in enumerate(pattern.heads):
        peak = _usual_peak(small) or 1.0
        labels = detector_labels(session, pattern.layer, head)
        detail = ", ".join(f"{name} {score:.2f}" for name, score in labels)
        picture = coloured(small, 0.0, peak, magnitude_table())
        maps.append(HeadMap(head, picture, labels[0][0] if labels else "", detail))
    return tuple(maps)


def _usual_peak(pattern: Float[np.ndarray, "query key"]) -> float:
    """What most queries give their strongest key at most: the first few rows are always near 1."""
    return float(np.quantile(pattern.max(axis=-1), 0.9))


def attention_grid(session: Session, pattern: HeadPattern) -> Grid:
    """The pattern of one head with tokens on both axes: rows look, columns are looked at."""
    names = tuple(shown_token(token) for token in session.traces[0].tokens)
    title = f"L{pattern.layer}H{pattern.head}: rows look at columns"
    high = 1.0
    if len(names) > _SPREAD_THIN:
        high = _usual_peak(pattern.coarser[-1] if pattern.coarser else pattern.values)
        title += f" · brightest at {high:.2g}"
    positions = tuple(range(len(names)))
    return Grid(
        pattern.values, names, names, positions, 0.0, high, False, "of its attention", title,
        coarser=pattern.coarser,
    )  # fmt: skip
