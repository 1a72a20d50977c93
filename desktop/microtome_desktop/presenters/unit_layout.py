"""Where the units of a circuit lie: layers upward, and along each the units in their order.

There are no columns. A unit lies where its number does among its layer's, so that what a residual
stream carries on stands above itself; where two names would touch, both give way.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from microtome.records.circuit import IMAGE, OUTPUT, Circuit
from microtome.records.units import short_layer
from microtome_desktop.presenters.circuit_compact import spaced
from microtome_desktop.presenters.circuit_layout import Layout, level, node_diameters
from microtome_desktop.state.units import unit_layers

_MARGIN_X, _MARGIN_BOTTOM, _MARGIN_TOP = 40.0, 14.0, 26.0
_NAME = 44.0  # pixels that a node with its name takes along the row
_GAP = 4.0  # between nodes without names
_SMALLEST = 0.12  # of the natural size
_END_ROWS = 0.7  # height of the rows of image and metric, of a layer's


def lay_out_units(circuit: Circuit, width: float, height: float) -> Layout:
    """Place a circuit of units on a canvas of this many pixels, a row a layer that has any."""
    names = (IMAGE, *(short_layer(layer) for layer in unit_layers(circuit)), "out")
    present, row = np.unique(_rows(circuit, len(names) - 2), return_inverse=True)
    row = row.reshape(-1)
    natural = node_diameters(circuit)
    room = max(width - 2 * _MARGIN_X, 1.0)
    longest = np.bincount(row, natural + _GAP).max(initial=1.0)
    shrink = float(np.clip(room / longest, _SMALLEST, 1.0))
    diameter = natural * shrink
    weights = np.where(np.isin(present, (0, len(names) - 1)), _END_ROWS, 1.0)
    needs = np.full(len(weights), 5.0)
    np.maximum.at(needs, row, 2 * diameter)
    row_heights = level(needs, max(height - _MARGIN_BOTTOM - _MARGIN_TOP, 1.0), weights)
    rows = _MARGIN_BOTTOM + np.cumsum(row_heights) - row_heights / 2
    return Layout(
        width=width,
        height=height,
        columns=np.zeros(0),
        column_widths=np.zeros(0),
        tokens=(),
        rows=rows,
        row_heights=row_heights,
        row_names=tuple(names[each] for each in present),
        row_layers=(None,) * len(weights),
        x=_MARGIN_X + _places(circuit, row, diameter + _GAP * shrink, room),
        y=rows[row],
        diameter=diameter,
        shrink=shrink,
    )


def _rows(circuit: Circuit, n_layers: int) -> Int[np.ndarray, " node"]:
    kinds = np.array(circuit.node_kind)
    return np.where(kinds == OUTPUT, n_layers + 1, np.clip(circuit.node_layer + 1, 0, n_layers))


def _places(
    circuit: Circuit,
    row: Int[np.ndarray, " node"],
    least: Float[np.ndarray, " node"],
    room: float,
) -> Float[np.ndarray, " node"]:
    """Each row's nodes by their numbers, as far apart as their names need where there is room."""
    x = np.full(len(row), room / 2)
    for each in np.unique(row):
        line = np.flatnonzero(row == each)
        line = line[np.argsort(circuit.node_feature[line], kind="stable")]
        if len(line) == 1:
            continue
        needs = np.maximum(least[line], min(_NAME, room / len(line)))
        wanted = (np.arange(len(line)) + 0.5) / len(line) * room
        x[line] = spaced(wanted, needs * min(1.0, room / needs.sum()), room)
    return x
