"""How much of a behaviour a circuit alone keeps, and how well scores find a known circuit."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypedDict, Unpack

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from microtome.bootstrap import ratio_band
from microtome.circuits.discovery.batches import batches
from microtome.circuits.discovery.comparing import aggregated
from microtome.circuits.discovery.measuring import measure
from microtome.circuits.discovery.partial import Partials
from microtome.circuits.discovery.task import Task, expect_budget, expect_options
from microtome.errors import InputError, expect
from microtome.interventions.sweeping.examples import Metrics
from microtome.interventions.sweeps import BUDGET
from microtome.jobs import Job, job_or_default
from microtome.models.model import Model
from microtome.models.small import small_on_one_thread
from microtome.prompts import Prompt, PromptPair
from microtome.records.circuit import Circuit
from microtome.records.edges import Edges, edges_of, scores_of
from microtome.records.faithfulness import FAITHFULNESS, Faithfulness
from microtome.records.positions import SUMMED

# Of MIB's evaluation (Mueller et al. 2025), which its areas are taken over.
SIZES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


class Options(TypedDict, total=False):
    """How circuits are tested."""

    sizes: Sequence[float]  # rising shares of all edges
    ablation: str  # resample, zero, mean or position mean
    over: Sequence[Prompt]  # what means are taken over
    seed: int  # of the bootstrap
    budget: int  # bytes beside the model, as sweeps have
    job: Job | None


@small_on_one_thread
def faithfulness(
    model: Model,
    circuit: Circuit,
    data: PromptPair | Sequence[PromptPair] | Prompt | Sequence[Prompt],
    metric: Metrics = None,
    **options: Unpack[Options],
) -> Faithfulness:
    """What the best edges of a discovered circuit keep of a metric, for each share of all edges.

    All other edges carry the corrupt run's values (or zero, or means ``over`` prompts). Edges that
    lie on no way from the input to the logits are left out. ``seed`` draws the bootstrap.
    ``budget`` is in bytes beside the model, whatever the number of examples. Partial curves are
    handed out by ``job.partial`` as ``faithfulness``, about five a second: size by size over the
    first examples, then over more and more of them; what is not known yet is NaN, and ``params``
    have ``partial``, ``sizes done`` and ``examples done``.
    Of a circuit by position the edges' sums over positions are tested, as an edge is taken away at
    all positions at once; ``params`` have ``summed`` then.
    Raises InputError for a circuit of another model, and sizes that are none; else what
    ``discover_circuit`` raises.
    """
    expect_options(options, Options)
    job, seed = job_or_default(options.get("job")), options.get("seed", 0)
    ablation, over = options.get("ablation", "resample"), options.get("over", ())
    budget = options.get("budget", BUDGET)
    expect_budget(budget)
    task = replace(Task.of(model, data, metric, ablation, over), budget=budget)
    circuit = aggregated(circuit)
    edges, scores = edges_and_scores(task, circuit)
    shares = _sizes(options.get("sizes", SIZES))
    by_sign = [best(edges, scores, share, signed=True) for share in shares]
    by_size = [best(edges, scores, share, signed=False) for share in shares]
    masks = [edges.exists, np.zeros_like(edges.exists)]
    masks += [mask for both in zip(by_sign, by_size, strict=True) for mask in both]
    asked = {
        "id": "",
        "method": circuit.metadata.get("method"),
        "sizes": shares.tolist(),
        "seed": seed,
        **({SUMMED: circuit.metadata[SUMMED]} if SUMMED in circuit.metadata else {}),
        **task.told(),
    }
    asked["id"] = _identity(asked, scores)
    counts = np.array([int(mask.sum()) for mask in by_sign])
    name = task.examples[0].metric.name(model)

    def record(values: np.ndarray, more: Mapping[str, Any]) -> Faithfulness:
        return _record(values, shares, counts, name, {**asked, **more})

    with torch.no_grad():
        values = _kept(task, masks, Partials(job, FAITHFULNESS, record))
    expect_different(values[0], values[1])
    return replace(record(values, {}), band=_band(values[2::2], values[0], values[1], seed))


def _record(
    values: Float[np.ndarray, "circuit example"],
    shares: Float[np.ndarray, " size"],
    counts: Int[np.ndarray, " size"],
    metric: str,
    params: Mapping[str, Any],
) -> Faithfulness:
    """The curves of values of all edges, of none, and of both orders size by size."""
    whole, none, signed, sized = values[0], values[1], values[2::2], values[3::2]
    curve, other = (_share(part, whole, none) for part in (signed, sized))
    return Faithfulness(
        sizes=shares,
        counts=counts,
        faithfulness=curve,
        by_magnitude=other,
        cpr=float(np.trapezoid(curve, shares)),
        cmd=float(np.trapezoid(np.abs(1 - other), shares)),
        values=signed,
        whole=whole,
        none=none,
        metric=metric,
        params=params,
    )


def best(
    edges: Edges, scores: Float[np.ndarray, "writer reader"], share: float, *, signed: bool
) -> Bool[np.ndarray, "writer reader"]:
    """The edges of the highest scores, so many of all, that lie on a way from input to logits."""
    count = int(share * edges.count + 1e-9)  # a share of k/n is k of n edges
    order = scores[edges.exists] if signed else np.abs(scores[edges.exists])
    chosen = np.zeros(edges.count, dtype=np.bool_)
    chosen[np.argsort(-order, kind="stable")[:count]] = True
    mask = np.zeros_like(edges.exists)
    mask[edges.exists] = chosen
    return edges.connected(mask)


def edges_and_scores(
    task: Task, circuit: Circuit
) -> tuple[Edges, Float[np.ndarray, "writer reader"]]:
    """The edges of a task's model, and a circuit's scores of them, summed over positions.

    Raises InputError for a circuit of another model or another kind.
    """
    whole = aggregated(circuit)
    edges, own = task.edges, edges_of(whole)
    if own == edges:
        return edges, scores_of(whole)
    told = (
        f"of {own.n_layers} layers and {own.n_heads} heads, and this one has {edges.n_layers} and "
        f"{edges.n_heads}."
    )
    if (own.n_layers, own.n_heads) == (edges.n_layers, edges.n_heads):
        told = "of the same size, but only one of the two has parallel blocks."
    raise InputError(f"The circuit is of a model {told}", "Give the circuit of this model.")


def _sizes(sizes: Sequence[float]) -> Float[np.ndarray, " size"]:
    way_out = "Give rising shares of all edges, above 0 and up to 1."
    expect(sizes, (Sequence, np.ndarray), "sizes", "a list of shares", way_out)
    shares = np.asarray(sizes, dtype=np.float64)
    fine = shares.ndim == 1 and len(shares) and bool((shares > 0).all() and (shares <= 1).all())
    if not fine or bool((np.diff(shares) <= 0).any()):
        raise InputError(f"The sizes are {list(sizes)}.", way_out)
    return shares


def _kept(
    task: Task, masks: Sequence[np.ndarray], partials: Partials
) -> Float[np.ndarray, "circuit example"]:
    """The metric of every example when only some edges are left."""
    edges, job = task.edges, partials.job
    removed = [edges.exists & ~mask for mask in masks]
    found = np.full((len(masks), len(task.examples)), np.nan)
    done, total = 0, len(removed) * len(task.examples)
    for batch in batches(task, job):
        for number, mask in enumerate(removed):
            job.progress("Testing circuits", done, total)
            found[number, batch.numbers] = measure(batch, [mask], job)[0]
            done += len(batch)
            if number > 2 and number % 2 and done < total:  # a size has its two values
                known = np.isfinite(found)
                partials.tell(
                    found.copy,
                    sizes_done=int(known.any(1).sum()) // 2 - 1,
                    sizes=len(masks) // 2 - 1,
                    examples_done=int(known.all(0).sum()),
                    examples=len(task.examples),
                )
    job.progress("Testing circuits", total, total)
    return found


def _share(
    values: Float[np.ndarray, "size example"], whole: np.ndarray, none: np.ndarray
) -> Float[np.ndarray, " size"]:
    """The ratio of the means over the examples that have a value."""
    there = np.isfinite(values)
    with np.errstate(divide="ignore", invalid="ignore"):
        left = np.where(there, values - none, 0.0).sum(1)
        return np.asarray(left / np.where(there, whole - none, 0.0).sum(1))


def expect_different(whole: np.ndarray, none: np.ndarray) -> None:
    """Raise InputError where there is nothing to keep and nothing to share out."""
    if abs(float(whole.mean() - none.mean())) < 1e-6:
        raise InputError(
            "The whole model and the empty circuit give the same value of the metric: there is "
            "nothing to share out.",
            "Take prompts and a metric that the corrupt prompts change.",
        )


def _band(
    values: np.ndarray, whole: np.ndarray, none: np.ndarray, seed: int
) -> Float[np.ndarray, "2 size"] | None:
    """The interval of the share that is kept, over examples; None for one."""
    if len(whole) < 2:
        return None
    return ratio_band((values - none).T, (whole - none)[:, None], seed).astype(np.float32)


def _identity(asked: dict[str, Any], scores: np.ndarray) -> str:
    told = json.dumps(asked, sort_keys=True).encode() + np.nan_to_num(scores).tobytes()
    return f"faithfulness-{hashlib.sha256(told).hexdigest()[:12]}"
