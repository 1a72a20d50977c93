"""Losses of training written out in loops in float64, and gradients by differences."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from microtome.features.training.plan import Plan

Arrays = dict[str, NDArray[np.float64]]


def plain_loss(
    rule: str, plan: Plan, held: Arrays, x: NDArray[np.float64], y: NDArray[np.float64],
    frozen: Arrays,
) -> float:  # fmt: skip
    """The loss of a batch; ``frozen`` are the weights that are not to be taught by it."""
    rows, width = len(x), len(held["w_dec"])
    pre = np.array(
        [[float(held["w_enc"][f] @ row) + held.get("b_enc", np.zeros(width))[f]
          for f in range(width)] for row in x]
    )  # fmt: skip
    if rule == "gated":
        return _gated(plan, held, pre, (x, y), frozen)
    codes = np.maximum(pre, 0)
    if rule == "topk":
        for row in codes:
            row[np.argsort(-row)[plan.k :]] = 0
    if rule in {"batchtopk", "matryoshka"}:
        flat = codes.reshape(-1)
        flat[np.argsort(-flat)[plan.k * rows :]] = 0
    if rule == "jumprelu":
        codes = np.where(codes > np.exp(held["log_threshold"]), codes, 0)
    if rule == "matryoshka":
        firsts = [np.where(np.arange(width) < each, codes, 0) for each in plan.widths]
        return float(np.mean([_missed(held, first, x, y) for first in firsts]))
    asked = {"relu": codes.sum(), "jumprelu": (codes > 0).sum()}.get(rule, 0.0)
    return _missed(held, codes, x, y) + (plan.pressure or 0.0) * float(asked) / rows


def _gated(
    plan: Plan, held: Arrays, pre: NDArray[np.float64], sides: tuple, frozen: Arrays
) -> float:
    gate = np.maximum(pre + held["b_gate"], 0)
    codes = np.maximum(pre * np.exp(held["r_mag"]) + held["b_mag"], 0) * (gate > 0)
    pressure = (plan.pressure or 0.0) * float(gate.sum()) / len(pre)
    return _missed(held, codes, *sides) + pressure + _missed(frozen, gate, *sides)


def _missed(
    held: Arrays, codes: NDArray[np.float64], x: NDArray[np.float64], y: NDArray[np.float64]
) -> float:
    total = 0.0
    for row, read, target in zip(codes, x, y, strict=True):
        written = held["b_dec"].copy()
        for feature, code in enumerate(row):
            written += code * held["w_dec"][feature]
        if "w_skip" in held:
            written += held["w_skip"] @ read
        total += float(((written - target) ** 2).sum())
    return total / len(x)


def plain_gradient(
    loss: Callable[[Arrays], float], held: Arrays, name: str, size: float = 1e-6
) -> NDArray[np.float64]:
    """The gradient of a loss by one of its weights, by central differences."""
    found = np.zeros_like(held[name])
    for at in np.ndindex(found.shape):
        ends = []
        for sign in (1, -1):
            moved = {key: value.copy() for key, value in held.items()}
            moved[name][at] += sign * size
            ends.append(loss(moved))
        found[at] = (ends[0] - ends[1]) / (2 * size)
    return found


def plain_threshold_gradient(
    plan: Plan, held: Arrays, x: NDArray[np.float64], y: NDArray[np.float64]
) -> NDArray[np.float64]:
    """What the rectangle kernel gives JumpReLU's log thresholds (Rajamanoharan et al., 2024)."""
    threshold = np.exp(held["log_threshold"])
    pre = np.maximum(x @ held["w_enc"].T + held["b_enc"], 0)
    codes = np.where(pre > threshold, pre, 0)
    by_code = 2 * (codes @ held["w_dec"] + held["b_dec"] - y) @ held["w_dec"].T / len(x)
    found = np.zeros_like(threshold)
    for row in range(len(x)):
        for feature, at in enumerate(threshold):
            if abs(pre[row, feature] - at) < plan.bandwidth / 2:
                found[feature] -= by_code[row, feature] * at / plan.bandwidth
                found[feature] -= (plan.pressure or 0.0) / plan.bandwidth / len(x)
    return found * threshold
