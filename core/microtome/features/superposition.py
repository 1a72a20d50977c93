"""Toy models of superposition, trained live: more features than dimensions.

``x' = relu(Wᵀ W x + b)`` is trained to give sparse x back through few dimensions (Elhage et al.,
"Toy Models of Superposition", 2022). All sparsities, and all squares of a phase diagram, are
trained at once, as one batched parameter.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from microtome.errors import InputError, expect
from microtome.features.neurons import Coder
from microtome.jobs import Job, job_or_default
from microtome.records.superposition import (
    Geometry,
    PhaseDiagram,
    ToyModels,
    ToyPlan,
    geometry,
)

_POINTS = 100  # of the curve of losses
_SHOWN_EVERY = 0.08  # seconds between partial results
_NEW = 0.02  # of a loss in the running mean of those before
_PHASE_BATCH = 64
_JUDGED, _JUDGINGS = 1_024, 12  # rows at a time by which starts are compared, and how often
_MOST = 4_000  # features, dimensions and models that a plan may have


def train_toy(plan: ToyPlan, *, job: Job | None = None) -> ToyModels:
    """Toy models trained as planned; hands them out as partial results ``toy`` as they form.

    Of each model's starts the one is handed out whose loss is smallest so far.
    Raises InputError for a plan that cannot be trained.
    """
    expect(plan, ToyPlan, "The plan", "a ToyPlan", "Write train_toy(ToyPlan(features=5)).")
    _check(plan)
    job = job_or_default(job)
    density = 1 - torch.tensor(plan.sparsity * plan.starts, dtype=torch.float32)
    importance = plan.importance ** torch.arange(plan.features, dtype=torch.float32)
    run = _Run(plan, density, importance.expand(len(density), -1))
    every, pace = max(1, plan.steps // _POINTS), _Pace(job)
    steps, losses = list[int](), list[Tensor]()
    for step in range(1, plan.steps + 1):
        loss = run.step(step)
        job.progress("Toy models", step, plan.steps)
        if step % every == 0 or step == plan.steps:
            steps.append(step)
            losses.append(loss)
            if pace.due() and step < plan.steps:
                best = run.best(run.recent, plan.starts)
                job.partial("toy", _toys(plan, run, best, steps, losses))
    made = _toys(plan, run, run.best(run.judged(plan.starts), plan.starts), steps, losses)
    if job.hears_partials:
        job.partial("toy", made)
    return made


def _toys(
    plan: ToyPlan, run: _Run, best: Tensor, steps: Sequence[int], losses: Sequence[Tensor]
) -> ToyModels:
    weights, bias = (each.detach()[best].numpy() for each in (run.weights, run.bias))
    curve = torch.stack(list(losses))[:, best].numpy()
    return ToyModels(plan, weights, bias, np.array(steps, np.int64), curve)


class _Pace:
    """When a partial result is due: about as often as an eye follows, and never unheard."""

    def __init__(self, job: Job) -> None:
        self._job, self._next = job, -math.inf

    def due(self) -> bool:
        """Whether it is now; then not for a while."""
        now = time.monotonic()
        if not self._job.hears_partials or now < self._next:
            return False
        self._next = now + _SHOWN_EVERY
        return True


def phase_diagram(
    *,
    features: int = 2,
    dimensions: int = 1,
    squares: int = 12,
    repeats: int = 5,
    steps: int = 1_000,
    seed: int = 0,
    job: Job | None = None,
) -> PhaseDiagram:
    """What becomes of the last of ``features``, for many densities and importances.

    Densities go from 1 to 1/100 and the last feature's importance from 1/10 to 10 times that of
    the others, both evenly on a logarithmic scale, ``squares`` of each. Of ``repeats`` models that
    start elsewhere the one with the smallest loss counts, as in the paper. All are trained at
    once; the diagram as it stands is handed out as partial results ``phases``.
    Raises InputError for a plan that cannot be trained.
    """
    job = job_or_default(job)
    for name, number in (("squares", squares), ("repeats", repeats)):
        expect(number, int, name, "a whole number", f"Write for example {name}=3.")
    cells = squares**2 * repeats
    plan = ToyPlan(
        features, dimensions, (0.0,) * cells, steps=steps, batch=_PHASE_BATCH, rate=2e-2, seed=seed,
        starts=1,
    )  # fmt: skip
    _check(plan)
    densities = torch.logspace(0, -2, squares)
    last = torch.logspace(-1, 1, squares)
    importance = torch.ones(cells, features)
    importance[:, -1] = last.repeat_interleave(squares).repeat(repeats)
    run, pace = _Run(plan, densities.repeat(squares * repeats), importance), _Pace(job)

    def found(losses: Tensor, done: int) -> PhaseDiagram:
        best = run.best(losses, repeats)
        long, shared = (each[best].view(squares, squares).numpy() for each in run.last_feature())
        return PhaseDiagram(
            densities.numpy(), last.numpy(), long, shared, features, dimensions, steps, seed, done
        )

    for step in range(1, steps + 1):
        run.step(step)
        job.progress("Phases of superposition", step, steps)
        if step < steps and pace.due():
            job.partial("phases", found(run.recent, step))
    return found(run.judged(repeats), steps)


def superposition(of: Coder | np.ndarray) -> Geometry:
    """How directions share a space: of a layer's neurons, of a dictionary, or any that are given.

    ``of`` is ``Neurons(model, layer)``, a ``Dictionary``, or an array. Of each direction there are
    its length, what the others put on it, and its share of a dimension: the measures of toy models
    (``ToyModels.geometry``), on a real layer.
    Raises WrongKind for anything else, InputError for an array that is no table of numbers.
    Source: Elhage et al., "Toy Models of Superposition" (2022), sections 3 and 5.
    """
    expect(
        of, (Coder, np.ndarray), "of", "neurons, a dictionary, or an array of directions",
        "Write for example superposition(Neurons(model, 2)).",
    )  # fmt: skip
    held = of if isinstance(of, np.ndarray) else of.directions.numpy()
    if held.ndim != 2 or held.dtype.kind not in "fiu" or not np.isfinite(held).all():
        raise InputError(
            f"The directions are an array of {held.ndim} axes and type {held.dtype}.",
            "Give finite numbers, a row for each direction.",
        )
    return geometry(held)


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
        self._adam = torch.optim.Adam([self.weights, self.bias], lr=plan.rate, fused=True)
        self.recent = torch.full((len(density),), torch.inf)  # a running mean of each loss

    def step(self, number: int) -> Float[Tensor, " model"]:
        """One step; the loss of each model before it."""
        # A cosine to a hundredth: the geometry is exact only when steps become small.
        share = number / self._plan.steps
        for group in self._adam.param_groups:
            group["lr"] = self._plan.rate * (0.01 + 0.99 * (1 + np.cos(np.pi * share)) / 2)
        loss = self._loss(self._rows(self._density, self._plan.batch))
        self._adam.zero_grad()
        # Models do not share anything, so that the gradient of the sum is that of each. A sparse
        # one has small losses, and Adam does not care.
        loss.sum().backward()
        self._adam.step()
        now = loss.detach()
        self.recent = torch.where(self.recent < torch.inf, self.recent.lerp(now, _NEW), now)
        return now

    def best(self, losses: Float[Tensor, " model"], starts: int) -> Int[Tensor, " kind"]:
        """Which of the models that differ in their start alone has the smallest loss."""
        kinds = len(losses) // starts
        return losses.view(starts, kinds).argmin(0) * kinds + torch.arange(kinds)

    def last_feature(self) -> tuple[Float[Tensor, " model"], Float[Tensor, " model"]]:
        """The length of its direction, and what all others put on it, of each model."""
        weights = self.weights.detach().double()  # [model, dimension, feature]
        own = weights[:, :, -1]
        norm = own.norm(dim=1)
        unit = own / norm.clamp_min(1e-12)[:, None]
        return norm, (unit[:, :, None] * weights[:, :, :-1]).sum(1).square().sum(1)

    def judged(self, starts: int) -> Float[Tensor, " model"]:
        """The loss of each model over many rows, by which models are compared.

        Models that differ in their start alone get the same rows, so that chance favours none.
        """
        kinds = self._density[: len(self._density) // starts]
        with torch.no_grad():
            rows = (self._rows(kinds, _JUDGED).repeat(starts, 1, 1) for _ in range(_JUDGINGS))
            return torch.stack([self._loss(each) for each in rows]).mean(0)

    def _rows(
        self, density: Float[Tensor, " model"], rows: int
    ) -> Float[Tensor, "model row feature"]:
        """Sparse features: what is drawn below the density is there, uniform from 0 to 1."""
        shape = (len(density), rows, self._plan.features)
        drawn = torch.rand(shape, generator=self._random) / density[:, None, None]
        return drawn * (drawn < 1)

    def _loss(self, x: Float[Tensor, "model row feature"]) -> Float[Tensor, " model"]:
        hidden = x @ self.weights.mT  # [model, row, dimension]
        back = (hidden @ self.weights + self.bias[:, None]).relu()
        loss: Tensor = ((x - back).square() * self._importance[:, None]).mean((1, 2))
        return loss


def _check(plan: ToyPlan) -> None:
    for name in ("features", "dimensions", "steps", "batch", "starts"):
        number = getattr(plan, name)
        if not 1 <= number <= (1 << 20 if name in {"steps", "batch"} else _MOST):
            raise InputError(
                f"A toy model of {number} {name} cannot be trained.", "Take 1 or more."
            )
    if not plan.sparsity or len(plan.sparsity) * plan.starts > _MOST:
        raise InputError(
            f"{len(plan.sparsity)} sparsities of {plan.starts} starts were given.",
            f"Give one or more, and at most {_MOST:,} models in all.",
        )
    if not all(0 <= share < 1 for share in plan.sparsity):
        raise InputError(f"Sparsities are shares of zeros, from 0 to below 1, not {plan.sparsity}.")
    if not plan.importance > 0 or not plan.rate > 0:
        raise InputError("Importance and learning rate are positive numbers.")
