"""How much of a metric the best units of a circuit keep alone, size by size, beside random ones."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from microtome.circuits.asking import Subject
from microtome.circuits.discovery.faithful import expect_different
from microtome.errors import InputError, expect
from microtome.jobs import Job, job_or_default
from microtome.metrics import LinearMetric
from microtome.models.model import Model
from microtome.prompts import ImageInput
from microtome.records.circuit import UNITS, Circuit
from microtome.records.faithfulness import Faithfulness
from microtome.records.units import Unit
from microtome.vision.alone import Reference, layers_of, metric_with
from microtome.vision.circuit import Seen

SIZES = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0)
DRAWS = 10  # random circuits of each size
RANDOM = "random"  # in params: what they keep, a list a size


def channel_faithfulness(
    model: Model,
    circuit: Circuit,
    subject: Subject,
    metric: LinearMetric | None = None,
    *,
    sizes: Sequence[float] = SIZES,
    references: Sequence[ImageInput] = (),
    seed: int = 0,
    job: Job | None = None,
) -> Faithfulness:
    """What the best units of a circuit of channels keep of a metric, for shares of all units.

    All other units of the circuit's layers are replaced: for a pair by the corrupt image's values,
    else by their mean over ``references``, or by zero without any. ``params["random"]`` holds for
    each size what ten random sets of as many units keep (drawn by ``seed``), ``params["how"]``
    what replaced units. Raises InputError for a circuit of another kind, and what
    ``channel_graph`` raises.
    """
    expect(circuit, Circuit, "circuit", "a Circuit", "Make one with channel_graph.")
    layers, shares = layers_of(circuit), _shares(sizes)
    job = job_or_default(job)
    seen = Seen.of(model, subject, metric, job)
    widths = [seen.sight.layer(name).n_units for name in layers]
    scores = _scores(circuit, layers, widths)
    choices, counts = _choices(scores, shares, np.random.default_rng(seed))
    job.progress("Testing circuits", 0, 1)
    reference = Reference.for_seen(seen, layers, references, job)
    values = metric_with(seen, _by_layer(choices, layers, widths), reference, job=job)
    job.progress("Testing circuits", 1, 1)
    whole, none = values[:1], values[1:2]
    expect_different(whole, none)
    kept = ((values[2:] - none) / (whole - none)).reshape(len(shares), 2 + DRAWS)
    asked: dict[str, Any] = {
        "id": "",
        "method": circuit.metadata["method"],
        "sizes": shares.tolist(),
        "seed": seed,
        "of": "units",
        "how": f"others {reference.how}",
        "prompt": circuit.metadata.get("prompt"),
        "corrupt": circuit.metadata.get("corrupt"),
        RANDOM: kept[:, 2:].tolist(),
    }
    asked["id"] = _identity(asked, scores)
    return Faithfulness(
        sizes=shares,
        counts=counts,
        faithfulness=kept[:, 0],
        by_magnitude=kept[:, 1],
        cpr=float(np.trapezoid(kept[:, 0], shares)),
        cmd=float(np.trapezoid(np.abs(1 - kept[:, 1]), shares)),
        values=values[2:].reshape(len(shares), -1)[:, :1],
        whole=whole,
        none=none,
        metric=seen.name,
        params=asked,
    )


def _shares(sizes: Sequence[float]) -> Float[np.ndarray, " size"]:
    shares = np.asarray(sizes, dtype=np.float64)
    fine = shares.ndim == 1 and len(shares) and bool(((shares > 0) & (shares <= 1)).all())
    if not fine or bool((np.diff(shares) <= 0).any()):
        raise InputError(
            f"The sizes are {sizes}.", "Give rising shares of all units, above 0 and up to 1."
        )
    return shares


def _scores(
    circuit: Circuit, layers: Sequence[str], widths: Sequence[int]
) -> Float[np.ndarray, " unit"]:
    """The score of every unit of the layers; 0 for those that the circuit left out."""
    found = {name: np.zeros(width) for name, width in zip(layers, widths, strict=True)}
    for row, kind in enumerate(circuit.node_kind):
        if kind in UNITS:
            unit = Unit.parse(circuit.node_id[row])
            found[unit.layer][unit.index] = circuit.node_score[row]
    return np.concatenate(list(found.values()))


def _choices(
    scores: Float[np.ndarray, " unit"], shares: Float[np.ndarray, " size"], rng: np.random.Generator
) -> tuple[Bool[np.ndarray, "row unit"], Int[np.ndarray, " size"]]:
    """All, none, and for each size the best by sign, by size of the score, and random ones."""
    counts = np.maximum(1, np.floor(shares * len(scores) + 1e-9)).astype(np.int64)
    by_sign, by_size = (np.argsort(-each, kind="stable") for each in (scores, np.abs(scores)))
    rows = [np.ones(len(scores), bool), np.zeros(len(scores), bool)]
    for count in counts:
        orders = [by_sign, by_size, *(rng.permutation(len(scores)) for _ in range(DRAWS))]
        for order in orders:
            row = np.zeros(len(scores), bool)
            row[order[:count]] = True
            rows.append(row)
    return np.stack(rows), counts


def _by_layer(
    choices: Bool[np.ndarray, "row unit"], layers: Sequence[str], widths: Sequence[int]
) -> dict[str, Tensor]:
    parts = np.split(choices, np.cumsum(widths)[:-1], axis=1)
    return {name: torch.as_tensor(part) for name, part in zip(layers, parts, strict=True)}


def _identity(asked: dict[str, Any], scores: np.ndarray) -> str:
    told = json.dumps(asked, sort_keys=True).encode() + np.nan_to_num(scores).tobytes()
    return f"faithfulness-{hashlib.sha256(told).hexdigest()[:12]}"
