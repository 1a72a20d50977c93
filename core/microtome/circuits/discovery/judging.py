"""Is a circuit complete, is all of it needed, and would other data have given another one?"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any, TypedDict, Unpack

import numpy as np
import torch
from jaxtyping import Bool, Float

from microtome.circuits.discovery.batches import batches
from microtome.circuits.discovery.comparing import overlap, rank_correlation
from microtome.circuits.discovery.discover import discover_circuit
from microtome.circuits.discovery.faithful import best, edges_and_scores, expect_different
from microtome.circuits.discovery.measuring import measure
from microtome.circuits.discovery.task import Task, expect_options
from microtome.errors import InputError
from microtome.interventions.sweeping.examples import Metrics
from microtome.jobs import Job, QuietPart, job_or_default
from microtome.models.model import Model
from microtome.models.small import small_on_one_thread
from microtome.prompts import Prompt, PromptPair
from microtome.records.circuit import Circuit
from microtome.records.edges import INPUT, Edges
from microtome.records.judgement import Judgement, Stability

Mask = Bool[np.ndarray, "writer reader"]


class Options(TypedDict, total=False):
    """How a circuit is judged."""

    share: float  # of all edges: the size of the circuit, 0.05
    signed: bool  # best scores first, not largest ones
    draws: int  # sets of nodes that are taken out, 5
    seed: int  # of the draws
    ablation: str  # resample, zero, mean or position mean
    over: Sequence[Prompt]  # what means are taken over
    job: Job | None


class Splitting(TypedDict, total=False):
    """How stability is measured."""

    share: float  # of all edges: the size of the circuits, 0.05
    signed: bool  # best scores first, not largest ones
    splits: int  # how many times the data is halved, 5
    seed: int  # of the splits
    ablation: str
    over: Sequence[Prompt]
    steps: int  # of integrated gradients
    tau: float  # of ACDC
    job: Job | None


@small_on_one_thread
def judge_circuit(
    model: Model,
    circuit: Circuit,
    data: PromptPair | Sequence[PromptPair] | Prompt | Sequence[Prompt],
    metric: Metrics = None,
    **options: Unpack[Options],
) -> Judgement:
    """Completeness and minimality of the best ``share`` of a discovered circuit's edges.

    Sets K of the circuit's heads and MLPs are drawn by ``seed``, each node with the chance 1/2, the
    first set empty; a node that is taken out loses all its out-edges. Complete: the circuit without
    K does as the model without K. Minimal: every node is worth something on top of some K. Values
    are faithfulness, 1 the whole model and 0 no edge.
    A circuit by position is judged by the sums of its edges.
    Raises InputError for a circuit of another model or without any way from the input
    to the logits at this size; else what ``discover_circuit`` raises.
    Source: Wang et al., "Interpretability in the Wild" (2022), section 4.
    """
    expect_options(options, Options)
    job, seed, draws = job_or_default(options.get("job")), options.get("seed", 0), _draws(options)
    share, signed = _share(options.get("share", 0.05)), bool(options.get("signed", False))
    task = Task.of(
        model, data, metric, options.get("ablation", "resample"), options.get("over", ())
    )
    edges, scores = edges_and_scores(task, circuit)
    kept = best(edges, scores, share, signed=signed)
    nodes = _nodes(edges, kept)
    removed = np.random.default_rng(seed).random((draws, len(nodes))) < 0.5
    removed[0] = False
    asked = {
        "id": "", "method": circuit.metadata.get("method"), "share": share, "signed": signed,
        "draws": draws, "seed": seed, **task.told(),
    }  # fmt: skip
    asked["id"] = _identity("judgement", asked, scores)
    with torch.no_grad():
        found = _tested(task, kept, nodes, removed, job)
    names = tuple(edges.writer_names[node] for node in nodes)
    return Judgement(names, removed, *found, params=asked)


@small_on_one_thread
def stability(
    model: Model,
    data: Sequence[PromptPair] | Sequence[Prompt],
    metric: Metrics = None,
    method: str = "two-point",
    **options: Unpack[Splitting],
) -> Stability:
    """How alike the circuits are that a method finds on the two halves of the data.

    The methods draw nothing at random: what may differ is the data. It is halved ``splits`` times,
    as ``seed`` draws it, a circuit is found on either half, and the two are compared.
    Raises InputError for fewer than two examples; else what ``discover_circuit`` raises.
    """
    expect_options(options, Splitting)
    job, splits = job_or_default(options.get("job")), _splits(options)
    seed = options.get("seed", 0)
    share, signed = _share(options.get("share", 0.05)), bool(options.get("signed", False))
    told: Any = {
        name: options[name] for name in ("ablation", "over", "steps", "tau") if name in options
    }
    task = Task.of(model, data, metric, told.get("ablation", "resample"), told.get("over", ()))
    count = len(task.examples)
    if count < 2:
        raise InputError("One example cannot be halved.", "Give two or more.")
    draw, found = np.random.default_rng(seed), []
    for number in range(splits):
        halves = np.array_split(draw.permutation(count), 2)
        circuits = []
        for at, half in enumerate(halves):
            job.progress("Halving the data", 2 * number + at, 2 * splits)
            mine = [data[row] for row in half], _of(metric, half)
            circuits.append(discover_circuit(model, *mine, method, job=QuietPart(job), **told))
        found.append(_alike(task, circuits, share, signed=signed))
    job.progress("Halving the data", 2 * splits, 2 * splits)
    asked = {
        "id": "", "method": method, "share": share, "signed": signed, "splits": splits,
        "seed": seed, **{k: v for k, v in told.items() if k in ("steps", "tau")}, **task.told(),
    }  # fmt: skip
    asked["id"] = _identity("stability", asked, np.zeros(0))
    correlation, both = np.array(found).T
    return Stability(correlation, both, asked)


def _alike(
    task: Task, circuits: Sequence[Circuit], share: float, *, signed: bool
) -> tuple[float, float]:
    edges = task.edges
    scores = [edges_and_scores(task, circuit)[1] for circuit in circuits]
    kept = [best(edges, each, share, signed=signed) for each in scores]
    return rank_correlation(*(each[edges.exists] for each in scores)), overlap(*kept)


def _of(metric: Metrics, rows: np.ndarray) -> Any:
    """The metrics of some examples."""
    if metric is None or not isinstance(metric, Sequence):
        return metric
    return [metric[row] for row in rows]


def _nodes(edges: Edges, kept: Mask) -> list[int]:
    """The writers of a circuit but for the input. Raises InputError for a circuit of none."""
    if not kept.any():
        raise InputError(
            "No way leads from the input to the logits at this size, so that there is nothing to "
            "judge.",
            "Give a larger share of the edges.",
        )
    first = edges.writer_names.index(INPUT)
    return [int(node) for node in np.flatnonzero(kept.any(1)) if node != first]


def _tested(
    task: Task, kept: Mask, nodes: Sequence[int], removed: Bool[np.ndarray, "draw node"], job: Job
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Faithfulness of circuit and model without each draw, and what each node is worth then."""
    everything = task.edges.exists
    rows = np.array(nodes, dtype=np.int64)
    masks = [everything, np.zeros_like(everything)]
    for gone in removed:
        masks += [_without(kept, rows[gone]), _without(everything, rows[gone])]
    tried = [(draw, at) for draw, at in np.argwhere(~removed)]
    masks += [_without(kept, np.append(rows[removed[draw]], rows[at])) for draw, at in tried]
    values = _values(task, masks, job)
    whole, none = values[0], values[1]
    expect_different(whole, none)
    shares = (values.mean(1) - none.mean()) / (whole.mean() - none.mean())
    circuit, model = shares[2 : 2 + 2 * len(removed) : 2], shares[3 : 2 + 2 * len(removed) : 2]
    effects = np.full(removed.shape, np.nan)
    for (draw, at), value in zip(tried, shares[2 + 2 * len(removed) :], strict=True):
        effects[draw, at] = circuit[draw] - value
    return circuit, model, effects


def _without(mask: Mask, writers: np.ndarray) -> Mask:
    """Edges without all that some writers write."""
    left = mask.copy()
    left[writers] = False
    return left


def _values(task: Task, masks: Sequence[Mask], job: Job) -> Float[np.ndarray, "circuit example"]:
    found = np.empty((len(masks), len(task.examples)))
    done, total = 0, len(masks) * len(task.examples)
    for batch in batches(task, job):
        for number, mask in enumerate(masks):
            job.progress("Judging the circuit", done, total)
            found[number, batch.numbers] = measure(batch, [task.edges.exists & ~mask], job)[0]
            done += len(batch)
    job.progress("Judging the circuit", total, total)
    return found


def _draws(options: Options) -> int:
    draws: Any = options.get("draws", 5)
    if not isinstance(draws, int) or draws < 1:
        raise InputError(f"The number of draws is {draws!r}.", "Give 1 or more, for example 5.")
    return draws


def _splits(options: Splitting) -> int:
    splits: Any = options.get("splits", 5)
    if not isinstance(splits, int) or splits < 1:
        raise InputError(
            f"The data is to be halved {splits!r} times.", "Give 1 or more, for example splits=5."
        )
    return splits


def _share(share: Any) -> float:
    if not isinstance(share, int | float | np.number) or not 0 < share <= 1:
        raise InputError(
            f"The share of edges is {share!r}.", "Give one above 0 and up to 1, for example 0.05."
        )
    return float(share)


def _identity(kind: str, asked: dict[str, Any], scores: np.ndarray) -> str:
    told = json.dumps(asked, sort_keys=True).encode() + np.nan_to_num(scores).tobytes()
    return f"{kind}-{hashlib.sha256(told).hexdigest()[:12]}"
