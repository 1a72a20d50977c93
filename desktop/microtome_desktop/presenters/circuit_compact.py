"""The compact layout: layers upward, and along each the nodes near what they hang together with.

Positions are given up, and so are layers without a node; what remains is read from the labels.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from microtome.records.circuit import IMAGE, OUTPUT, Circuit
from microtome.records.units import short_layer
from microtome_desktop.presenters.circuit_kinds import node_style
from microtome_desktop.presenters.circuit_layout import Layout, level, node_diameters
from microtome_desktop.state.units import unit_layers

_MARGIN_X, _MARGIN_BOTTOM, _MARGIN_TOP = 40.0, 16.0, 26.0
_GAP = 26.0  # between two nodes of a row: room for a label
_SWEEPS = 12  # after which the order does not change any more
_LOOSEST = 2.4  # times the room that the nodes need
_SMALLEST = 0.12  # of the natural size
_END_ROWS = 0.7  # height of the embedding and output rows, of a layer's


def lay_out_compact(circuit: Circuit, width: float, height: float) -> Layout:
    """Place a circuit on a canvas of this many pixels, by the barycentre heuristic.

    Each row in turn is ordered by the mean place of its neighbours, weighted by the edges
    (Sugiyama, Tagawa and Toda 1981); where two would touch, they give way by the least squares.
    """
    depth = _depths(circuit)
    present, row = np.unique(depth, return_inverse=True)
    row = row.reshape(-1)
    natural = node_diameters(circuit)
    room = max(width - 2 * _MARGIN_X, 1.0)
    shrink = _shrink(row, natural, room)
    diameter = natural * shrink
    ends = np.isin(present, (-1, depth.max(initial=0)))
    weights = np.where(ends, _END_ROWS, 1.0)
    needs = np.full(len(present), 5.0)
    np.maximum.at(needs, row, 2 * diameter)
    row_heights = level(needs, max(height - _MARGIN_BOTTOM - _MARGIN_TOP, 1.0), weights)
    rows = _MARGIN_BOTTOM + np.cumsum(row_heights) - row_heights / 2
    lift = np.array([node_style(kind).lift for kind in circuit.node_kind])
    apart = (diameter + _GAP * shrink) * _stretch(row, diameter + _GAP * shrink, room)
    x = _places(circuit, row, apart, room)
    return Layout(
        width=width,
        height=height,
        columns=np.zeros(0),
        column_widths=np.zeros(0),
        tokens=(),
        rows=rows,
        row_heights=row_heights,
        row_names=tuple(_row_name(circuit, int(each), depth) for each in present),
        row_layers=tuple(_row_layer(circuit, int(each), depth) for each in present),
        x=_MARGIN_X + x,
        y=rows[row] + lift * row_heights[row],
        diameter=diameter,
        shrink=shrink,
    )


def _depths(circuit: Circuit) -> Int[np.ndarray, " node"]:
    """The layer, -1 for embeddings; the metric is one above all."""
    output = np.array([kind == OUTPUT for kind in circuit.node_kind], dtype=bool)
    top = int(circuit.node_layer[~output].max(initial=-1)) + 1
    return np.where(output, top, circuit.node_layer)


def _row_layer(circuit: Circuit, depth: int, depths: Int[np.ndarray, " node"]) -> int | None:
    is_output = OUTPUT in circuit.node_kind and depth == depths.max(initial=0)
    return None if depth < 0 or is_output else depth


def _row_name(circuit: Circuit, depth: int, depths: Int[np.ndarray, " node"]) -> str:
    layer = _row_layer(circuit, depth, depths)
    if (names := unit_layers(circuit)) and layer is not None:
        return short_layer(names[layer])
    if names and depth < 0:
        return IMAGE
    return f"L{layer}" if layer is not None else "embed" if depth < 0 else "out"


def _shrink(
    row: Int[np.ndarray, " node"], natural: Float[np.ndarray, " node"], room: float
) -> float:
    longest = np.bincount(row, natural + _GAP).max(initial=1.0)
    return float(np.clip(room / longest, _SMALLEST, 1.0))


def _stretch(
    row: Int[np.ndarray, " node"], needs: Float[np.ndarray, " node"], room: float
) -> float:
    """How much wider than needed the longest row may lie."""
    return float(np.clip(room / np.bincount(row, needs).max(initial=1.0), 1.0, _LOOSEST))


def _places(
    circuit: Circuit,
    row: Int[np.ndarray, " node"],
    needs: Float[np.ndarray, " node"],
    room: float,
) -> Float[np.ndarray, " node"]:
    """Where each node lies along its row, from 0 to ``room``."""
    strength = np.abs(np.nan_to_num(circuit.edge_weight)).astype(np.float64) + 1e-12
    source, target = circuit.edge_source, circuit.edge_target
    first = np.lexsort((circuit.node_head, circuit.node_position))
    x = np.zeros(len(row))
    lines = [first[row[first] == each] for each in range(int(row.max(initial=-1)) + 1)]
    for line in lines:
        x[line] = (np.arange(len(line)) + 0.5) * room / max(len(line), 1)
    for sweep in range(_SWEEPS):
        for line in lines if sweep % 2 else lines[::-1]:
            total = np.bincount(source, strength, len(x)) + np.bincount(target, strength, len(x))
            pull = np.bincount(source, strength * x[target], len(x))
            pull += np.bincount(target, strength * x[source], len(x))
            wanted = np.where(total > 0, pull / np.where(total > 0, total, 1.0), x)
            x[line] = spaced(wanted[line], needs[line], room)
    return x


def spaced(
    wanted: Float[np.ndarray, " node"], needs: Float[np.ndarray, " node"], room: float
) -> Float[np.ndarray, " node"]:
    """The places nearest to the wanted ones, by least squares, that are ``needs`` apart.

    Less the room that the nodes before it need, each place may not fall below the one before: an
    isotonic regression.
    """
    order = np.argsort(wanted, kind="stable")
    needed = needs[order]
    before = np.cumsum(needed) - needed / 2
    slack = max(room - float(needed.sum()), 0.0)
    free = _rising(np.clip(wanted[order] - before, 0.0, slack))
    places = np.empty(len(wanted))
    places[order] = free + before
    return places


def _rising(values: Float[np.ndarray, " node"]) -> Float[np.ndarray, " node"]:
    """The nearest values, by least squares, none of which is below the one before.

    Neighbours in the wrong order are pooled in their mean (Ayer et al. 1955). scipy.optimize has
    it too, and would have the window start a sixth of a second later.
    """
    means: list[float] = []
    sizes: list[int] = []
    for value in values.tolist():
        mean, size = value, 1
        while means and means[-1] > mean:
            more = sizes.pop()
            mean = (mean * size + means.pop() * more) / (size + more)
            size += more
        means.append(mean)
        sizes.append(size)
    return np.repeat(np.asarray(means, dtype=float), sizes)
