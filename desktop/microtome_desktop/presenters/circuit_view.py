"""How much of a circuit is wanted, and by which of three rules its nodes and edges are chosen."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum
from functools import lru_cache

import numpy as np
from jaxtyping import Bool

from microtome.circuits.influences import (
    EDGE_INFLUENCE,
    NODE_INFLUENCE,
    Influences,
    has_components_alone,
    why_no_order,
)
from microtome.circuits.prune import kept
from microtome.records.circuit import Circuit

NODES = (10, 150)  # ends of the slider
DEFAULT_NODES, DEFAULT_EDGE_SHARE = 40, 0.8


class Placing(StrEnum):
    """How the nodes are laid out."""

    POSITION = "by position"
    COMPACT = "compact"


class Rule(Enum):
    """By what nodes and edges are chosen: how the first slider counts, and what both mean."""

    COMPONENTS = "components"  # a number of heads and MLPs, and a share of what flows
    INFLUENCE = "influence"  # two shares of influence, as circuit-tracer published it
    STRENGTH = "strength"  # two shares of the weights, where influence cannot flow


@dataclass(frozen=True, slots=True)
class View:
    """How much of a circuit is wanted: the two sliders of its rule; and how it is laid out."""

    nodes: int = DEFAULT_NODES
    edge_share: float = DEFAULT_EDGE_SHARE
    placing: Placing = Placing.POSITION
    node_influence: float = NODE_INFLUENCE
    edge_influence: float = EDGE_INFLUENCE


@lru_cache(maxsize=4)
def rule_of(circuit: Circuit) -> Rule:
    """The rule that a circuit is shown by."""
    if why_no_order(circuit):
        return Rule.STRENGTH
    return Rule.COMPONENTS if has_components_alone(circuit) else Rule.INFLUENCE


def chosen(explored: Circuit, view: View) -> tuple[Bool[np.ndarray, " node"],
                                                   Bool[np.ndarray, " edge"]]:  # fmt: skip
    """The rows of nodes and edges that the sliders keep."""
    if rule_of(explored) is Rule.COMPONENTS:
        found = kept(explored, view.nodes, view.edge_share)
        return found.nodes, found.edges
    return _influences(explored).kept(view.node_influence, view.edge_influence)


@lru_cache(maxsize=1)
def _influences(circuit: Circuit) -> Influences:
    return Influences.of(circuit)
