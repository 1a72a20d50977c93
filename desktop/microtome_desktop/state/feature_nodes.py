"""A feature of a dictionary and the nodes of a graph that are it: selected together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from microtome.records.circuit import FEATURE, Circuit
from microtome_desktop.state.selection import Selected
from microtome_desktop.state.workspace import Workspace


def feature_of(circuit: Circuit, node: str | None) -> tuple[str, int] | None:
    """The dictionary and the number of a node that is a feature, None for any other node.

    None as well in graphs that do not tell the fingerprints of their transcoders by layer.
    """
    if node is None or not _prints(circuit) or node not in circuit.node_id:
        return None
    return feature_at(circuit, circuit.node_id.index(node))


def feature_at(circuit: Circuit, row: int) -> tuple[str, int] | None:
    """The same of a row of the graph."""
    prints, layer = _prints(circuit), int(circuit.node_layer[row])
    if circuit.node_kind[row] != FEATURE or not 0 <= layer < len(prints):
        return None
    return prints[layer], int(circuit.node_feature[row])


def nodes_of(circuit: Circuit, feature: tuple[str, int]) -> tuple[int, ...]:
    """Rows of the nodes that are a feature, one a position, that with most influence first."""
    prints = _prints(circuit)
    if feature[0] not in prints:
        return ()
    layer, number = prints.index(feature[0]), feature[1]
    numbers, layers = np.asarray(circuit.node_feature), np.asarray(circuit.node_layer)
    rows = np.flatnonzero((numbers == number) & (layers == layer))
    found = [int(row) for row in rows if circuit.node_kind[row] == FEATURE]
    return tuple(sorted(found, key=lambda row: -float(circuit.node_influence[row])))


def _prints(circuit: Circuit) -> tuple[str, ...]:
    held = circuit.metadata.get("transcoders_fingerprints")
    return tuple(str(each) for each in held) if isinstance(held, list | tuple) else ()


class FeatureNodes:
    """Says what else is selected with a node or with a feature of the graph on screen."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def follow(self, before: Selected, changes: Mapping[str, Any]) -> Mapping[str, Any]:
        """The feature of a node that is being selected, or the node of a feature.

        Of the positions of a feature the selected one counts, else that where it carries most.
        A feature that the graph lacks leaves no other feature's node selected.
        """
        session = self._workspace.session
        circuit = None if session is None else session.circuit
        if circuit is None or len({"node", "feature"} & changes.keys()) != 1:
            return {}
        if "node" in changes:
            found = feature_of(circuit, changes["node"])
            return {} if found is None else {"feature": found}
        feature = changes["feature"]
        return {} if feature is None else _node_of(circuit, before, feature)


def _node_of(circuit: Circuit, before: Selected, feature: tuple[str, int]) -> dict[str, Any]:
    held = feature_of(circuit, before.node)
    if held == feature:
        return {}
    rows = nodes_of(circuit, feature)
    if not rows:
        return {} if held is None else {"node": None, "edge": None, "others": ()}
    here = (row for row in rows if int(circuit.node_position[row]) == before.position)
    row = next(here, rows[0])
    return {
        "node": circuit.node_id[row], "layer": int(circuit.node_layer[row]), "head": None,
        "position": int(circuit.node_position[row]), "prompt": None, "edge": None, "others": (),
    }  # fmt: skip
