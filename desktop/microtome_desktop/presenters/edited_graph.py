"""The graph of features before and after edits of features: what is drawn of either, and between.

What rises is blue, solid and an arrow up, what falls red, dashed and an arrow down; what stays is
grey and faint. Widths are by the size of the change.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from functools import partial

import numpy as np
from jaxtyping import Bool, Float, Int

from microtome.records.circuit import INPUT, Circuit
from microtome.records.feature_edit import FEATURE_EDIT
from microtome.records.marks import Marks
from microtome.records.session import Session
from microtome_desktop.presenters.circuit import Drawing
from microtome_desktop.presenters.circuit_curves import (
    LOWERS,
    RAISES,
    SHARED,
    Curves,
    strength_levels,
)
from microtome_desktop.presenters.circuit_kinds import FALLS, FALLS_EDGE, NODE_STYLES, RISES
from microtome_desktop.presenters.circuit_text import node_tip, signed
from microtome_desktop.presenters.circuit_view import View
from microtome_desktop.presenters.marking import group_of, marked_weights
from microtome_desktop.state.foreign import UNREADABLE
from microtome_desktop.state.made_by import shows_features

_NOTED = 0.02  # of an activation or of the largest weight: less is none that one can see


class Side(StrEnum):
    """What is drawn of a graph whose features are edited."""

    CHANGE = "what changes"
    AFTER = "with the edits"
    BEFORE = "without"


def is_edited(session: Session | None) -> bool:
    """Whether it is known what edits of features do to the graph on screen."""
    return session is not None and shows_features(session) and FEATURE_EDIT in session.analyses


def edited_drawing(
    drawing: Drawing, session: Session, view: View, marks: Marks, side: Side
) -> Drawing:
    """The drawing of a graph of features as edits leave it, or of what they change."""
    plain = replace(drawing, changes=None, node_hue=None, node_shapes=None, node_notes=None)
    try:
        ends = _node_ends(session, drawing.circuit)
        change = _edge_change(session, view, marks)
    except UNREADABLE:
        return plain
    if ends is None or change is None or len(change) != drawing.circuit.n_edges:
        return plain
    before, after = ends
    large = np.abs(after - before) > _NOTED * np.maximum(np.abs(before), 1e-3)
    notes = partial(_node_note, drawing.circuit, before, after, large)
    told = replace(plain, changes=change, node_notes=notes)
    if side is Side.BEFORE:
        return told
    weight = drawing.circuit.edge_weight.astype(np.float64)
    if side is Side.AFTER:
        return replace(told, curves=_after(drawing.curves, weight, weight + change))
    rises, falls = large & (after > before), large & (after < before)
    kinds = zip(drawing.circuit.node_kind, rises.tolist(), falls.tolist(), strict=True)
    shapes = tuple(RISES if up else FALLS if down else _still(kind) for kind, up, down in kinds)
    hue = np.where(large, (after > before).astype(np.int64), SHARED)
    curves = _between(drawing.curves, change)
    return replace(told, curves=curves, node_hue=hue, node_shapes=shapes)


def _still(kind: str) -> str:
    """The glyph of a node that does not move: none that looks like one that falls."""
    return kind if kind in NODE_STYLES else INPUT


def counts(drawing: Drawing | None) -> Mapping[str, int]:
    """How many nodes rise and fall; empty where no change is drawn."""
    if drawing is None or drawing.node_shapes is None:
        return {}
    return {kind: drawing.node_shapes.count(kind) for kind in (RISES, FALLS)}


FALLING = "weight falls"  # the name of the dashed one
# What the lines of a change are called, and their hues.
LINE_HUES: Mapping[str, int] = {"weight rises": RAISES, FALLING: LOWERS, "as before": SHARED}


def _node_ends(
    session: Session, drawn: Circuit
) -> tuple[Float[np.ndarray, " node"], Float[np.ndarray, " node"]] | None:
    """Activations and logits of the drawn nodes without and with the edits; groups are sums."""
    held, explored = session.analyses[FEATURE_EDIT], session.circuit
    ends = [held.array(name).astype(np.float64) for name in ("before", "after")]
    if explored is None or len(ends[0]) != explored.n_nodes:
        return None
    rows = {name: row for row, name in enumerate(explored.node_id)}
    found = np.zeros((2, drawn.n_nodes))
    for at, node in enumerate(drawn.node_id):
        group = group_of(session.marks, node)
        held_rows = [rows[name] for name in ((node,) if group is None else group.nodes)
                     if name in rows]  # fmt: skip
        found[:, at] = [float(end[held_rows].sum()) for end in ends]
    return found[0], found[1]


def _edge_change(session: Session, view: View, marks: Marks) -> Float[np.ndarray, " edge"] | None:
    """The change of each drawn edge; of a group the sum over its members."""
    held, explored = session.analyses[FEATURE_EDIT], session.circuit
    change = held.array("change")
    if explored is None or len(change) != explored.n_edges:
        return None
    return marked_weights(explored, view, marks, np.nan_to_num(change))


def _after(
    curves: Curves, before: Float[np.ndarray, " edge"], after: Float[np.ndarray, " edge"]
) -> Curves:
    strength = np.abs(after)
    return replace(
        curves,
        level=strength_levels(strength, float(np.abs(before).max(initial=0))),
        hue=(after > 0).astype(np.int64),
        order=np.argsort(-strength, kind="stable"),
    )


def _between(curves: Curves, change: Float[np.ndarray, " edge"]) -> Curves:
    strength = np.abs(change)
    moved: Bool[np.ndarray, " edge"] = strength > _NOTED * float(strength.max(initial=0))
    hue: Int[np.ndarray, " edge"] = np.where(moved, (change > 0).astype(np.int64), SHARED)
    return replace(
        curves,
        level=np.where(moved, strength_levels(strength), 0),
        hue=hue,
        kind=np.where(moved & (change < 0), FALLS_EDGE, curves.kind),
        order=np.argsort(-strength, kind="stable"),
    )


def _node_note(
    circuit: Circuit,
    before: Float[np.ndarray, " node"],
    after: Float[np.ndarray, " node"],
    large: Bool[np.ndarray, " node"],
    node: int,
) -> str:
    tip = node_tip(circuit, node)
    if not large[node]:
        return tip
    ends = (signed(round(float(side[node]), 4)) for side in (before, after))
    return f"{tip}\nwith edits {' → '.join(ends)}"
