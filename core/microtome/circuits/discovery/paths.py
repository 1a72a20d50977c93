"""Path patching: what a metric owes to one chain of components, and to nothing beside it.

A sender's output is exchanged for that of another run as far as the first node of the path reads
it; what this node then writes differs, and the next node reads the difference; all else
stays as it was in the clean run, MLPs beside the path too.
Source: Wang et al., "Interpretability in the Wild" (2022); Goldowsky-Dill et al., "Localizing Model
Behavior with Path Patching" (2023).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypedDict, Unpack

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from microtome.bootstrap import ratio_band
from microtome.circuits.discovery.batches import Batch, batches
from microtome.circuits.discovery.faithful import expect_different
from microtome.circuits.discovery.measuring import measure
from microtome.circuits.discovery.replaced import run_replaced, written_replaced
from microtome.circuits.discovery.task import Task, expect_options
from microtome.errors import InputError
from microtome.interventions.sweeping.examples import Metrics
from microtome.jobs import Job, job_or_default
from microtome.models.model import Model
from microtome.models.small import small_on_one_thread
from microtome.prompts import Prompt, PromptPair
from microtome.records.edges import LOGITS, Edges
from microtome.records.paths import PatchedPaths, Path, Step, paths_of


class Options(TypedDict, total=False):
    """How paths are patched."""

    ablation: str  # resample, zero, mean or position mean
    over: Sequence[Prompt]  # what means are taken over
    seed: int  # of the bootstrap
    job: Job | None


@small_on_one_thread
def path_patching(
    model: Model,
    data: PromptPair | Sequence[PromptPair] | Prompt | Sequence[Prompt],
    paths: str | Path | Sequence[str | Path],
    metric: Metrics = None,
    **options: Unpack[Options],
) -> PatchedPaths:
    """What each path carries of a metric, and its share of what all paths carry together.

    A path is written ``input->a0.h1<v>->a2.h0<k>->logits``: each node reads the one before, a head
    by the sides named or by all three; ``a0.h1@4`` counts at position 4 alone. A path that does
    not end in ``logits`` ends at a receiver, behind which the model goes on freely. In place of the
    sender's output stands that of the corrupt prompt, zero, or a mean ``over`` prompts. The values
    of all paths need not add up: nodes answer to sums.
    Raises InputError for a path that the model does not have; else what ``discover_circuit`` does.
    """
    expect_options(options, Options)
    job, seed = job_or_default(options.get("job")), options.get("seed", 0)
    ablation, over = options.get("ablation", "resample"), options.get("over", ())
    task = Task.of(model, data, metric, ablation, over)
    wanted = paths_of(paths)
    for path in wanted:
        path.readers(task.edges)
    with torch.no_grad():
        whole, none, values = _measured(task, wanted, job)
    expect_different(whole, none)
    span = float(whole.mean() - none.mean())
    effect = (whole - values).mean(1)
    asked = {"id": "", "paths": [str(path) for path in wanted], "seed": seed, **task.told()}
    asked["beside the path"] = "as in the clean run, MLPs too"
    asked["id"] = _identity(asked)
    return PatchedPaths(
        paths=tuple(asked["paths"]),
        effect=effect,
        share=effect / span,
        band=_band(whole - values, whole - none, seed),
        values=values,
        whole=whole,
        none=none,
        metric=task.examples[0].metric.name(model),
        params=asked,
    )


def _measured(
    task: Task, paths: Sequence[Path], job: Job
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    edges, count = task.edges, len(task.examples)
    whole, none, values = np.empty(count), np.empty(count), np.empty((len(paths), count))
    done, total = 0, len(paths) * count
    for batch in batches(task, job):
        nothing = np.zeros_like(edges.exists)
        whole[batch.numbers] = measure(batch, [nothing], job, start=edges.n_layers)[0]
        none[batch.numbers] = measure(batch, [edges.exists], job)[0]
        for row, path in enumerate(paths):
            job.progress("Patching paths", done, total)
            values[row, batch.numbers] = _patched(batch, path, edges, job)
            done += len(batch)
    job.progress("Patching paths", total, total)
    return whole, none, values


def _patched(batch: Batch, path: Path, edges: Edges, job: Job) -> Float[np.ndarray, " example"]:
    """The metric of each example when the path carries the other run's values."""
    grounds, readers = batch.grounds, path.readers(edges)
    sender = edges.writer_names.index(path.steps[0].node)
    change = _only_at(grounds.other[:, sender] - grounds.clean[:, sender], path.steps[0], path)
    before = sender
    for step, into in zip(path.steps[1:], readers, strict=True):
        if step.node == LOGITS:
            break
        writer = edges.writer_names.index(step.node)
        new = written_replaced(
            _changed(batch, before, change),
            _mask(batch, [(before, reader) for reader in into]),
            writer,
            start=edges.layer_of(into[0]),
            job=job,
        )
        change, before = _only_at(new - grounds.clean[:, writer], step, path), writer
    ends = path.steps[-1].node == LOGITS
    last = [edges.n_readers - 1] if ends else np.flatnonzero(edges.exists[before]).tolist()
    rows = run_replaced(
        _changed(batch, before, change),
        torch.arange(len(batch)),
        _mask(batch, [(before, reader) for reader in last]),
        batch.places,
        start=edges.layer_of(last[0]),
        job=job,
    )
    return batch.readout.values(rows, np.arange(len(batch)))


def _changed(batch: Batch, writer: int, change: Tensor) -> Any:
    """Grounds whose other run differs from the clean one in what one writer adds."""
    other = batch.grounds.clean.clone()
    other[:, writer] += change
    return replace(batch.grounds, other=other)


def _mask(batch: Batch, removed: Sequence[tuple[int, int]]) -> Tensor:
    edges = batch.grounds.edges
    mask = torch.zeros(edges.exists.shape, dtype=torch.bool, device=batch.grounds.clean.device)
    for edge in removed:
        mask[edge] = True
    return mask.expand(len(batch), -1, -1)


def _only_at(change: Float[Tensor, "example position d_model"], step: Step, path: Path) -> Tensor:
    if step.at is None:
        return change
    length = change.shape[1]
    if not -length <= step.at < length:
        raise InputError(
            f"The path {path} names position {step.at}, but an example has {length} tokens.",
            f"Positions are 0 to {length - 1}, or -1 for the last.",
        )
    only = torch.zeros_like(change)
    only[:, step.at] = change[:, step.at]
    return only


def _band(
    lost: Float[np.ndarray, "path example"], all_lost: Float[np.ndarray, " example"], seed: int
) -> Float[np.ndarray, "2 path"] | None:
    """The interval of the shares over examples; None for one."""
    return None if len(all_lost) < 2 else ratio_band(lost.T, all_lost[:, None], seed)


def _identity(asked: dict[str, Any]) -> str:
    return f"paths-{hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:12]}"
