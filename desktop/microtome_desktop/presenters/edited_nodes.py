"""Which nodes and edges of a circuit the edits touch, and how."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from microtome.errors import InputError
from microtome.records.circuit import FEATURE, HEAD, MLP, POSITION, TOKEN, Circuit
from microtome.records.edits import EditSpec
from microtome.records.feature_edit import FeatureEditSpec
from microtome.records.marks import Marks
from microtome.records.session import Session
from microtome.sites import Site
from microtome_desktop.presenters.circuit import Drawing, edge_names

EDGE_CHANGES = "edited-edges"  # the analysis with the change of each edge
_HEADS = {"z", "q", "k", "v", "rot_q", "rot_k", "pattern", "scores", "attn_out"}
_MLPS = {"mlp_in", "mlp_pre", "mlp_post", "mlp_out"}
_KINDS = {
    **dict.fromkeys(_HEADS, HEAD), **dict.fromkeys(_MLPS, MLP), "embed": TOKEN,
    "pos_embed": POSITION,
}  # fmt: skip


def edited_nodes(circuit: Circuit, edits: tuple[EditSpec, ...]) -> tuple[int, ...]:
    """Rows of the nodes whose component an edit that is on changes, at their position.

    An edit of the residual stream is of no node: it shows in the edges behind it.
    """
    found: set[int] = set()
    for spec in edits:
        if spec.on:
            found |= set(_nodes_of(circuit, spec))
    return tuple(sorted(found))


def _nodes_of(circuit: Circuit, spec: EditSpec) -> list[int]:
    try:
        site = Site.parse(spec.site)
    except InputError:  # the run says so
        return []
    kind = _KINDS.get(site.name)
    if kind is None:
        return []
    length = int(circuit.node_position.max(initial=0)) + 1
    count = len(circuit.metadata.get("tokens", ())) or length
    places = None if spec.positions is None else {at % count for at in spec.positions}
    layered = kind in (HEAD, MLP)
    return [
        row
        for row, held in enumerate(circuit.node_kind)
        if held == kind
        and (not layered or site.layer in (None, int(circuit.node_layer[row])))
        and (site.head is None or site.head == int(circuit.node_head[row]))
        and (places is None or int(circuit.node_position[row]) in places)
    ]


def changes_of(session: Session | None, drawn: Circuit) -> Float[np.ndarray, " edge"] | None:
    """The change of each drawn edge; NaN for those of a group, None where nothing is known."""
    held = None if session is None else session.analyses.get(EDGE_CHANGES)
    if session is None or held is None or session.circuit is None:
        return None
    change = held.array("change")
    if len(change) != session.circuit.n_edges:
        return None
    known = dict(zip(edge_names(session.circuit), change.tolist(), strict=True))
    return np.array([known.get(name, np.nan) for name in edge_names(drawn)])


def edited_features(circuit: Circuit, edits: tuple[FeatureEditSpec, ...]) -> tuple[int, ...]:
    """Rows of the features that an edit that is on changes, at their positions."""
    found: set[int] = set()
    length = len(circuit.metadata.get("tokens", ())) or 1
    for spec in edits if FEATURE in circuit.node_kind else ():
        own = (circuit.node_layer == spec.layer) & (circuit.node_feature == spec.feature)
        own &= np.array(circuit.node_kind) == FEATURE
        if spec.positions is not None:
            own &= np.isin(circuit.node_position, [at % length for at in spec.positions])
        found |= set(np.flatnonzero(own).tolist()) if spec.on else set()
    return tuple(sorted(found))


def n_edited(circuit: Circuit, marks: Marks) -> int:
    """How many nodes edits change."""
    features = edited_features(circuit, marks.feature_edits)
    return len(edited_nodes(circuit, marks.edits)) + len(features)


def with_changes(drawing: Drawing, session: Session | None) -> Drawing:
    """The drawing with what edits of a run change of the weights of its edges."""
    changes = changes_of(session, drawing.circuit)
    return replace(drawing, changes=changes, node_hue=None, node_shapes=None, node_notes=None)
