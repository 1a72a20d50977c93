"""Logistic regression with an L2 penalty, in float64."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax


@dataclass(frozen=True, slots=True, eq=False)
class Logistic:
    """A fitted classifier: inputs are standardised by ``mean`` and ``scale`` first."""

    mean: Float[np.ndarray, " d"]
    scale: Float[np.ndarray, " d"]
    weights: Float[np.ndarray, "class d"]
    bias: Float[np.ndarray, " class"]

    def logits(self, rows: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n class"]:
        """What speaks for each class."""
        return np.asarray((rows - self.mean) / self.scale @ self.weights.T + self.bias)

    @property
    def directions(self) -> Float[np.ndarray, "class d"]:
        """Where each class lies in the space of the inputs, against all others, at length 1.

        That is the gradient of its logit less the mean of all logits.
        """
        found = (self.weights - self.weights.mean(axis=0)) / self.scale
        length = np.linalg.norm(found, axis=1, keepdims=True)
        return np.asarray(found / np.where(length > 0, length, 1.0))

    def predict(self, rows: Float[np.ndarray, "n d"]) -> Int[np.ndarray, " n"]:
        """The most probable class of each row."""
        return np.asarray(self.logits(rows).argmax(axis=1))


def fit_logistic(
    rows: Float[np.ndarray, "n d"], target: Int[np.ndarray, " n"], l2: float = 1.0
) -> Logistic:
    """The classifier with the least summed cross-entropy plus ``l2`` / 2 times squared weights.

    Inputs are standardised, biases are free; what is the same in all rows counts for nothing. The
    problem is convex, so that neither a start nor a seed matters.
    """
    mean, scale = rows.mean(axis=0), rows.std(axis=0)
    scale = np.where(scale > 1e-12, scale, 1.0)
    x, classes = (rows - mean) / scale, int(target.max()) + 1
    wanted = np.eye(classes)[target]

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        held = flat.reshape(classes, -1)
        weights, bias = held[:, :-1], held[:, -1]
        logits = x @ weights.T + bias
        off = softmax(logits, axis=1) - wanted
        gradient = np.concatenate([off.T @ x + l2 * weights, off.sum(0)[:, None]], axis=1)
        total = -(wanted * log_softmax(logits, axis=1)).sum() + l2 / 2 * np.square(weights).sum()
        return float(total), gradient.ravel()

    start = np.zeros(classes * (x.shape[1] + 1))
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 500})
    held = found.x.reshape(classes, -1)
    return Logistic(mean, scale, held[:, :-1], held[:, -1])
