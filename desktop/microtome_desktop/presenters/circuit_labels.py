"""Which nodes get a label and where: the most important first, none over another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from microtome.records.circuit import POSITION, TOKEN, Circuit
from microtome_desktop.presenters.circuit_focus import Focus

LABEL_LIMIT = 40
_TRIED = 240  # nodes for which a free place is looked for; in a crowd few have one
_SMALL = 60  # nodes up to which those out of focus are named too, faintly
_CLEARANCE = 3.0  # between a node's rim and its label


@dataclass(frozen=True, slots=True)
class Label:
    """A label of ``node`` whose box has its lower left corner at (x, y), in pixels, y upward."""

    node: int
    x: float
    y: float
    width: float
    height: float


def label_order(
    circuit: Circuit, focus: Focus | None, first: int | None, *, embeddings: bool = False
) -> Int[np.ndarray, " some"]:
    """The nodes worth a label, the most important first.

    Embeddings are named by the axis below, unless there is none; what is out of focus comes last,
    and not at all in a large circuit; ``first`` is the selected node.
    """
    named = np.array(
        [embeddings or kind not in {TOKEN, POSITION} for kind in circuit.node_kind], dtype=bool
    )
    rank = circuit.node_influence.astype(float).copy()
    if focus is not None:
        rank[~focus.nodes] -= 10.0  # influences lie between 0 and 1
        named &= focus.nodes | (circuit.n_nodes <= _SMALL)
    if first is not None:
        named[first] = True
        rank[first] = np.inf
    rows = np.flatnonzero(named)
    return np.asarray(rows[np.argsort(-rank[rows], kind="stable")])


def place_labels(
    order: Int[np.ndarray, " some"],
    centres: Float[np.ndarray, "node 2"],
    radii: Float[np.ndarray, " node"],
    width_of: Callable[[int], float],
    height: float,
    bounds: tuple[float, float],
) -> tuple[Label, ...]:
    """Boxes above, below or beside their nodes, greedily: the first free place wins.

    A label that would cover a node, another label or the rim of the canvas is left out.
    ``width_of`` is asked for the nodes alone for which a place is looked for.
    """
    low, high = centres - radii[:, None], centres + radii[:, None]
    seen = (high > 0).all(axis=1) & (low < bounds).all(axis=1)
    nodes = _Obstacles(np.concatenate([low, high], axis=1)[seen])
    order = order[seen[order]][:_TRIED]
    placed: list[Label] = []
    taken = np.zeros((0, 4))
    for node in order.tolist():
        if len(placed) == LABEL_LIMIT:
            break
        boxes = _places(centres[node], radii[node], width_of(node), height)
        blocked = _collisions(boxes, nodes.near(boxes)) | _collisions(boxes, taken)
        blocked |= _outside(boxes, bounds)
        if blocked.all():
            continue
        x0, y0, x1, y1 = boxes[np.argmin(blocked)]
        placed.append(Label(node, float(x0), float(y0), float(x1 - x0), float(y1 - y0)))
        taken = np.concatenate([taken, [[x0, y0, x1, y1]]])
    return tuple(placed)


class _Obstacles:
    """Boxes by their left ends, so that those near a place are found among very many."""

    def __init__(self, boxes: Float[np.ndarray, "box 4"]) -> None:
        self._boxes = boxes[np.argsort(boxes[:, 0])]
        self._left = self._boxes[:, 0]
        self._widest = float((boxes[:, 2] - boxes[:, 0]).max(initial=0.0))

    def near(self, places: Float[np.ndarray, "place 4"]) -> Float[np.ndarray, "near 4"]:
        """The boxes that may reach one of these places, seen along x."""
        ends = [places[:, 0].min() - self._widest, places[:, 2].max()]
        first, last = np.searchsorted(self._left, ends)
        return self._boxes[first:last]


def _places(
    centre: Float[np.ndarray, " 2"], radius: float, width: float, height: float
) -> Float[np.ndarray, "place 4"]:
    x, y = centre
    away = radius + _CLEARANCE
    corners = [
        (x - width / 2, y + away),
        (x + away, y - height / 2),
        (x - away - width, y - height / 2),
        (x - width / 2, y - away - height),
        (x, y + away),
        (x - width, y + away),
    ]
    return np.array([(left, low, left + width, low + height) for left, low in corners])


def _collisions(
    boxes: Float[np.ndarray, "place 4"], obstacles: Float[np.ndarray, "other 4"]
) -> Bool[np.ndarray, " place"]:
    a, b = boxes[:, None], obstacles[None]
    apart = (
        (a[..., 0] >= b[..., 2])
        | (a[..., 2] <= b[..., 0])
        | (a[..., 1] >= b[..., 3])
        | (a[..., 3] <= b[..., 1])
    )
    return np.asarray(~apart.all(axis=1))


def _outside(
    boxes: Float[np.ndarray, "place 4"], bounds: tuple[float, float]
) -> Bool[np.ndarray, " place"]:
    width, height = bounds
    return np.asarray(
        (boxes[:, 0] < 0) | (boxes[:, 1] < 0) | (boxes[:, 2] > width) | (boxes[:, 3] > height)
    )
