"""Toy models of superposition, trained live: more features than dimensions.

``x' = relu(Wᵀ W x + b)`` is trained to give sparse x back through few dimensions (Elhage et al.,
"Toy Models of Superposition", 2022). All sparsities, and all squares of a phase diagram, are
trained at once, as one batched parameter.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from microtome.errors import InputError, expect
from microtome.jobs import Job, job_or_default
from microtome.records.superposition import PhaseDiagram, ToyModels, ToyPlan

_POINTS = 100  # of the curve of losses
_MOST = 4_000  # features, dimensions and models that a plan may have


def train_toy(plan: ToyPlan, *, job: Job | None = None) -> ToyModels:
    """Toy models trained as planned; hands them out as partial results ``toy`` as they form.

    Raises InputError for a plan that cannot be trained.
    """
    expect(plan, ToyPlan, "The plan", "a ToyPlan", "Write train_toy(ToyPlan(features=5)).")
    _check(plan)
    job = job_or_default(job)
    density = 1 - torch.tensor(plan.sparsity, dtype=torch.float32)
    importance = plan.importance ** torch.arange(plan.features, dtype=torch.float32)
    run = _Run(plan, density, importance.expand(len(density), -1))
    every = max(1, plan.steps // _POINTS)
    steps, losses = list[int](), list[Tensor]()
    for step in range(1, plan.steps + 1):
        loss = run.step(step)
        if step % every == 0 or step == plan.steps:
            steps.append(step)
            losses.append(loss)
            job.progress("Toy models", step, plan.steps)
            if job.hears_partials:
                job.partial("toy", _toys(plan, run, steps, losses))
    return _toys(plan, run, steps, losses)


def _toys(plan: ToyPlan, run: _Run, steps: Sequence[int], losses: Sequence[Tensor]) -> ToyModels:
    held = run.weights.detach().numpy().copy(), run.bias.detach().numpy().copy()
    return ToyModels(plan, *held, np.array(steps, np.int64), torch.stack(list(losses)).numpy())


def phase_diagram(
    *,
    features: int = 2,
    dimensions: int = 1,
    squares: int = 12,
    repeats: int = 3,
    steps: int = 1_500,
    seed: int = 0,
    job: Job | None = None,
) -> PhaseDiagram:
    """What becomes of the last of ``features``, for many densities and importances.

    Densities go from 1 to 1/100 and the last feature's importance from 1/10 to 10 times that of
    the others, both evenly on a logarithmic scale, ``squares`` of each. Of ``repeats`` models that
    start elsewhere the one with the smallest loss counts, as in the paper.
    Raises InputError for a plan that cannot be trained.
    """
    job = job_or_default(job)
    for name, number in (("squares", squares), ("repeats", repeats)):
        expect(number, int, name, "a whole number", f"Write for example {name}=3.")
    cells = squares**2 * repeats
    plan = ToyPlan(
        features, dimensions, (0.0,) * cells, steps=steps, batch=256, rate=2e-2, seed=seed
    )
    _check(plan)
    densities = torch.logspace(0, -2, squares)
    last = torch.logspace(-1, 1, squares)
    importance = torch.ones(cells, features)
    importance[:, -1] = last.repeat_interleave(squares).repeat(repeats)
    run = _Run(plan, densities.repeat(squares * repeats), importance)
    for step in range(1, steps + 1):
        run.step(step)
        job.progress("Phases of superposition", step, steps)
    weights = run.weights.detach().double()  # [repeat and square, dimension, feature]
    own = weights[:, :, -1]
    norm = own.norm(dim=1)
    unit = own / norm.clamp_min(1e-12)[:, None]
    others = (unit[:, :, None] * weights[:, :, :-1]).sum(1).square().sum(1)
    best = run.judged().reshape(repeats, -1).argmin(0, keepdim=True)
    kept = [each.reshape(repeats, -1).gather(0, best)[0] for each in (norm, others)]
    long, shared = (each.reshape(squares, squares).numpy() for each in kept)
    return PhaseDiagram(
        densities.numpy(), last.numpy(), long, shared, features, dimensions, steps, seed
    )


class _Run:
    """Models of one plan while they train, one for each density."""

    def __init__(
        self,
        plan: ToyPlan,
        density: Float[Tensor, " model"],
        importance: Float[Tensor, "model feature"],
    ) -> None:
        self._plan, self._density, self._importance = plan, density, importance
        self._random = torch.Generator().manual_seed(plan.seed)
        shape = (len(density), plan.dimensions, plan.features)
        start = torch.randn(shape, generator=self._random) / plan.dimensions**0.5
        self.weights = start.requires_grad_()
        self.bias = torch.zeros(len(density), plan.features, requires_grad=True)
        self._adam = torch.optim.Adam([self.weights, self.bias], lr=plan.rate)

    def step(self, number: int) -> Float[Tensor, " model"]:
        """One step; the loss of each model before it."""
        # A cosine to a hundredth: the geometry is exact only when steps become small.
        share = number / self._plan.steps
        for group in self._adam.param_groups:
            group["lr"] = self._plan.rate * (0.01 + 0.99 * (1 + np.cos(np.pi * share)) / 2)
        loss = self._loss(self._plan.batch)
        self._adam.zero_grad()
        # Models do not share anything, so that the gradient of the sum is that of each. A sparse
        # one has small losses, and Adam does not care.
        loss.sum().backward()
        self._adam.step()
        return loss.detach()

    def judged(self) -> Float[Tensor, " model"]:
        """The loss of each model over many rows, by which models are compared."""
        with torch.no_grad():
            return torch.stack([self._loss(1_024) for _ in range(8)]).mean(0)

    def _loss(self, rows: int) -> Float[Tensor, " model"]:
        shape = (len(self._density), rows, self._plan.features)
        x = torch.rand(shape, generator=self._random)
        x = x * (torch.rand(shape, generator=self._random) < self._density[:, None, None])
        hidden = x @ self.weights.mT  # [model, row, dimension]
        back = (hidden @ self.weights + self.bias[:, None]).relu()
        loss: Tensor = ((x - back).square() * self._importance[:, None]).mean((1, 2))
        return loss


def _check(plan: ToyPlan) -> None:
    for name in ("features", "dimensions", "steps", "batch"):
        number = getattr(plan, name)
        if not 1 <= number <= (1 << 20 if name in {"steps", "batch"} else _MOST):
            raise InputError(
                f"A toy model of {number} {name} cannot be trained.", "Take 1 or more."
            )
    if not plan.sparsity or len(plan.sparsity) > _MOST:
        raise InputError(f"{len(plan.sparsity)} sparsities were given.", "Give one or more.")
    if not all(0 <= share < 1 for share in plan.sparsity):
        raise InputError(f"Sparsities are shares of zeros, from 0 to below 1, not {plan.sparsity}.")
    if not plan.importance > 0 or not plan.rate > 0:
        raise InputError("Importance and learning rate are positive numbers.")
