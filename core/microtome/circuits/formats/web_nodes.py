"""A node as attribution-graph files write it, and back: kinds, ids and labels of all generations.

Published by circuit-tracer (``frontend/graph_models.py``) and Neuronpedia (``graph-schema.json``).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from microtome.circuits.formats.rows import NodeRow
from microtome.errors import GraphError
from microtome.records.circuit import (
    ATTENTION_ERROR,
    ATTENTION_FEATURE,
    BIAS,
    ERROR,
    FEATURE,
    HEAD,
    INPUT,
    MLP,
    OUTPUT,
    POSITION,
    TOKEN,
    UNKNOWN,
    component_id,
)

_MOST_FEATURES = 2**31
_BOTTOM, _OLD_TOP = "E", "E1"  # layers of embeddings, and of logits in files of before
_ANEW = "Export the graph anew: a node needs node_id, layer, ctx_idx and feature_type."


def cantor(layer: int, feature: int) -> int:
    """The number of a pair: (x + y)(x + y + 1)/2 + y."""
    return (layer + feature) * (layer + feature + 1) // 2 + feature


def cantor_pair(number: int) -> tuple[int, int]:
    """The pair of a number; exact for any size, where floating point is not."""
    diagonal = (math.isqrt(8 * number + 1) - 1) // 2
    feature = number - diagonal * (diagonal + 1) // 2
    return diagonal - feature, feature


@dataclass(frozen=True, slots=True)
class WebKind:
    """How a kind of node is written: its ``feature_type``, its ``feature``, its ``jsNodeId``."""

    kind: str
    feature_type: str
    feature: Callable[[NodeRow], int | None] = lambda _: None
    name: Callable[[NodeRow], str] = lambda row: row.id


def _pair(row: NodeRow) -> int | None:
    return cantor(row.layer, row.feature) if min(row.layer, row.feature) >= 0 else None


def _place(row: NodeRow) -> int:
    """An embedding's number; those of positions are below 0: the page takes equals for one."""
    return row.position if _TOKEN_ID.fullmatch(row.id) else -1 - row.position


def _token_name(row: NodeRow) -> str:
    return f"E_{row.feature}-{row.position}" if _TOKEN_ID.fullmatch(row.id) else row.id


_KINDS = (
    WebKind(FEATURE, "cross layer transcoder", _pair, lambda r: f"{r.layer}_{r.feature}-0"),
    WebKind(ERROR, "mlp reconstruction error", lambda _: -1, lambda r: f"{r.layer}_-1-0"),
    WebKind(TOKEN, "embedding", _place, _token_name),
    WebKind(OUTPUT, "logit", lambda r: r.feature, lambda r: f"L_{r.feature}-{r.position}"),
    WebKind(ATTENTION_FEATURE, "lorsa", _pair),
    WebKind(ATTENTION_ERROR, "lorsa error"),
    WebKind(BIAS, "bias"),
    WebKind(UNKNOWN, "unknown", lambda r: r.feature if r.feature >= 0 else None),
)
_BY_KIND: Mapping[str, WebKind] = {kind.kind: kind for kind in _KINDS}
_BY_TYPE: Mapping[str, WebKind] = {kind.feature_type: kind for kind in _KINDS}
_OLD_TYPE = "unexplored node"

# Ids of the generation that names what a node is; their layer is a number, and they name the node
# for the page too.
_NAMING = re.compile(r"\d+_(?:cro|lor|error|bias|unknown)_")
_FEATURE_ID = re.compile(r"(\d+)_(?:cro_|lor_)?(\d+)_(\d+)")
_TOKEN_ID = re.compile(r"E_(\d+)_\d+")
_LOGIT_ID = re.compile(r"\d+_(\d+)_\d+")
_OLD_ERROR_ID = re.compile(r"0_(\d+)_(\d+)")


def web_node(row: NodeRow) -> dict[str, Any]:
    """The keys that the published schema requires."""
    kind, naming = _BY_KIND.get(row.kind, _BY_KIND[UNKNOWN]), bool(_NAMING.match(row.id))
    feature = kind.feature(row)
    if naming and kind.kind == ERROR:
        feature = None
    layer = row.layer if naming or kind.kind not in _STANDARD else str(row.layer)
    return {
        "node_id": row.id,
        "feature": feature,
        "layer": _BOTTOM if row.layer < 0 else layer,
        "ctx_idx": max(0, row.position),
        "feature_type": kind.feature_type,
        "jsNodeId": row.id if naming else kind.name(row),
        "clerp": row.label,
    }


_STANDARD = {FEATURE, ERROR, TOKEN, OUTPUT}


def read_node(node: Any, number: int, id_: str | None = None) -> NodeRow:
    """The node of a file, under another id where one is given.

    Raises GraphError for what is no node of the published schema.
    """
    if not isinstance(node, dict) or not _is_node(node):
        raise GraphError(f"Node {number} of the file is {str(node)[:160]}.", _ANEW)
    kind, layer, feature = _kind(node), _layer(node["layer"], number), _feature(node, _kind(node))
    short = _SHORT.get(kind, "{kind}").format(kind=kind, layer=layer, feature=feature)
    return NodeRow(
        id=str(node["node_id"]) if id_ is None else id_,
        kind=kind,
        layer=layer,
        position=node["ctx_idx"],
        feature=feature,
        label=str(node.get("clerp") or short),
    )


# What a node is called that the file gives no label.
_SHORT = {
    FEATURE: "L{layer} F{feature}", ATTENTION_FEATURE: "L{layer} A{feature}",
    ERROR: "error L{layer}", ATTENTION_ERROR: "attention error L{layer}", TOKEN: "",
}  # fmt: skip


def _is_node(node: dict[str, Any]) -> bool:
    texts = all(isinstance(node.get(key), str) for key in ("node_id", "feature_type"))
    numbers = type(node.get("ctx_idx")) is int and type(node.get("layer")) in (int, str)
    return texts and numbers and type(node.get("feature")) in (int, type(None))


def _kind(node: dict[str, Any]) -> str:
    if str(node["layer"]) == _OLD_TOP:
        return OUTPUT
    if node["feature_type"] == _OLD_TYPE:
        return TOKEN if node["layer"] == _BOTTOM else FEATURE
    found = _BY_TYPE.get(node["feature_type"])
    return UNKNOWN if found is None else found.kind


def _layer(layer: str | int, number: int) -> int:
    if layer in (_BOTTOM, _OLD_TOP):
        return -1
    try:
        return int(layer)
    except ValueError:
        raise GraphError(f"Node {number} of the file is in the layer {layer!r}.", _ANEW) from None


def _feature(node: dict[str, Any], kind: str) -> int:
    """The feature in its layer, the token id of an embedding or logit, -1 without one."""
    held = node.get("feature")
    if kind in {FEATURE, ATTENTION_FEATURE}:
        found = _FEATURE_ID.fullmatch(node["node_id"])
        if found and found[1] == str(node["layer"]):
            return _small(int(found[2]))
        if held is None or held < 0:
            return -1
        layer, feature = cantor_pair(held)
        return _small(feature if str(layer) == str(node["layer"]) else held)
    if kind == OUTPUT and held is not None:
        return _small(held)
    pattern = {TOKEN: _TOKEN_ID, OUTPUT: _LOGIT_ID}.get(kind)
    match = pattern.fullmatch(node["node_id"]) if pattern else None
    return _small(int(match[1])) if match else -1


def _small(number: int) -> int:
    return number if 0 <= number < _MOST_FEATURES else -1


def current_error_id(node: Mapping[str, Any]) -> str | None:
    """The id that an error node has today, None where it has it, or is none.

    Before July 2026 it was ``0_{layer}_{position}``, which is a feature's id too.
    """
    if node.get("feature_type") != _BY_KIND[ERROR].feature_type:
        return None
    found = _OLD_ERROR_ID.fullmatch(str(node["node_id"]))
    if not found or (found[1], found[2]) != (str(node["layer"]), str(node["ctx_idx"])):
        return None
    return f"{found[1]}_-1_{found[2]}"


def published_row(row: NodeRow, token_ids: list[int], top: int, nowhere: int) -> NodeRow:
    """The node under an id and a kind that the published page knows.

    Nodes of attribution graphs are as they are. Components become embeddings, a logit on the layer
    ``top`` where they have none, and ``unknown`` nodes that tell their name: the page has no heads
    and no MLPs. Those without a position stand at ``nowhere``. It takes nodes of equal layer,
    position and number for one, and drops what it then finds at most positions; so the MLP of a
    layer has the number 0, its heads those from 1 on.
    """
    at = row.position if row.position >= 0 else nowhere
    if row.kind in {INPUT, POSITION} or row.id == component_id(TOKEN, position=at):
        token = token_ids[at] if row.kind == TOKEN and at < len(token_ids) else at
        key = token if row.kind == TOKEN else row.kind
        return NodeRow(f"E_{key}_{at}", TOKEN, -1, at, feature=token, label=row.label)
    if row.kind == OUTPUT and row.id in {component_id(OUTPUT), "logits"}:
        label = row.label if "(p=" in row.label else f'Output "{row.label}" (p=1.000)'
        layer = row.layer if row.layer >= 0 else top
        return NodeRow(f"{layer}_0_{at}", OUTPUT, layer, at, feature=0, label=label)
    if row.kind in {HEAD, MLP}:
        key = f"H{row.head}" if row.kind == HEAD else "M"
        label = f"L{row.layer}H{row.head}" if row.kind == HEAD else f"M{row.layer}"
        return NodeRow(
            f"{row.layer}_unknown_{key}_{at}", UNKNOWN, row.layer, at,
            feature=row.head + 1 if row.kind == HEAD else 0, label=label,
        )  # fmt: skip
    return row
