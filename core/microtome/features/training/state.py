"""The state of a training: weights, Adam's moments, what features were on; one step of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Bool
from torch import Tensor

from microtome.features.training.forms import Form, Own
from microtome.features.training.gradients import Found, dense_gradients
from microtome.features.training.methods import METHODS, Method
from microtome.features.training.plan import Plan
from microtome.features.training.sparse import sparse_gradients

_MOMENTS = ("step", "exp_avg", "exp_avg_sq")
_CUT_MEMORY = 0.99  # of the running mean of the smallest code that was on


@dataclass(slots=True, eq=False)
class State:
    """What changes with every step, all of it in tensors.

    ``since`` counts the rows since each feature was on; ``cut`` is the running threshold of
    rules that choose over a batch, NaN before the first step.
    """

    form: Form
    plan: Plan
    weights: dict[str, Tensor]
    since: Tensor
    cut: Tensor = field(default_factory=lambda: torch.tensor(torch.nan, dtype=torch.float64))
    step: int = 0
    adam: torch.optim.Adam = field(init=False)

    def __post_init__(self) -> None:
        self.adam = torch.optim.Adam(self.weights.values(), lr=self.plan.rate, fused=True)

    @classmethod
    def start(cls, form: Form, plan: Plan, first: tuple[Tensor, Tensor]) -> State:
        """Before the first step, from the seed and the first batch."""
        random = torch.Generator().manual_seed(plan.seed)
        weights = form.start(plan, METHODS[plan.rule], first, random)
        state = cls(form, plan, weights, torch.zeros(form.shape, dtype=torch.int64))
        state.renormalise()
        return state

    @property
    def method(self) -> Method:
        """The row of its rule."""
        return METHODS[self.plan.rule]

    @property
    def dead(self) -> Bool[Tensor, " *feature"]:
        """Features that have not been on for as many rows as the plan says."""
        return self.since >= self.plan.dead_after

    @property
    def fast(self) -> bool:
        """Whether the sparse path computes its gradients."""
        return self.plan.rule == "topk" and isinstance(self.form, Own)

    def advance(self, batch: tuple[Tensor, Tensor]) -> Found:
        """One step: gradients, Adam, and decoder rows back at norm 1."""
        found = self.gradients(batch)
        self._keep_norms()
        for group in self.adam.param_groups:
            group["lr"] = self.plan.rate_at(self.step)
        self.adam.step()
        self.renormalise()
        self.since += len(batch[0])
        self.since[found.on > 0] = 0
        if found.smallest < torch.inf:
            before = found.smallest if self.cut.isnan() else float(self.cut)
            self.cut.fill_(_CUT_MEMORY * before + (1 - _CUT_MEMORY) * found.smallest)
        self.step += 1
        return found

    def gradients(self, batch: tuple[Tensor, Tensor]) -> Found:
        """Set the gradients of a batch, read and written, in training units."""
        if self.fast:
            return sparse_gradients(self.plan, self.weights, batch, self.dead)
        pressure = self.plan.pressure_at(self.step, self.method.pressure)
        return dense_gradients(
            self.form, self.method, self.plan, self.weights, batch, self.dead, pressure
        )

    def _keep_norms(self) -> None:
        """Take from gradients what would only lengthen rows of the decoder."""
        grads = {name: held.grad for name, held in self.weights.items() if held.grad is not None}
        for rows, own in zip(self.form.blocks(self.weights), self.form.blocks(grads), strict=True):
            own.addcmul_(torch.linalg.vecdot(own, rows)[:, None], rows, value=-1)

    def renormalise(self) -> None:
        """Rows of the decoder at norm 1."""
        for rows in self.form.blocks(self.weights):
            rows.div_(rows.norm(dim=1, keepdim=True).clamp_min_(1e-12))

    # ------------------------------------------------------------------ to and from files

    def tensors(self) -> dict[str, Tensor]:
        """All that a continuation needs, by name."""
        held = {f"weights.{name}": each for name, each in self.weights.items()}
        for name, each in self.weights.items():
            moments: Mapping[str, Any] = self.adam.state[each]
            held |= {f"{part}.{name}": moments[part] for part in _MOMENTS if part in moments}
        return held | {"since": self.since, "cut": self.cut}

    @classmethod
    def of(cls, form: Form, plan: Plan, step: int, held: Mapping[str, Tensor]) -> State:
        """The state that ``tensors`` gave; KeyError where one is missing."""
        start = "weights."
        weights = {
            name.removeprefix(start): each for name, each in held.items() if name.startswith(start)
        }
        state = cls(form, plan, weights, held["since"], held["cut"], step)
        for name, each in weights.items():
            if step:
                state.adam.state[each] = {part: held[f"{part}.{name}"] for part in _MOMENTS}
        return state
