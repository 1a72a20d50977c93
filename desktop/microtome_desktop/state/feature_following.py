"""A feature of a dictionary and the nodes of a graph that are it: selected together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from microtome.records.session import Session
from microtome_desktop.state.feature_nodes import Feature, feature_at, nodes_of
from microtome_desktop.state.selection import Selected
from microtome_desktop.state.units import is_unit
from microtome_desktop.state.workspace import Workspace


class FeatureFollowing:
    """Says what else is selected with a node or with a feature of the graph on screen."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def follow(self, before: Selected, changes: Mapping[str, Any]) -> Mapping[str, Any]:
        """The feature of a node that is being selected, or the node of a feature.

        Of the positions of a feature the selected one counts, else that where it carries most.
        A feature that the graph lacks leaves no other feature's node selected. The same holds
        of a unit of a model that sees.
        """
        session = self._workspace.session
        if session is not None and (unit := _with_unit(session, before, changes)):
            return unit
        if (
            session is None
            or session.circuit is None
            or len({"node", "feature"} & changes.keys()) != 1
        ):
            return {}
        if "node" in changes:
            found = feature_at(session, changes["node"])
            return {} if found is None else {"feature": found}
        feature = changes["feature"]
        return {} if feature is None else _node_of(session, before, feature)


def _with_unit(session: Session, before: Selected, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The unit of a node that is being selected, or the node of a unit; nothing for others."""
    circuit = session.circuit
    if circuit is None or len({"node", "unit"} & changes.keys()) != 1:
        return {}
    if "node" in changes:
        return {"unit": changes["node"]} if is_unit(circuit, changes["node"]) else {}
    unit = changes["unit"]
    if is_unit(circuit, unit):
        return {"node": unit, "edge": None, "others": ()}
    lost = unit is not None and is_unit(circuit, before.node)
    return {"node": None, "edge": None, "others": ()} if lost else {}


def _node_of(session: Session, before: Selected, feature: Feature) -> dict[str, Any]:
    held = feature_at(session, before.node)
    if held == feature:
        return {}
    rows = nodes_of(session, feature)
    circuit = session.circuit
    if circuit is None or not rows:
        return {} if held is None else {"node": None, "edge": None, "others": ()}
    here = (row for row in rows if int(circuit.node_position[row]) == before.position)
    row = next(here, rows[0])
    return {
        "node": circuit.node_id[row], "layer": int(circuit.node_layer[row]), "head": None,
        "position": int(circuit.node_position[row]), "prompt": None, "edge": None, "others": (),
    }  # fmt: skip
