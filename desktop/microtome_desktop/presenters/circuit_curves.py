"""The edges of a circuit as cubic curves, each with one of sixteen pens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from microtome.records.circuit import Circuit
from microtome_desktop import palette as colours
from microtome_desktop.presenters.circuit_kinds import edge_style
from microtome_desktop.presenters.circuit_layout import Layout

LEVELS = 8  # of strength; times the hues, so that no edge needs a pen of its own
# What an edge is coloured by: two for its sign, three for what two compared circuits have alone and
# share, and behind them one for each of several rivals.
_NAMED = ("INHIBITS", "EXCITES", "TOKEN", "GROUP", "TEXT_DIM")
ONLY_FIRST, ONLY_SECOND, SHARED, FIRST_RIVAL = 2, 3, 4, 5
LOWERS, RAISES = 0, 1  # hues of edges by their sign
Mark = tuple[str, bool]  # a symbol of pyqtgraph or a bar, and whether it is full
BAR = "bar"
_SHAPES = ("o", "s", "t1", "d")
_MARKS: Mapping[int, Mark] = {
    LOWERS: (BAR, True), ONLY_FIRST: ("o", True), ONLY_SECOND: ("o", False),
    **{FIRST_RIVAL + row: (_SHAPES[row // 2 % len(_SHAPES)], row % 2 == 0)
       for row in range(len(colours.POINT_GROUPS))},
}  # fmt: skip
N_HUES = len(_NAMED) + len(colours.POINT_GROUPS)
BUNDLE_GAP = 8.0  # between the control points of one pair's edges, across their way
_SIDE = 26.0  # how far a key edge swings out to the left, a query edge to the right
_NO_COLUMNS = 40.0  # what edges may take to swing around nodes where there are no columns
_BOW = 9.0  # the least that an edge within one column swings around the nodes between


@dataclass(frozen=True, slots=True, eq=False)
class Curves:
    """Every edge's four control points and its looks, in the order of the circuit's edges.

    ``level`` counts from 0 (faint) to ``LEVELS`` - 1 (the strongest), ``hue`` is below ``N_HUES``;
    ``order`` gives the rows strongest first.
    """

    points: Float[np.ndarray, "edge 4 2"]
    level: Int[np.ndarray, " edge"]
    hue: Int[np.ndarray, " edge"]
    kind: Int[np.ndarray, " edge"]
    order: Int[np.ndarray, " edge"]

    @property
    def pen(self) -> Int[np.ndarray, " edge"]:
        """The number of each edge's pen: ``LEVELS`` for each hue."""
        return np.asarray(self.level + LEVELS * self.hue)

    @property
    def positive(self) -> Bool[np.ndarray, " edge"]:
        """Which edges excite."""
        return np.asarray(self.hue == 1)

    def sampled(self, n: int) -> Float[np.ndarray, "edge n 2"]:
        """``n`` places along each curve, its ends included."""
        t = np.linspace(0, 1, n)[:, None]
        weights = np.concatenate(
            [(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3], axis=1
        )  # n 4
        return np.asarray(np.einsum("nk,ekd->end", weights, self.points))


def curve_boxes(points: Float[np.ndarray, "edge 4 2"]) -> Float[np.ndarray, "edge 4"]:
    """A box around each curve: left, low, right, high. A curve lies inside its control points."""
    # Point by point: to reduce an axis of four takes numpy seven times as long.
    low, high = points[:, 0].copy(), points[:, 0].copy()
    for each in range(1, 4):
        np.minimum(low, points[:, each], out=low)
        np.maximum(high, points[:, each], out=high)
    return np.concatenate([low, high], axis=1)


def hue_colour(hue: int) -> str:
    """The colour of a hue in the theme that is used now."""
    if hue >= FIRST_RIVAL:
        return colours.POINT_GROUPS[hue - FIRST_RIVAL]
    return str(getattr(colours, _NAMED[hue]))


def hue_mark(hue: int) -> Mark | None:
    """What stands on an edge of a hue, so that colour is not all that tells it apart."""
    return _MARKS.get(hue)


def curves(
    circuit: Circuit,
    layout: Layout,
    *,
    apart: Float[np.ndarray, " edge"] | None = None,
    largest: float = 0.0,
) -> Curves:
    """Curves that leave a node upward and reach the next from below.

    A key edge arrives from the left and a query edge from the right; the edges of one pair run
    side by side as a bundle. For a part of a larger circuit ``apart`` says how far each is shifted
    in its bundle and ``largest`` is the largest weight of all, so that neither depends on the part.
    """
    strength = np.abs(np.nan_to_num(circuit.edge_weight)).astype(float)
    return Curves(
        points=_control_points(circuit, layout, apart),
        level=strength_levels(strength, largest),
        hue=(circuit.edge_weight > 0).astype(np.int64),
        kind=circuit.edge_kind.astype(np.int64),
        order=np.argsort(-strength, kind="stable"),
    )


def strength_levels(
    strength: Float[np.ndarray, " edge"], largest: float = 0.0
) -> Int[np.ndarray, " edge"]:
    """The level of each edge by the root of its weight's share of the largest, there or given.

    Equal shares of the edges a level would draw an edge of a thousandth as wide as one of a
    half; the root keeps width honest and still tells the small ones apart.
    """
    largest = float(strength.max(initial=largest))
    if largest <= 0:
        return np.zeros(len(strength), dtype=np.int64)
    shares = np.sqrt(strength / largest)
    return np.asarray(np.minimum(LEVELS * shares, LEVELS - 1).astype(np.int64))


def _control_points(
    circuit: Circuit, layout: Layout, shifts: Float[np.ndarray, " edge"] | None
) -> Float[np.ndarray, "edge 4 2"]:
    source, target = circuit.edge_source, circuit.edge_target
    start = np.stack([layout.x[source], layout.y[source]], axis=1)
    end = np.stack([layout.x[target], layout.y[target]], axis=1)
    across, up = (end - start).T
    rise = np.maximum(np.abs(up) * 0.5, 14.0)
    kinds, kind = np.unique(circuit.edge_kind, return_inverse=True)
    styles = [edge_style(int(each)) for each in kinds]
    side = np.array([style.side for style in styles], dtype=float)[kind]
    bow = np.array([style.bow for style in styles], dtype=float)[kind]
    detour = bow * _detour(across, up, _room_beside(circuit, layout))
    length = np.maximum(np.hypot(across, up), 1.0)
    shifts = _bundle_offsets(circuit) if shifts is None else shifts
    apart = shifts[:, None] * np.stack([up, -across], axis=1) / length[:, None]
    reach = side * np.minimum(_SIDE, 0.35 * length)
    first = start + apart + np.stack([detour, rise], axis=1)
    last = end + apart + np.stack([detour + reach, -rise], axis=1)
    return np.stack([start, first, last, end], axis=1)


def _detour(
    across: Float[np.ndarray, " edge"],
    up: Float[np.ndarray, " edge"],
    room: Float[np.ndarray, " edge"],
) -> Float[np.ndarray, " edge"]:
    """How far edges that stay in their column swing around the nodes between, within its room.

    A curve reaches three quarters of the way to its control points.
    """
    steep = np.abs(across) < 0.12 * np.abs(up)
    long = np.abs(up) > 40.0
    wide = np.minimum(_BOW + 0.14 * np.abs(up), np.maximum(room / 0.75, 2 * _BOW))
    return np.asarray(np.where(steep & long, wide, 0.0))


def _room_beside(circuit: Circuit, layout: Layout) -> Float[np.ndarray, " edge"]:
    if not len(layout.columns):
        return np.full(circuit.n_edges, _NO_COLUMNS)
    column = np.clip(circuit.node_position, 0, len(layout.columns) - 1)[circuit.edge_source]
    return np.asarray(layout.column_widths[column] / 2)


def _bundle_offsets(circuit: Circuit) -> Float[np.ndarray, " edge"]:
    """Shifts that part the edges of one pair, centred on the way of a single one."""
    if not circuit.n_edges:
        return np.zeros(0)
    pair = circuit.edge_source.astype(np.int64) * circuit.n_nodes + circuit.edge_target
    _, group, sizes = np.unique(pair, return_inverse=True, return_counts=True)
    order = np.lexsort((circuit.edge_kind, group))
    firsts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    place = np.empty(circuit.n_edges)
    place[order] = np.arange(circuit.n_edges) - firsts[group[order]]
    return (place - (sizes[group] - 1) / 2) * BUNDLE_GAP
