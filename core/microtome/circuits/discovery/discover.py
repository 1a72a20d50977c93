"""Discovery: a score for every edge of a model on a task, by the method that is chosen."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypedDict, Unpack

import numpy as np

from microtome.circuits.discovery import gradients
from microtome.circuits.discovery.acdc import acdc
from microtome.circuits.discovery.exact import exact_scores
from microtome.circuits.discovery.gradients import Way, gradient_scores
from microtome.circuits.discovery.methods import METHODS, SIGN, Method
from microtome.circuits.discovery.partial import Partials
from microtome.circuits.discovery.routes import route_scores
from microtome.circuits.discovery.task import Task, expect_budget, expect_options, known_ablation
from microtome.errors import InputError, expect
from microtome.interventions.sweeping.examples import Metrics
from microtome.interventions.sweeps import BUDGET
from microtome.jobs import Job, job_or_default
from microtome.models.model import Model
from microtome.models.small import small_on_one_thread
from microtome.prompts import Prompt, PromptPair
from microtome.records.circuit import Circuit
from microtome.records.discovery import DISCOVERY
from microtome.records.made import stamped
from microtome.records.positions import PositionedScores


class Options(TypedDict, total=False):
    """How a circuit is looked for."""

    ablation: str  # resample, zero, mean or position mean
    over: Sequence[Prompt]  # what means are taken over
    steps: int  # of integrated gradients, 5
    tau: float  # of ACDC, 0.01
    budget: int  # bytes beside the model, as sweeps have
    by_position: bool  # keep the positions apart, of examples of one length
    job: Job | None


@small_on_one_thread
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

    ``budget`` is in bytes beside the model, whatever the number of examples: as many go together as
    fit, one at least.

    With ``by_position`` (not of exact and acdc; examples of one length) edges and nodes are those
    of each position, ``a0.h1@5->a2.h0@5<k>``: an edge stands where the stream carries it.

    Partial circuits are handed out by ``job.partial`` as ``discovery``, about five a second: the
    means over the examples done, or the edges done with NaN for those not tried; their metadata
    have ``partial`` and how far the work is (``examples done``, ``edges done``).

    Raises InputError for a method or an ablation that is none, PromptError for pairs of unequal
    length, MetricError for a metric that the method cannot use, SiteMissing for models whose stream
    is no sum of what components write, EditError for means without prompts.
    """
    job = job_or_default(options.get("job"))
    started = time.perf_counter()
    settings = Settings.of(method, options)
    task = _task(model, data, metric, settings, job)
    told = settings.told() | task.told()
    if settings.by_position:
        told["tokens"] = list(task.examples[0].base.texts)

    def circuit_of(scores: np.ndarray, more: Mapping[str, Any]) -> Circuit:
        if settings.by_position:
            read = range(len(scores)) if method == "routes" else task.read()
            return PositionedScores(task.edges, scores).circuit({**told, **more}, read)
        return task.edges.as_circuit(scores, {**told, **more})

    scores, found = _scores(task, settings, Partials(job, DISCOVERY, circuit_of))
    circuit = circuit_of(scores, found)
    circuit.metadata["seconds"] = time.perf_counter() - started
    return stamped(circuit, model.identity)


def expect_possible(
    model: Model,
    data: PromptPair | Sequence[PromptPair] | Prompt | Sequence[Prompt],
    metric: Metrics = None,
    method: str = "two-point",
    **options: Unpack[Options],
) -> Task:
    """The task of a search, after all that ``discover_circuit`` would refuse; raises the same."""
    settings = Settings.of(method, options)
    return _task(model, data, metric, settings, job_or_default(options.get("job")))


def _task(model: Model, data: Any, metric: Metrics, settings: Settings, job: Job) -> Task:
    task = Task.of(model, data, metric, settings.ablation, settings.over)
    task = replace(task, budget=settings.budget)
    settings.expect_runs()
    task.expect_means()
    if settings.by_position:
        task.expect_one_length()
    if (way := settings.way()) is not None:
        for example in task.examples:
            way.expect(example.metric)
    if settings.how.local:
        gradients.expect_slope(task, job)
    return task


@dataclass(frozen=True, slots=True)
class Settings:
    """How a circuit is looked for, every part of it fit to be used."""

    method: str
    ablation: str = "resample"
    over: Any = ()
    steps: int | np.integer = 5
    tau: float | int | np.number = 0.01
    by_position: bool = False
    budget: int = BUDGET

    @classmethod
    def of(cls, method: Any, options: Mapping[str, Any]) -> Settings:
        """The settings that were given. Raises InputError for those that are none."""
        expect_options(options, Options)
        given = {name: value for name, value in options.items() if name != "job"}
        if not isinstance(method, str) or method not in METHODS:
            raise InputError(f"The method is {method!r}.", f"Choose one of {', '.join(METHODS)}.")
        known_ablation(given.get("ablation", "resample"))
        steps, tau = given.get("steps", 1), given.get("tau", 1.0)
        if not isinstance(steps, int | np.integer) or steps < 1:
            raise InputError(
                f"The number of steps is {steps!r}.", "Give 1 or more, for example steps=5."
            )
        if not isinstance(tau, int | float | np.number) or not 0 < tau < np.inf:
            raise InputError(f"τ is {tau!r}.", "Give a number above 0, for example tau=0.01.")
        expect_budget(given.get("budget", BUDGET))
        by_position = given.get("by_position", False)
        expect(by_position, bool, "by_position", "True or False", "Write by_position=True.")
        if by_position and not METHODS[method].positioned:
            able = ", ".join(name for name, row in METHODS.items() if row.positioned)
            raise InputError(
                f"The method {method} takes an edge away at all positions at once.",
                f"Take one of {able}, or sum over positions (by_position=False).",
            )
        return cls(method, **given)

    @property
    def how(self) -> Method:
        """The row of the method."""
        return METHODS[self.method]

    def way(self) -> Way | None:
        """Where worth is taken; None for a method that takes no gradient."""
        steps = int(self.steps)
        ways: Mapping[str, Callable[[], Way]] = {
            "two-point": gradients.two_point,
            "eap": gradients.at_clean,
            "clean-corrupt": gradients.at_both_ends,
            "eap-ig": lambda: gradients.along_inputs(steps),
            "eap-ig-activations": lambda: gradients.along_activations(steps),
        }
        return ways[self.method]() if self.method in ways else None

    def expect_runs(self) -> None:
        """Raise InputError for a method between two runs where there is one."""
        if self.how.pairs and self.ablation != "resample":
            raise InputError(
                f"The method {self.method} lies between a clean and a corrupt run, but the "
                f"ablation is {self.ablation}.",
                "Give pairs and ablation='resample', or take eap, eap-ig, exact or acdc.",
            )

    def told(self) -> dict[str, Any]:
        """What a result says of its method, as plain JSON."""
        how = self.how
        told = {
            "method": self.method,
            "title": how.title,
            "scale": how.scale,
            "sign": SIGN if how.signed else "never negative: larger matters more",
            "aggregated": not self.by_position,
        }
        told |= {"steps": int(self.steps)} if how.stepped else {}
        return told | ({"tau": float(self.tau)} if self.method == "acdc" else {})


def _scores(
    task: Task, settings: Settings, partials: Partials
) -> tuple[np.ndarray, dict[str, Any]]:
    job, method, way = partials.job, settings.method, settings.way()
    how: Any = {"by_position": settings.by_position, "partials": partials}
    if way is not None:
        return gradient_scores(task, way, job, **how), {}
    if method == "routes":
        return route_scores(task, job, **how), {}
    if method == "exact":
        return exact_scores(task, job, partials=partials), {}
    left = acdc(task, float(settings.tau), job, partials=partials)
    scores = np.where(left.kept, left.rise, 0.0)
    return scores, {"tried": left.tried, "value": left.value, "kept": int(left.kept.sum())}
