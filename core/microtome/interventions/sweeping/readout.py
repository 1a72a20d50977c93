"""From the last rows of the residual stream to a metric, reading no more logits than it needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from microtome.errors import MetricError
from microtome.interventions.sweeping.layers import normed
from microtome.jobs import Job
from microtome.metrics import LinearMetric, Metric
from microtome.models.anatomy import Anatomy
from microtome.models.operations import soft_cap, transformed

_FEW = 64  # logits that are worth computing alone
MOST_LOGITS = 1 << 21  # at a time: 8 MB, and a stop acts between them


@dataclass(frozen=True, slots=True, eq=False)
class Readout:
    """What reads the metric of each example from the stream behind the last layer.

    ``metrics`` has one metric an example, resolved; ``places`` are the positions they read, in
    order: one, or all of them. ``most`` logits are made at a time, one run's at least.
    """

    anatomy: Anatomy
    metrics: tuple[Metric, ...]
    places: Int[np.ndarray, " place"]
    most: int = MOST_LOGITS
    check: Callable[[], None] = Job().check

    def values(
        self, rows: Float[Tensor, "run place d_model"], examples: Int[np.ndarray, " run"]
    ) -> Float[np.ndarray, " run"]:
        """The metric of each run."""
        found = np.empty(len(rows))
        for example in np.unique(examples).tolist():
            chosen = np.flatnonzero(examples == example)
            own = rows if len(chosen) == len(rows) else rows[torch.from_numpy(chosen)]
            found[chosen] = self._of_metric(self.metrics[example], own)
        return found

    def _of_metric(
        self, metric: Metric, rows: Float[Tensor, "run place d_model"]
    ) -> Float[np.ndarray, " run"]:
        read = transformed(self.anatomy.transform, normed(self.anatomy.final_norm, rows))
        if isinstance(metric, LinearMetric):
            return _numbers(self._linear(metric, read[:, 0]))
        size = max(1, self.most // (len(self.places) * self.anatomy.unembedding.shape[0]))
        logits = (self._checked(part) for part in read.split(size))
        everywhere = getattr(metric, "everywhere", False)
        parts = [measured(metric, part if everywhere else part[:, 0]) for part in logits]
        return np.concatenate(parts)

    def _checked(self, read: Float[Tensor, "*run d_model"]) -> Float[Tensor, "*run vocabulary"]:
        self.check()
        return self._logits(read)

    def _linear(
        self, metric: LinearMetric, read: Float[Tensor, "run d_model"]
    ) -> Float[Tensor, " run"]:
        weights = metric.coefficients(self.anatomy.unembedding.shape[0])
        some = np.flatnonzero(weights)
        if self.anatomy.soft_cap is None:
            return read @ self._direction(weights, some) + self._constant(weights)
        if len(some) > _FEW:
            coefficients = read.new_tensor(weights)
            size = max(1, self.most // len(weights))
            return torch.cat([self._logits(part) @ coefficients for part in read.split(size)])
        return self._logits(read, torch.from_numpy(some)) @ read.new_tensor(weights[some])

    def _direction(
        self, weights: Float[np.ndarray, " vocabulary"], some: Int[np.ndarray, " token"]
    ) -> Float[Tensor, " d_model"]:
        matrix = self.anatomy.unembedding
        if len(some) <= _FEW:
            matrix, weights = matrix[torch.from_numpy(some).to(matrix.device)], weights[some]
        return matrix.new_tensor(weights) @ matrix

    def _constant(self, weights: Float[np.ndarray, " vocabulary"]) -> float:
        bias = self.anatomy.unembedding_bias
        return 0.0 if bias is None else float(bias @ bias.new_tensor(weights))

    def _logits(
        self, read: Float[Tensor, "*run d_model"], some: Tensor | None = None
    ) -> Float[Tensor, "*run token"]:
        matrix, bias = self.anatomy.unembedding, self.anatomy.unembedding_bias
        if some is not None:
            some = some.to(matrix.device)
            matrix, bias = matrix[some], None if bias is None else bias[some]
        return soft_cap(functional.linear(read, matrix, bias), self.anatomy.soft_cap)


def measured(
    metric: Metric, logits: Float[Tensor, "run *read vocabulary"]
) -> Float[np.ndarray, " run"]:
    """The metric of each run.

    Raises MetricError when a user's function gives anything but one number for each.
    """
    values = metric(logits)
    shape = list(np.shape(values))
    if shape != [len(logits)]:
        raise MetricError(
            f"The metric gave values of the shape {shape} for logits of the shape "
            f"{list(logits.shape)}.",
            "It has to give one number for each run, which are the first axis.",
        )
    return _numbers(values)


def _numbers(values: Any) -> Float[np.ndarray, " run"]:
    return np.asarray(torch.as_tensor(values).detach().cpu().double().numpy())
