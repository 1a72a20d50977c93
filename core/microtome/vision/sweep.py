"""From the metric down: which units matter, and the edges between them, layer by layer."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from microtome.jobs import Job
from microtome.records.circuit import IMAGE
from microtome.vision.pieces import Pieces, by_unit

OUT = -1  # the target that is the metric
_TOGETHER = 1 << 24  # floats of the gradients of targets that are found at once
_SLOW = 0.06  # seconds between two checkpoints, so that a cancelled job ends soon


@dataclass(slots=True, eq=False)
class Sweep:
    """The edges that were kept, and the influence of every unit.

    ``places`` are the image and the layers in order; a unit is the number of its place and its
    own. ``edges`` are rows of source place and unit, target place and unit, with ``weights``.
    ``on_layer`` is told the lowest layer that is done, and what gives all that is known: the edges
    into it and above are final, the influence of lower units is not.
    """

    pieces: Pieces
    tau: float
    keep: int
    most: int
    job: Job
    on_layer: Callable[[int, Callable[[], Sweep]], None] | None = None
    together: int = 4  # targets between two checkpoints, as many as take no longer than _SLOW
    places: list[str] = field(init=False)
    influence: list[Float[np.ndarray, " unit"]] = field(init=False)
    direct: float = 0.0  # the sizes of all that reaches the metric, together
    edges: list[Int[np.ndarray, "edge 4"]] = field(default_factory=list)
    weights: list[Float[np.ndarray, " edge"]] = field(default_factory=list)
    through: list[Float[np.ndarray, " edge"]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.places = [IMAGE, *self.pieces.layers]
        counts = [1, *(self.pieces.read[name].shape[1] for name in self.pieces.layers)]
        self.influence = [np.zeros(count) for count in counts]

    def run(self) -> Sweep:
        """Go down; at each checkpoint the job may be cancelled."""
        total = len(self.places)
        parts = self._parts(self.pieces.metric, None, self.places)
        self.direct = float(sum(np.abs(part).sum() for part in parts.values()))
        self._keep(parts, OUT, np.array([0]), np.ones(1))
        for at in range(total - 1, 0, -1):
            self.job.progress("Finding the circuit", total - 1 - at, total - 1)
            self._expand(at)
            if self.on_layer is not None and at > 1:
                self.on_layer(at - 1, lambda: self)  # the image is no layer
        self.job.progress("Finding the circuit", total - 1, total - 1)
        return self

    def _expand(self, at: int) -> None:
        """The edges into the units of one layer that matter most."""
        influence = self.influence[at]
        chosen = np.argsort(-influence, kind="stable")[: self.most]
        # Of a layer's strongest: of two thousand channels the best may have a thousandth.
        chosen = chosen[influence[chosen] > self.tau * influence.max(initial=0.0)]
        layer, before = self.places[at], self.places[:at]
        rows = torch.as_tensor(chosen, device=self.pieces.worth[layer].device)
        quick = self.pieces.rows(layer, rows) if len(chosen) else {}
        if quick is not None:
            self._keep(self._shares(quick), at, chosen, influence[chosen])
            return
        most, left = max(1, _TOGETHER // self._largest(before)), chosen
        while len(left):
            self.job.check()
            some, left = np.split(left, [min(self.together, most)])
            began = time.perf_counter()
            parts = self._parts(self.pieces.made[layer], self._seeds(layer, some), before)
            self._keep(parts, at, some, influence[some])
            spent = time.perf_counter() - began
            self.together = max(1, self.together // 2) if spent > _SLOW else self.together + 1

    def _largest(self, names: Sequence[str]) -> int:
        return max(self.pieces.read[name].numel() for name in names)

    def _seeds(self, layer: str, units: Int[np.ndarray, " target"]) -> Tensor:
        """What each unit alone is worth: [target, one, unit, place…]."""
        worth = self.pieces.worth[layer]
        seeds = torch.zeros(len(units), *worth.shape, dtype=worth.dtype, device=worth.device)
        rows = torch.as_tensor(units, device=worth.device)
        seeds[torch.arange(len(units)), :, rows] = worth[:, rows].movedim(1, 0)
        return seeds

    def _parts(
        self, made: Tensor, seeds: Tensor | None, before: Sequence[str]
    ) -> dict[int, Float[np.ndarray, "target _"]]:
        """What each unit of earlier places gives each target, by place; those that give any."""
        found = self.pieces.direct(made, seeds, before, together=seeds is not None)
        shares = {}
        for name, gradient in found.items():
            grads = gradient if seeds is not None else gradient[None]
            shares[name] = by_unit((grads * self.pieces.change(name))[:, 0])
        return self._shares(shares)

    def _shares(
        self, found: dict[str, Float[Tensor, "target _"]]
    ) -> dict[int, Float[np.ndarray, "target _"]]:
        """By the number of the place; the image is one unit."""
        parts = {}
        for name, each in found.items():
            shares = each.sum(1, keepdim=True) if name == IMAGE else each
            parts[self.places.index(name)] = shares.double().cpu().numpy()
        return parts

    def _keep(
        self,
        parts: dict[int, Float[np.ndarray, "target _"]],
        at: int,
        targets: Int[np.ndarray, " target"],
        influence: Float[np.ndarray, " target"],
    ) -> None:
        """Hand influence on to all sources, and keep each target's strongest edges."""
        if not parts:
            return
        weights = np.concatenate(list(parts.values()), axis=1)
        place = np.repeat(list(parts), [part.shape[1] for part in parts.values()])
        unit = np.concatenate([np.arange(part.shape[1]) for part in parts.values()])
        size = np.abs(weights)
        total = size.sum(1, keepdims=True)
        through = size / np.where(total > 0, total, 1.0) * influence[:, None]
        for source in parts:
            own = place == source
            self.influence[source] += through[:, own].sum(0)
        strongest = _strongest(size, self.keep)
        row, column = np.repeat(np.arange(len(targets)), strongest.shape[1]), strongest.reshape(-1)
        there = size[row, column] > 0
        row, column = row[there], column[there]
        ends = np.stack([place[column], unit[column], np.full(len(row), at), targets[row]], axis=1)
        self.edges.append(ends)
        self.weights.append(weights[row, column])
        self.through.append(through[row, column])


def _strongest(
    size: Float[np.ndarray, "target source"], keep: int
) -> Int[np.ndarray, "target kept"]:
    """The largest of each row, the first of equals first; all are sorted only if all are kept."""
    if keep >= size.shape[1]:
        return np.argsort(-size, axis=1, kind="stable")
    least = np.partition(size, -keep, axis=1)[:, -keep]
    found = np.zeros((len(size), keep), np.int64)
    for row, (own, enough) in enumerate(zip(size, least, strict=True)):
        some = np.flatnonzero(own >= enough)
        found[row] = some[np.argsort(-own[some], kind="stable")[:keep]]
    return found
