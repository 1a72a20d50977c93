"""A circuit for each slice of a suite."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from microtome.circuits.discovery.discover import discover_circuit
from microtome.errors import InputError, PromptError, expect
from microtome.jobs import Job, job_or_default
from microtome.metrics import LogitDifference, LogitOverMean, Metric
from microtome.models.given import expect_model
from microtome.models.model import Model
from microtome.models.small import small_on_one_thread
from microtome.prompts import PromptPair
from microtome.records.analysis import Analysis
from microtome.records.circuit import Circuit
from microtome.records.edges import edges_of, scores_of
from microtome.records.slice_circuits import SliceCircuits, slice_circuits_analysis
from microtome.records.suite import Case, Suite

LIMIT = 50  # cases of a slice


@small_on_one_thread
def slice_circuits(
    model: Model,
    suite: Suite,
    slices: Sequence[str] | None = None,
    *,
    method: str = "two-point",
    limit: int | None = LIMIT,
    job: Job | None = None,
    **options: Any,
) -> Analysis:
    """The circuit of each slice, of those named or of all, and what they were made from.

    A circuit is over the slice's cases with a corrupt prompt of as many tokens, the first
    ``limit`` of them; the metric of each is answer minus wrong answer, or the answer's logit over
    the mean. ``method`` and ``options`` are those of ``discover_circuit``. Partial results are
    handed out by ``job.partial`` as ``slice-circuits``, after each slice.
    ``microtome.records.slice_circuits.slice_circuits_of`` reads the result, and
    ``microtome.suites.comparing.compare_slices`` tells two slices of it apart.
    Raises InputError for a slice that is none, PromptError for one without such a pair, and what
    ``discover_circuit`` raises.
    """
    expect_model(model)
    expect(suite, Suite, "suite", "a Suite", "Load one with load_suite.")
    names = _names(suite, slices)
    job, started = job_or_default(job), time.perf_counter()
    listed = [paired(model, suite.of_slice(name), name)[:limit] for name in names]
    rows: list[np.ndarray] = []
    for name, cases in zip(names, listed, strict=True):
        job.progress(f"Circuit of {name}", len(rows), len(names))
        pairs = [PromptPair(case.prompt, case.corrupt) for case in cases if case.corrupt]
        metrics = [metric_of(case) for case in cases]
        circuit = discover_circuit(model, pairs, metrics, method, job=job, **options)
        rows.append(np.where(edges_of(circuit).exists, scores_of(circuit), np.nan))
        told = _told(suite, circuit, names, limit)
        done = len(rows) == len(names)
        found = SliceCircuits(
            tuple(names[: len(rows)]),
            tuple(len(each) for each in listed[: len(rows)]),
            np.stack(rows),
            {**told, "complete": done, "seconds": time.perf_counter() - started},
        )
        if not done:
            job.partial("slice-circuits", slice_circuits_analysis(found))
    return slice_circuits_analysis(found)


def _names(suite: Suite, slices: Sequence[str] | None) -> list[str]:
    if slices is None:
        return list(suite.slices) or ["all"]
    example = "Write for example slices=['task: name']."
    expect(slices, (tuple, list), "slices", "a list of names", example)
    if not slices:
        raise InputError("No slice is named.", example)
    return list(slices)


def metric_of(case: Case) -> Metric:
    """What is measured on a case."""
    if case.wrong is None:
        return LogitOverMean(case.answer)
    return LogitDifference(case.answer, case.wrong)


def paired(model: Model, suite: Suite, name: str) -> list[Case]:
    """The cases that have a corrupt prompt of as many tokens. Raises PromptError without any."""
    found = [
        case
        for case in suite.cases
        if case.corrupt is not None
        and len(model.tokenize(case.prompt)) == len(model.tokenize(case.corrupt))
    ]
    if not found:
        raise PromptError(
            f"No case of the slice {name} has a corrupt prompt of as many tokens.",
            "Give cases a corrupt prompt: the same with another answer.",
        )
    return found


def _told(
    suite: Suite, circuit: Circuit, names: Sequence[str], limit: int | None
) -> dict[str, Any]:
    """What was asked, as plain JSON."""
    of_one = ("prompts", "corrupt", "metric", "metrics", "read_at", "seconds", "kept", "tried",
              "value")  # fmt: skip
    told = {key: held for key, held in circuit.metadata.items() if key not in of_one}
    told |= {"suite": suite.digest, "suite_name": suite.name, "asked": list(names), "limit": limit}
    text = json.dumps(told, sort_keys=True, default=str)
    return {**told, "id": f"slice-circuits-{hashlib.sha256(text.encode()).hexdigest()[:12]}"}
