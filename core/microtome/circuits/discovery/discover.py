"""Discovery: a score for every edge of a model on a task, by the method that is chosen."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict, Unpack

import numpy as np

from microtome.circuits.discovery import gradients
from microtome.circuits.discovery.acdc import acdc
from microtome.circuits.discovery.exact import exact_scores
from microtome.circuits.discovery.gradients import Way, gradient_scores
from microtome.circuits.discovery.methods import METHODS, SIGN, Method
from microtome.circuits.discovery.partial import Partials
from microtome.circuits.discovery.routes import route_scores
from microtome.circuits.discovery.task import Task, expect_options
from microtome.errors import InputError
from microtome.interventions.sweeping.examples import Metrics
from microtome.jobs import Job, job_or_default
from microtome.models.model import Model
from microtome.prompts import Prompt, PromptPair
from microtome.records.circuit import Circuit
from microtome.records.discovery import DISCOVERY


class Options(TypedDict, total=False):
    """How a circuit is looked for."""

    ablation: str  # resample, zero, mean or position mean
    over: Sequence[Prompt]  # what means are taken over
    steps: int  # of integrated gradients, 5
    tau: float  # of ACDC, 0.01
    job: Job | None


def discover_circuit(
    model: Model,
    data: PromptPair | Sequence[PromptPair] | Prompt | Sequence[Prompt],
    metric: Metrics = None,
    method: str = "two-point",
    **options: Unpack[Options],
) -> Circuit:
    """Every edge between components of a model with its score on a task, summed over positions.

    ``data`` are pairs of a clean and a corrupt prompt of as many tokens, or single prompts where
    nothing of a corrupt prompt is put in place (``ablation`` zero, mean or position mean; the
    means are ``over`` given prompts). ``metric`` is one metric, or one for each example. Methods
    are two-point, eap, eap-ig and eap-ig-activations (with ``steps``), clean-corrupt, routes,
    exact, and acdc (with ``tau``). Positive scores: the clean content raises the metric. In
    ``metadata`` stand method, sign, scale, ablation, metric, prompts and settings.

    Partial circuits are handed out by ``job.partial`` as ``discovery``, about five a second: the
    means over the examples done, or the edges done with NaN for those not tried; their metadata
    have ``partial`` and how far the work is (``examples done``, ``edges done``).

    Raises InputError for a method or an ablation that is none, PromptError for pairs of unequal
    length, MetricError for a metric that the method cannot use, SiteMissing for models whose stream
    is no sum of what components write, EditError for means without prompts.
    """
    job = job_or_default(options.get("job"))
    steps, tau = options.get("steps", 5), options.get("tau", 0.01)
    started = time.perf_counter()
    task = expect_possible(model, data, metric, method, **options)
    told = _metadata(task, method, METHODS[method])
    told |= {"steps": steps} if "ig" in method else {}
    told |= {"tau": tau} if method == "acdc" else {}

    def circuit_of(scores: np.ndarray, more: Mapping[str, Any]) -> Circuit:
        return task.edges.as_circuit(scores, {**told, **more})

    scores, found = _scores(task, method, steps, tau, Partials(job, DISCOVERY, circuit_of))
    circuit = circuit_of(scores, found)
    circuit.metadata["seconds"] = time.perf_counter() - started
    return circuit


def expect_possible(
    model: Model,
    data: PromptPair | Sequence[PromptPair] | Prompt | Sequence[Prompt],
    metric: Metrics = None,
    method: str = "two-point",
    **options: Unpack[Options],
) -> Task:
    """The task of a search, after all that ``discover_circuit`` would refuse; raises the same."""
    expect_options(options, Options)
    steps, tau = options.get("steps", 5), options.get("tau", 0.01)
    chosen = _method(method)
    ablation, over = options.get("ablation", "resample"), options.get("over", ())
    task = Task.of(model, data, metric, ablation, over)
    _expect_usable(task, method, chosen, steps, tau)
    task.expect_means()
    if chosen.local:
        gradients.expect_slope(task, job_or_default(options.get("job")))
    return task


def _method(name: Any) -> Method:
    if not isinstance(name, str) or name not in METHODS:
        raise InputError(f"The method is {name!r}.", f"Choose one of {', '.join(METHODS)}.")
    return METHODS[name]


def _expect_usable(task: Task, name: str, method: Method, steps: Any, tau: Any) -> None:
    if method.pairs and task.ablation != "resample":
        raise InputError(
            f"The method {name} lies between a clean and a corrupt run, but the ablation is "
            f"{task.ablation}.",
            "Give pairs and ablation='resample', or take eap, eap-ig, exact or acdc.",
        )
    if not isinstance(steps, int | np.integer) or steps < 1:
        raise InputError(
            f"The number of steps is {steps!r}.", "Give 1 or more, for example steps=5."
        )
    if not isinstance(tau, int | float | np.number) or not 0 < tau < np.inf:
        raise InputError(f"τ is {tau!r}.", "Give a number above 0, for example tau=0.01.")


def _scores(
    task: Task, method: str, steps: int, tau: float, partials: Partials
) -> tuple[np.ndarray, dict[str, Any]]:
    ways: Mapping[str, Callable[[], Way]] = {
        "two-point": lambda: gradients.two_point,
        "eap": lambda: gradients.at_clean,
        "clean-corrupt": lambda: gradients.at_both_ends,
        "eap-ig": lambda: gradients.along_inputs(steps),
        "eap-ig-activations": lambda: gradients.along_activations(steps),
    }
    job = partials.job
    if method in ways:
        return gradient_scores(task, ways[method](), job, partials=partials), {}
    if method == "routes":
        return route_scores(task, job, partials=partials), {}
    if method == "exact":
        return exact_scores(task, job, partials=partials), {}
    left = acdc(task, tau, job, partials=partials)
    scores = np.where(left.kept, left.rise, 0.0)
    return scores, {"tried": left.tried, "value": left.value, "kept": int(left.kept.sum())}


def _metadata(task: Task, name: str, method: Method) -> dict[str, Any]:
    return {
        "method": name,
        "title": method.title,
        "scale": method.scale,
        "sign": SIGN if method.signed else "never negative: larger matters more",
        "aggregated": True,
        **task.told(),
    }
