"""Where the nodes of a circuit lie: position along, layer upward, crowded cells spread out.

Lengths are pixels of the canvas at "fit", y upward. Columns and rows share the room evenly as
long as that suffices; where a cell needs more, the emptier ones give way.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float, Int

from microtome.records.circuit import INPUT, OUTPUT, POSITION, TOKEN, Circuit
from microtome_desktop.presenters.circuit_kinds import node_style
from microtome_desktop.presenters.tokens import shown_token

_MARGIN_X, _MARGIN_BOTTOM, _MARGIN_TOP = 26.0, 6.0, 26.0
_GAP = 6.0  # between nodes of one cell
_COLUMN_GAP = 14.0
_SMALLEST = 0.12  # of the natural size: beyond that nodes may touch
_REACH_STEP = 32  # pixels
_CROWD = 1500  # nodes from which those of a cell lie in lines
_ENDS = (INPUT, TOKEN, POSITION, OUTPUT)  # of no column, where columns are heads
_END_ROWS = 0.55  # height of the embedding and output rows, of a layer's


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """The canvas at fit: its size, its columns (one a token) and rows, and each node's place.

    ``row_layers`` names the layer of each row, None for embeddings and output; a compact layout
    has no columns. ``shrink`` says how much smaller than natural the nodes are, so that none
    overlap.
    """

    width: float
    height: float
    columns: Float[np.ndarray, " position"]
    column_widths: Float[np.ndarray, " position"]
    tokens: tuple[str, ...]
    rows: Float[np.ndarray, " row"]
    row_heights: Float[np.ndarray, " row"]
    row_names: tuple[str, ...]
    row_layers: tuple[int | None, ...]
    x: Float[np.ndarray, " node"]
    y: Float[np.ndarray, " node"]
    diameter: Float[np.ndarray, " node"]
    shrink: float
    by_head: bool = False  # columns are heads and the MLP, of a circuit that tells no positions

    def row_of(self, layer: int | None) -> int | None:
        """The row of a layer, None where it has none."""
        known = layer is not None and layer in self.row_layers
        return self.row_layers.index(layer) if known else None

    def diameters(self, scale: float) -> Float[np.ndarray, " node"]:
        """Pixels across at a zoom; nodes grow until they have their natural size, then stay."""
        return np.asarray(self.diameter * min(scale, 1 / self.shrink))


def lay_out(circuit: Circuit, width: float, height: float) -> Layout:
    """Place a circuit on a canvas of this many pixels."""
    n_layers = _n_layers(circuit)
    tokens, column, by_head = _names_and_columns(circuit)
    row = _rows_of(circuit, n_layers)
    natural = node_diameters(circuit)
    weights = np.array([_END_ROWS, *[1.0] * n_layers, _END_ROWS])
    needs = _row_needs(row, natural, len(weights))
    row_heights = level(needs, max(height - _MARGIN_BOTTOM - _MARGIN_TOP, 1.0), weights)
    rows = _MARGIN_BOTTOM + np.cumsum(row_heights) - row_heights / 2
    cells = _cells(circuit, column, row, row_heights)
    room = max(width - 2 * _MARGIN_X, 1.0)
    offsets, column_widths, shrink = _fit_columns(cells, column, natural, len(tokens), room)
    columns = _MARGIN_X + np.cumsum(column_widths) - column_widths / 2
    lift = np.array([node_style(kind).lift for kind in circuit.node_kind])
    ends = np.isin(np.array(circuit.node_kind), _ENDS) & by_head
    return Layout(
        width=width,
        height=height,
        columns=columns,
        column_widths=column_widths,
        tokens=tuple(shown_token(token) for token in tokens),
        rows=rows,
        row_heights=row_heights,
        row_names=("embed", *[f"L{layer}" for layer in range(n_layers)], "out"),
        row_layers=(None, *range(n_layers), None),
        x=np.where(ends, width / 2, columns[column]) + offsets[:, 0],
        y=rows[row] + lift * row_heights[row] + offsets[:, 1],
        diameter=natural * shrink,
        shrink=shrink,
        by_head=by_head,
    )


def node_diameters(circuit: Circuit) -> Float[np.ndarray, " node"]:
    """Pixels across: the area grows with influence; the more nodes, the smaller all of them."""
    crowd = np.clip((circuit.n_nodes - 50) / 250, 0, 1)
    small, large = 7.0 - 2.5 * crowd, 19.0 - 5.0 * crowd
    influence = np.clip(np.nan_to_num(circuit.node_influence), 0, None).astype(float)
    inner = np.array([kind != OUTPUT for kind in circuit.node_kind], dtype=bool)
    largest = influence[inner].max(initial=0.0)
    share = np.minimum(influence / largest, 1.0) if largest > 0 else np.zeros(circuit.n_nodes)
    return np.asarray(np.where(inner, small + (large - small) * np.sqrt(share), large))


def level(
    needs: Float[np.ndarray, " part"], total: float, weights: Float[np.ndarray, " part"]
) -> Float[np.ndarray, " part"]:
    """Lengths that add up to ``total``: each at least its need, the rest as even as can be.

    Where the needs alone exceed the total, all of them give way alike.
    """
    if needs.sum() >= total:
        return np.asarray(needs * (total / needs.sum()))
    fixed = np.zeros(len(needs), dtype=bool)
    while True:
        unit = (total - needs[fixed].sum()) / weights[~fixed].sum()
        short = ~fixed & (needs > unit * weights)
        if not short.any():
            return np.asarray(np.where(fixed, needs, unit * weights))
        fixed |= short


def swarm(
    diameters: Float[np.ndarray, " node"], height: float, gap: float = _GAP
) -> Float[np.ndarray, "node 2"]:
    """Offsets (x, y) of the nodes of one cell around its centre.

    The largest lies in the middle, the others as near as they can without touching, no farther
    up or down than ``height`` allows.
    """
    places = np.zeros((len(diameters), 2))
    order = np.argsort(-diameters, kind="stable")
    reach = float(diameters.sum()) + gap * len(diameters)
    # In steps, so that the cells of a row share their places.
    candidates = _candidates(_REACH_STEP * int(np.ceil(reach / _REACH_STEP)), height / 2)
    # From each place to the rim of the nearest node that is placed already.
    apart = np.full(len(candidates), np.inf)
    for count, node in enumerate(order[1:], start=1):
        last = order[count - 1]
        away = candidates - places[last]
        np.minimum(apart, np.hypot(away[:, 0], away[:, 1]) - diameters[last] / 2, out=apart)
        free = apart >= diameters[node] / 2 + gap
        inside = np.abs(candidates[:, 1]) + diameters[node] / 2 <= max(height, diameters[node]) / 2
        places[node] = candidates[np.argmax(free & inside)]
    # Sizes differ, so the pile leans to one side: put its extent in the middle of the cell.
    left, right = (places[:, 0] - diameters / 2).min(), (places[:, 0] + diameters / 2).max()
    places[:, 0] -= (left + right) / 2
    return places


def packed(
    diameters: Float[np.ndarray, " node"], height: float, gap: float = _GAP
) -> Float[np.ndarray, "node 2"]:
    """The same for crowds, in lines of equal steps: the largest in the middle, none touching.

    A swarm of thousands takes seconds, and in a crowd its finer fit is not seen.
    """
    step = float(diameters.max()) + gap
    lines = max(1, int(height // step))
    order = np.argsort(-diameters, kind="stable")
    places = np.zeros((len(diameters), 2))
    number = np.arange(len(diameters))
    column, line = np.divmod(number, lines)
    # Columns and lines fill from their middle: 0, 1, -1, 2, -2 …
    across, up = (np.where(k % 2, (k + 1) // 2, -(k // 2)) for k in (column, line))
    places[order] = np.stack([across * step, up * step], axis=1)
    left, right = (places[:, 0] - diameters / 2).min(), (places[:, 0] + diameters / 2).max()
    low, high = (places[:, 1] - diameters / 2).min(), (places[:, 1] + diameters / 2).max()
    return np.asarray(places - [(left + right) / 2, (low + high) / 2])


@lru_cache(maxsize=64)
def _candidates(reach: int, half_height: float) -> Float[np.ndarray, "place 2"]:
    """Places around a centre, nearest first; sideways is nearer than up or down."""
    x = np.arange(-reach, reach + 1)
    levels = np.arange(0, half_height + 1e-9, max(2.0, half_height / 10))
    y = np.concatenate([-levels[:0:-1], levels])
    grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    # A line of five is filled before the next one is begun.
    cost = np.abs(grid[:, 0]) + 2.2 * np.abs(grid[:, 1]) - 1e-3 * (grid[:, 0] > 0)
    places: Float[np.ndarray, "place 2"] = grid[np.argsort(cost, kind="stable")]
    places.flags.writeable = False
    return places


@dataclass(frozen=True, slots=True)
class _Cell:
    """Nodes of one column and layer that share a line of a given height."""

    nodes: tuple[int, ...]
    height: float


def _cells(
    circuit: Circuit,
    column: Int[np.ndarray, " node"],
    row: Int[np.ndarray, " node"],
    row_heights: Float[np.ndarray, " row"],
) -> tuple[_Cell, ...]:
    members: dict[tuple[int, int, float], list[int]] = defaultdict(list)
    for node, kind in enumerate(circuit.node_kind):
        members[int(column[node]), int(row[node]), node_style(kind).lift].append(node)
    return tuple(
        _Cell(tuple(nodes), float(row_heights[at]) * (0.42 if lift else 0.7))
        for (_, at, lift), nodes in members.items()
    )


def _fit_columns(
    cells: tuple[_Cell, ...],
    column: Int[np.ndarray, " node"],
    natural: Float[np.ndarray, " node"],
    n_columns: int,
    room: float,
) -> tuple[Float[np.ndarray, "node 2"], Float[np.ndarray, " position"], float]:
    """Offsets in the cells, column widths, and how much the nodes shrink to fit the room."""
    shrink, place = 1.0, swarm if len(natural) <= _CROWD else packed
    while True:
        offsets = np.zeros((len(natural), 2))
        for cell in cells:
            if len(cell.nodes) > 1:
                rows = list(cell.nodes)
                offsets[rows] = place(natural[rows] * shrink, cell.height, _GAP * shrink)
        extent = 2 * np.abs(offsets[:, 0]) + natural * shrink
        needs = np.full(n_columns, 1.0)
        np.maximum.at(needs, column, extent + min(_COLUMN_GAP, 0.3 * room / n_columns))
        if needs.sum() <= room or shrink < _SMALLEST:
            break
        # The needs fall nearly as the size does, so a few steps suffice.
        shrink *= float(np.clip(0.97 * room / needs.sum(), 0.5, 0.95))
    # Where many nodes stand above each other, edges swing around them and want room too; a
    # token without nodes needs no more than its name.
    crowd = np.bincount(column, minlength=n_columns)
    weights = np.where(crowd == 0, 0.8, 1 + 0.1 * np.minimum(crowd, 16))
    return offsets, level(needs, room, weights), shrink


def _row_needs(
    row: Int[np.ndarray, " node"], diameter: Float[np.ndarray, " node"], n_rows: int
) -> Float[np.ndarray, " row"]:
    """A row that holds nodes must take its heads and its MLP above each other."""
    needs = np.zeros(n_rows)
    np.maximum.at(needs, row, 2 * diameter + _GAP)
    return np.maximum(needs, 5.0)


def _tokens(circuit: Circuit) -> tuple[str, ...]:
    held = tuple(str(token) for token in circuit.metadata.get("tokens", ()))
    farthest = int(circuit.node_position.max(initial=-1)) + 1
    return held + tuple(str(place) for place in range(len(held), max(farthest, 1)))


def _names_and_columns(circuit: Circuit) -> tuple[tuple[str, ...], Int[np.ndarray, " node"], bool]:
    """Columns, and which each node is in: tokens, or without any position heads and the MLP."""
    heads = int(circuit.node_head.max(initial=-1)) + 1
    if heads and not (circuit.node_position >= 0).any():
        heads = max(heads, int(circuit.metadata.get("n_heads") or 0))
        column = np.where(circuit.node_head >= 0, circuit.node_head, heads)
        return (*(f"H{head}" for head in range(heads)), "MLP"), column, True
    tokens = _tokens(circuit)
    column = np.clip(_columns_of(circuit, len(tokens)), 0, len(tokens) - 1)
    return tokens, column, False


def _n_layers(circuit: Circuit) -> int:
    inner = [kind != OUTPUT for kind in circuit.node_kind]
    deepest = int(circuit.node_layer[inner].max(initial=-1)) + 1
    return max(int(circuit.metadata.get("n_layers", 0)), deepest, 1)


def _columns_of(circuit: Circuit, n_tokens: int) -> Int[np.ndarray, " node"]:
    # What has no position of its own reads the last one.
    return np.where(circuit.node_position < 0, n_tokens - 1, circuit.node_position)


def _rows_of(circuit: Circuit, n_layers: int) -> Int[np.ndarray, " node"]:
    output = np.array([kind == OUTPUT for kind in circuit.node_kind], dtype=bool)
    return np.where(output, n_layers + 1, np.clip(circuit.node_layer + 1, 0, n_layers))
