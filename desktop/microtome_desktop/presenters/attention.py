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
NAMED_ABOVE = 0.4
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


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of attention: its site, and whether queries and keys are of what an encoder reads."""

    site: str
    title: str
    from_source: bool = False
    to_source: bool = False


SELF = Kind("pattern", "Decoder")
CROSS = Kind("cross_pattern", "Cross-attention", to_source=True)
ENCODER = Kind("enc_pattern", "Encoder", from_source=True, to_source=True)


def kinds_of(session: Session | None) -> tuple[Kind, ...]:
    """The kinds of attention of a run: one, or three where a decoder looks at an encoder."""
    both = session is not None and session.clean is not None and session.clean.source is not None
    return (SELF, CROSS, ENCODER) if both else (SELF,)


def detector_labels(
    session: Session, layer: int, head: int, kind: Kind = SELF
) -> list[tuple[str, float]]:
    """What the detectors call a head, strongest first: those above the naming threshold."""
    scores = session.analyses.get("head-scores")
    if scores is None or kind is not SELF:  # they were measured on the decoder's own heads
        return []
    values = np.asarray(scores.array("score"))
    names = [str(name) for name in scores.params.get("detectors", [])]
    if layer >= values.shape[1] or head >= values.shape[2]:
        return []
    found = [(name, float(values[i, layer, head])) for i, name in enumerate(names)]
    return sorted((f for f in found if f[1] >= NAMED_ABOVE), key=lambda f: -f[1])


def layers_with_patterns(
    session: Session | None, *, offline: bool = True, kind: Kind = SELF
) -> tuple[int, ...]:
    """The layers whose patterns can be shown: those that are kept, or with the model all."""
    if session is None or session.clean is None:
        return ()
    held = session.clean.activations.get(kind.site)
    if held is not None:
        return held.layers
    if why_not(session, kind.site):
        return ()
    count = session.model.n_encoder_layers if kind.from_source else session.model.n_layers
    return () if offline or session.clean.edits else tuple(range(count))


def head_pattern(
    session: Session,
    arrays: Arrays,
    layer: int,
    head: int,
    *,
    offline: bool = True,
    kind: Kind = SELF,
) -> HeadPattern | Missing:
    """Where a head looks and small maps of its neighbours, or why that cannot be told (yet).

    A run keeps its patterns while they fit the memory; of a longer one, the model that is loaded
    computes them again, a head at a time.
    """
    if session.clean is None:
        return Missing("Nothing was run yet.")
    try:
        whole = arrays.get(0, kind.site, layer)
    except SiteMissing:
        if layer not in layers_with_patterns(session, offline=offline, kind=kind):
            return Missing(why_not(session, kind.site) or _NOT_KEPT)
        found = arrays.pattern(layer, head, site=kind.site)
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


def head_maps(session: Session, pattern: HeadPattern, kind: Kind = SELF) -> tuple[HeadMap, ...]:
    """All heads of a layer as small pictures."""
    maps = []
    for head, small in enumerate(pattern.heads):
        peak = _usual_peak(small) or 1.0
        labels = detector_labels(session, pattern.layer, head, kind)
        detail = ", ".join(f"{name} {score:.2f}" for name, score in labels)
        picture = coloured(small, 0.0, peak, magnitude_table())
        maps.append(HeadMap(head, picture, labels[0][0] if labels else "", detail))
    return tuple(maps)


def _usual_peak(pattern: Float[np.ndarray, "query key"]) -> float:
    """What most queries give their strongest key at most: the first few rows are always near 1."""
    return float(np.quantile(pattern.max(axis=-1), 0.9))


def attention_grid(session: Session, pattern: HeadPattern, kind: Kind = SELF) -> Grid:
    """The pattern of one head with tokens on both axes: rows look, columns are looked at."""
    rows = _names(session, of_source=kind.from_source)
    columns = _names(session, of_source=kind.to_source)
    title = f"L{pattern.layer}H{pattern.head}: rows look at columns"
    if len(kinds_of(session)) > 1:
        title = f"{kind.title} \N{MIDDLE DOT} {title}"
    high = 1.0
    if len(columns) > _SPREAD_THIN:
        high = _usual_peak(pattern.coarser[-1] if pattern.coarser else pattern.values)
        title += f" · brightest at {high:.2g}"
    positions = tuple(range(len(rows)))
    return Grid(
        pattern.values, rows, columns, positions, 0.0, high, False, "of its attention", title,
        coarser=pattern.coarser,
    )  # fmt: skip


def _names(session: Session, *, of_source: bool) -> tuple[str, ...]:
    run = session.traces[0]
    tokens = run.source.tokens if of_source and run.source is not None else run.tokens
    return tuple(shown_token(token) for token in tokens)
