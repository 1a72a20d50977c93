"""Walking a circuit by keys: along its edges, and along its rows."""

from __future__ import annotations

from enum import Enum

import numpy as np

from microtome.records.circuit import OUTPUT, Circuit


class Way(Enum):
    """Where to go from a node."""

    UP = "to what it feeds most"
    DOWN = "to what feeds it most"
    LEFT = "to the neighbour on the left"
    RIGHT = "to the neighbour on the right"
    HOME = "to the metric"


def step(circuit: Circuit, node: int | None, way: Way) -> int | None:
    """The row of the node that lies one step from ``node``; None where there is none.

    Up and down follow the edge that carries most influence; left and right go through the nodes of
    the same layer by position. From no node every way leads to the metric.
    """
    home = circuit.node_kind.index(OUTPUT) if OUTPUT in circuit.node_kind else None
    if node is None or way is Way.HOME:
        return home
    if way in (Way.UP, Way.DOWN):
        return _along(circuit, node, up=way is Way.UP)
    return _beside(circuit, node, 1 if way is Way.RIGHT else -1)


def _along(circuit: Circuit, node: int, *, up: bool) -> int | None:
    here, there = circuit.edge_source, circuit.edge_target
    if not up:
        here, there = there, here
    edges = np.flatnonzero(here == node)
    if not len(edges):
        return None
    return int(there[edges[np.argmax(np.nan_to_num(circuit.edge_influence[edges]))]])


def _beside(circuit: Circuit, node: int, move: int) -> int | None:
    # The metric shares no row with anything.
    inner = np.array([kind != OUTPUT for kind in circuit.node_kind])
    row = np.flatnonzero((circuit.node_layer == circuit.node_layer[node]) & inner)
    if node not in row:
        return None
    heads = circuit.node_head[row]
    order = row[np.lexsort((row, heads, circuit.node_position[row]))].tolist()
    place = order.index(node) + move
    return order[place] if 0 <= place < len(order) else None
