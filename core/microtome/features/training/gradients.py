"""One step's loss and gradients, by autograd or by the sparse path where a rule has one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from microtome.features.training.dead import auxiliary_loss
from microtome.features.training.forms import Form
from microtome.features.training.methods import Method, Step
from microtome.features.training.plan import Plan


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What a step found beside gradients; ``on`` counts for each feature the rows it was on in."""

    loss: float
    error: float  # mean over rows of the sum of squares missed
    on: Int[Tensor, " *feature"]
    smallest: float  # code that was on; infinity when none was


def dense_gradients(
    form: Form,
    method: Method,
    plan: Plan,
    weights: Mapping[str, Tensor],
    batch: tuple[Tensor, Tensor],
    dead: Bool[Tensor, " *feature"],
    pressure: float,
) -> Found:
    """Set ``grad`` of every weight by autograd, for any rule and form."""
    x, target = batch
    for held in weights.values():
        held.requires_grad_(True)
        held.grad = None
    pre = form.read(weights, x)
    step = Step(
        weights, plan, pre, target, lambda held, codes: form.decode(held, codes, x), pressure
    )
    loss = method.loss(step)
    if plan.auxiliary and bool(dead.any()):
        loss = loss + plan.auxiliary * _auxiliary(form, weights, step, dead, x)
    torch.autograd.backward(loss)
    for held in weights.values():
        held.requires_grad_(False)
    codes = step.codes.detach()
    on = codes > 0
    smallest = float(codes[on].min()) if method.cut and bool(on.any()) else torch.inf
    return Found(float(loss.detach()), float(step.error.detach()), on.sum(0), smallest)


def _auxiliary(
    form: Form, weights: Mapping[str, Tensor], step: Step, dead: Tensor, x: Tensor
) -> Tensor:
    with torch.no_grad():
        error = step.target - form.decode(weights, step.codes, x)
    plain = {name: held for name, held in weights.items() if name != "w_skip"}
    plain["b_dec"] = torch.zeros_like(weights["b_dec"])
    return auxiliary_loss(step.pre, error, dead, lambda codes: form.decode(plain, codes, x))
