"""What lies under the cursor: the nearest node, else the nearest edge."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy.spatial import cKDTree

from microtome_desktop.presenters.circuit_curves import Curves
from microtome_desktop.presenters.circuit_layout import Layout

_SAMPLES = 65  # places along a curve
_NODE_SLACK, _EDGE_SLACK = 4.0, 5.0  # pixels a click may miss by


class HitIndex:
    """KD-trees over a drawing's nodes and over places along its strongest edges."""

    def __init__(self, layout: Layout, curves: Curves, n_edges: int) -> None:
        self._layout = layout
        self._centres = np.stack([layout.x, layout.y], axis=1)
        self._nodes = cKDTree(self._centres) if len(self._centres) else None
        self._rows = curves.order[:n_edges]
        self._lines = curves.sampled(_SAMPLES)[self._rows]
        self._places = cKDTree(self._lines.reshape(-1, 2)) if len(self._lines) else None
        steps = np.hypot(*np.diff(self._lines, axis=1).transpose(2, 0, 1))
        self._longest_step = float(steps.max(initial=0.0))

    def node_at(self, x: float, y: float, scale: float = 1.0) -> int | None:
        """The node under a place; ``scale`` is how many pixels one unit of the layout takes."""
        if self._nodes is None:
            return None
        radii = self._layout.diameters(scale) / 2
        reach = (float(radii.max()) + _NODE_SLACK) / scale
        near = np.array(self._nodes.query_ball_point((x, y), reach), dtype=int)
        if not len(near):
            return None
        outside = np.hypot(*(self._centres[near] - (x, y)).T) * scale - radii[near]
        best = int(np.argmin(outside))
        return int(near[best]) if outside[best] <= _NODE_SLACK else None

    def edge_at(self, x: float, y: float, scale: float = 1.0) -> int | None:
        """The edge under a place; of several within reach the nearest, then the strongest."""
        if self._places is None:
            return None
        slack = _EDGE_SLACK / scale
        near = self._places.query_ball_point((x, y), slack + self._longest_step / 2)
        candidates = np.unique(np.array(near, dtype=int) // _SAMPLES)
        if not len(candidates):
            return None
        apart = _distances(self._lines[candidates], np.array([x, y]))
        best = int(np.argmin(apart))
        return int(self._rows[candidates[best]]) if apart[best] <= slack else None


def _distances(
    lines: Float[np.ndarray, "line place 2"], at: Float[np.ndarray, " 2"]
) -> Float[np.ndarray, " line"]:
    """How far a point is from each polyline."""
    start, along = lines[:, :-1], np.diff(lines, axis=1)
    length = np.maximum((along**2).sum(axis=2), 1e-12)
    share = np.clip(((at - start) * along).sum(axis=2) / length, 0, 1)
    nearest = start + share[..., None] * along
    return np.asarray(np.hypot(*(nearest - at).transpose(2, 0, 1)).min(axis=1))
