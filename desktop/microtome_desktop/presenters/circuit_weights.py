"""Where the weights of edges are written: on the curves, none over another or over a node."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from microtome_desktop.presenters.circuit import Drawing
from microtome_desktop.presenters.circuit_text import signed

MOST = 60  # weights that can be read at once
_NOTED = 0.005  # a smaller share of a weight is no change that one can read
_ALONG = (8, 6, 10, 4, 12)  # of sixteen steps along a curve: where a weight may stand


@dataclass(frozen=True, slots=True)
class Weight:
    """A weight of ``edge`` whose box is centred on (x, y), in pixels."""

    edge: int
    text: str
    x: float
    y: float


def place_weights(
    drawing: Drawing,
    to_view: Float[np.ndarray, "2 3"],
    edges: Bool[np.ndarray, " edge"] | None,
    width_of: Callable[[str], float],
    height: float,
    room: tuple[float, float],
    taken: Float[np.ndarray, "box 4"] | None = None,
) -> tuple[Weight, ...]:
    """The weights of the strongest edges (of a mask), each at the first free place of its curve.

    ``to_view`` maps the layout to pixels; ``width_of`` tells how wide a text is, ``taken`` what
    else must stay free.
    """
    order = drawing.curves.order[: drawing.n_edges]
    rows = order if edges is None else order[edges[order]]
    places = drawing.curves.sampled(17)[rows[: 3 * MOST]][:, _ALONG]
    pixels = places @ to_view[:, :2].T + to_view[:, 2]
    nodes = _nodes(drawing, to_view)
    taken = nodes if taken is None else np.concatenate([nodes, taken])
    found: list[Weight] = []
    for row, along in zip(rows[: 3 * MOST].tolist(), pixels, strict=True):
        text = weight_text(drawing, row)
        half = np.array([width_of(text) / 2, height / 2])
        boxes = np.concatenate([along - half, along + half], axis=1)
        free = ~_touching(boxes, taken) & _inside(boxes, room)
        if free.any():
            at = int(np.argmax(free))
            found.append(Weight(row, text, float(along[at, 0]), float(along[at, 1])))
            taken = np.concatenate([taken, boxes[at : at + 1]])
        if len(found) == MOST:
            break
    return tuple(found)


def weight_text(drawing: Drawing, edge: int) -> str:
    """How the weight of an edge is written, without and with the edits where they act."""
    weight, change = float(drawing.circuit.edge_weight[edge]), drawing.change(edge)
    if change is None or abs(change) < _NOTED * abs(weight):
        return signed(weight)
    return f"{signed(weight)} \N{RIGHTWARDS ARROW} {signed(round(weight + change, 6))}"


def _nodes(drawing: Drawing, to_view: Float[np.ndarray, "2 3"]) -> Float[np.ndarray, "node 4"]:
    layout = drawing.layout
    centres = np.stack([layout.x, layout.y], axis=1) @ to_view[:, :2].T + to_view[:, 2]
    radii = layout.diameters(abs(float(to_view[0, 0])))[:, None] / 2
    return np.concatenate([centres - radii, centres + radii], axis=1)


def _touching(
    boxes: Float[np.ndarray, "place 4"], taken: Float[np.ndarray, "box 4"]
) -> Bool[np.ndarray, " place"]:
    a, b = boxes[:, None], taken[None]
    apart = (a[..., 0] >= b[..., 2]) | (a[..., 2] <= b[..., 0])
    apart |= (a[..., 1] >= b[..., 3]) | (a[..., 3] <= b[..., 1])
    return np.asarray(~apart.all(axis=1))


def _inside(
    boxes: Float[np.ndarray, "place 4"], room: tuple[float, float]
) -> Bool[np.ndarray, " place"]:
    low = (boxes[:, :2] >= 0).all(axis=1)
    return np.asarray(low & (boxes[:, 2] <= room[0]) & (boxes[:, 3] <= room[1]))
