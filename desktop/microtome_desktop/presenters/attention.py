"""Attention of one layer: a small map for each head, and one large map with tokens."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from microtome.errors import SiteMissing
from microtome.records.session import Session
from microtome_desktop.presenters.colour_maps import coloured, magnitude_table
from microtome_desktop.presenters.heatmaps import Grid, Missing
from microtome_desktop.presenters.tokens import shown_token
from microtome_desktop.state.arrays import Arrays

# A head that does its job more often than not is worth its name; below, silence is honest.
_NAMED_ABOVE = 0.4
_THUMBNAIL_PIXELS = 96


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


def layers_with_patterns(session: Session | None) -> tuple[int, ...]:
    """The layers whose patterns the session holds."""
    if session is None or session.clean is None:
        return ()
    held = session.clean.activations.get("pattern")
    return () if held is None else held.layers


def head_maps(session: Session, arrays: Arrays, layer: int) -> tuple[HeadMap, ...] | Missing:
    """All heads of a layer as small pictures, or the reason why there are none."""
    pattern = _pattern(session, arrays, layer)
    if isinstance(pattern, Missing):
        return pattern
    maps = []
    for head, values in enumerate(pattern):
        small = _shrunk(values)
        peak = float(small.max()) or 1.0
        labels = detector_labels(session, layer, head)
        detail = ", ".join(f"{name} {score:.2f}" for name, score in labels)
        picture = coloured(small, 0.0, peak, magnitude_table())
        maps.append(HeadMap(head, picture, labels[0][0] if labels else "", detail))
    return tuple(maps)


def attention_grid(session: Session, arrays: Arrays, layer: int, head: int) -> Grid | Missing:
    """The pattern of one head with tokens on both axes: rows look, columns are looked at."""
    pattern = _pattern(session, arrays, layer)
    if isinstance(pattern, Missing):
        return pattern
    if head >= len(pattern):
        return Missing(f"Layer {layer} has {len(pattern)} heads; there is no head {head}.")
    names = tuple(shown_token(token) for token in session.traces[0].tokens)
    values = pattern[head].astype(np.float64)
    title = f"L{layer}H{head}: rows look at columns"
    positions = tuple(range(len(names)))
    return Grid(values, names, names, positions, 0.0, 1.0, False, "of its attention", title)


def _pattern(
    session: Session, arrays: Arrays, layer: int
) -> Float[np.ndarray, "head query key"] | Missing:
    if session.clean is None:
        return Missing("Nothing was run yet.")
    try:
        pattern = arrays.get(0, "pattern", layer)
    except SiteMissing:
        return Missing("The attention patterns of this layer are not in the session.")
    return Missing("Reading the pattern from the file …") if pattern is None else pattern


def _shrunk(values: Float[np.ndarray, "query key"]) -> Float[np.ndarray, "small_q small_k"]:
    """The map at thumbnail size, each pixel the maximum of what it covers."""
    block = -(-len(values) // _THUMBNAIL_PIXELS)
    if block == 1:
        return values
    padding = -len(values) % block
    padded = np.pad(values, ((0, padding), (0, padding)))
    cells = len(padded) // block
    return np.asarray(padded.reshape(cells, block, cells, block).max(axis=(1, 3)))
