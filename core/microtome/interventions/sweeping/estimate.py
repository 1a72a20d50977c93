"""What a sweep will take, from shapes and token ids.

What is run for it is one product of matrices, and of a model that was not swept before the
comparison that decides which path it takes.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import torch

from microtome.interventions.sweeping.exact import plan_of
from microtome.interventions.sweeping.paths import Path, path_of
from microtome.interventions.sweeping.room import room_of
from microtome.interventions.sweeping.running import Asked
from microtome.interventions.sweeping.task import Task
from microtome.jobs import Job
from microtome.models.anatomy import Anatomy
from microtome.models.model import Model

_ROWS, _TRIES = 256, 3
_TOGETHER = 16  # cells of a batch of modules, as a rule
_USED = 0.75  # of the speed of one large product; the rest are norms, attention and copies
_RUN, _PASS = 3e-4, 4e-3  # seconds beside the products, of a run and of a pass of modules
_MODULES = 2.5  # how much more whole passes of the model's own modules take than their products

_rates: WeakKeyDictionary[Model, float] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class SweepEstimate:
    """What a sweep takes.

    ``skipped`` of the cells are known to change nothing; ``flop`` counts the operations in large
    products; ``bytes`` are beside the model.
    """

    cells: int
    skipped: int
    flop: float
    seconds: float
    bytes: int
    path: Path


def estimate(asked: Asked, job: Job | None = None) -> SweepEstimate:
    """What a sweep takes. Raises what the sweep itself would raise before it starts."""
    model = asked.model
    path = path_of(model, asked.kind, asked.path, asked.examples[0].base, job)
    tasks = [task for _, task in asked.tasks(alone=path != "packed")]
    cells = sum(len(task.cells) * len(task.examples) for task in tasks)
    if path == "packed":
        plans = [plan_of(task) for task in tasks]
        skipped = sum(int(plan.idle.sum()) for plan in plans)
        rows = sum(plan.row_layers() for plan in plans)
        bases = sum(_base_rows(task) for task in tasks)
        flop = (rows + bases) * row_flop(model.anatomy)
        seconds = flop / _USED / product_rate(model) + _RUN * (cells - skipped)
        return SweepEstimate(cells, skipped, flop, seconds, max(map(_bytes, tasks)), path)
    flop = sum(_module_flop(task, path) for task in tasks)
    passes = cells / _TOGETHER * model.identity.n_layers
    seconds = flop * _MODULES / product_rate(model) + _PASS * passes
    return SweepEstimate(cells, 0, flop, seconds, min(asked.budget, _module_bytes(tasks[0])), path)


def row_flop(anatomy: Anatomy) -> float:
    """Operations of one row in one layer, attention left out."""
    block = anatomy.blocks[0]
    weights, gated = block.attention, block.mlp.w_gate is not None
    projections = sum(w.numel() for w in (weights.w_q, weights.w_k, weights.w_v, weights.w_o))
    return 2.0 * (projections + (2 + gated) * block.mlp.n_neurons * anatomy.d_model)


def _base_rows(task: Task) -> int:
    """Rows times layers of the runs that a sweep starts from."""
    runs = 2 if task.put.how == "patch" else 1
    return runs * len(task.examples) * len(task.examples[0].base) * task.model.identity.n_layers


def _bytes(task: Task) -> int:
    return room_of(task).peak(int(plan_of(task).rows.sum()))


def _module_flop(task: Task, path: Path) -> float:
    """Operations of whole passes, or of passes from the changed layer on."""
    identity, cells = task.model.identity, task.cells
    weights = sum(parameter.numel() for parameter in task.model.module.parameters())
    share = (identity.n_layers - cells.layer) / identity.n_layers
    passes = float(share.sum()) if path == "blocks" else float(len(cells))
    return 2.0 * weights * passes * len(task.examples) * len(task.examples[0].base)


def _module_bytes(task: Task) -> int:
    identity, length = task.model.identity, len(task.examples[0].base)
    row = 12 * identity.d_model + 3 * identity.d_mlp + identity.vocabulary
    return 4 * length * row * min(64, len(task.cells))


def product_rate(model: Model) -> float:
    """Operations a second of one product of the model's own size, measured once."""
    if model not in _rates:
        width = model.identity.d_model
        a = torch.ones(_ROWS, width, device=model.device, dtype=model.dtype)
        b = torch.ones(width, 4 * width, device=model.device, dtype=model.dtype)
        best = min(_seconds(a, b) for _ in range(_TRIES))
        _rates[model] = 2.0 * a.numel() * b.shape[1] / best
    return _rates[model]


def _seconds(a: torch.Tensor, b: torch.Tensor) -> float:
    began = time.perf_counter()
    float((a @ b)[0, 0])  # reading one number waits for the device
    return max(time.perf_counter() - began, 1e-7)
