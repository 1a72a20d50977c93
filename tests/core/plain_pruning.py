"""The published pruning of attribution graphs, written out over dense matrices [target, source]."""

from __future__ import annotations

import numpy as np


def plain_prune(matrix, outputs, kinds, node_share, edge_share):
    """Masks of nodes and edges; ``kinds`` are token, error, feature, output."""
    kinds = np.array(kinds)
    always = np.isin(kinds, ("token", "output"))
    influence = flowed(scaled(matrix), outputs)
    nodes = (influence >= least(influence, node_share)) | always
    part = matrix.copy()
    part[~nodes], part[:, ~nodes] = 0, 0
    share = scaled(part)
    score = share * (flowed(share, outputs) + outputs)[:, None]
    edges = (score >= least(score.ravel(), edge_share)) & (score > 0)
    while True:
        edges[~nodes], edges[:, ~nodes] = False, False
        left = nodes.copy()
        for node in np.flatnonzero(nodes & ~always):
            fed = edges[node].any() or kinds[node] == "error"
            left[node] = edges[:, node].any() and fed
        if (left == nodes).all():
            return nodes, edges
        nodes = left


def scaled(matrix):
    size = np.abs(matrix)
    return size / np.maximum(size.sum(axis=1, keepdims=True), 1e-10)


def flowed(share, outputs):
    total, moving = np.zeros(len(outputs)), outputs
    while moving.any():
        moving = moving @ share
        total = total + moving
    return total


def least(values, share):
    values = np.sort(values)[::-1]
    reached = np.cumsum(values) / values.sum()
    return values[min(int(np.searchsorted(reached, share)), len(values) - 1)]
