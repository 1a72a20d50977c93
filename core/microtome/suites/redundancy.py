"""Which heads, MLPs and layers a model can do without, on the data that it must still answer."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float

from microtome.analysis.answering import Asked
from microtome.errors import InputError, MetricError, expect
from microtome.interventions.sweeps import ablation_sweep
from microtome.jobs import Job, job_or_default
from microtome.metrics import CustomMetric, LogitDifference, Metric
from microtome.models.given import expect_known, expect_model
from microtome.models.model import Model
from microtome.models.small import small_on_one_thread
from microtome.prompts import plain_prompt
from microtome.records.analysis import Analysis
from microtome.records.redundancy import CRITERIA, Redundancy, redundancy_analysis
from microtome.records.removal import HEADS, KINDS, LAYERS, MLPS, Part, expect_removal
from microtome.records.suite import Suite
from microtome.suites.costs import cost_of, whole_cost
from microtome.suites.masked import Masked
from microtome.suites.running import asked_of, means_over, passes
from microtome.suites.similarity import layer_points, layer_similarity

CANDIDATES = 4  # parts that a round measures together


@small_on_one_thread
def redundancy(
    model: Model,
    suite: Suite,
    *,
    parts: Sequence[str] = (HEADS, MLPS),
    how: str = "zero",
    criterion: str = "pass rate",
    threshold: float = 0.95,
    candidates: int = CANDIDATES,
    job: Job | None = None,
) -> Analysis:
    """What the model can do without and still answer a suite: effects, a curve, layers alike.

    Every head, MLP and layer is taken out alone (set to zero, or to its mean over the suite's
    prompts), heads by the engine of sweeps. Then ``parts`` go one after another: of those that
    cost least when they were last measured, ``candidates`` are measured together with all that
    have gone, and the one that costs least goes. What costs is a fall of the ``criterion``, the
    pass rate of the suite (an answer above its wrong one, or on top) or the metric (the mean logit
    difference to the wrong answer, or to the best other token), then a fall of the metric. The
    recommended parts are the longest beginning that keeps ``threshold`` of the criterion. Partial
    results are handed out by ``job.partial`` as ``redundancy``, after each part that goes.
    ``microtome.records.redundancy.redundancy_of`` reads the result as a ``Redundancy``.
    Raises InputError for what cannot be asked, MetricError where nothing is there to keep,
    UnknownArchitecture for a model of no known family or with an encoder beside a decoder.
    """
    _expect_askable(model, suite, parts, criterion)
    expect_removal(how)
    expect(threshold, (int, float), "threshold", "a share", "Write threshold=0.95.")
    expect(candidates, int, "candidates", "a number of parts", "Write candidates=8.")
    if not 0 < threshold <= 1 or candidates < 1:
        raise InputError(
            f"The threshold is {threshold} and the number of candidates {candidates}.",
            "Give a share above 0 and up to 1, and 1 candidate or more.",
        )
    settings = {
        "parts": list(parts), "how": how, "criterion": criterion, "threshold": float(threshold),
        "candidates": candidates,
    }  # fmt: skip
    work = _Work(model, suite, settings, job_or_default(job))
    return redundancy_analysis(work.run())


def _expect_askable(model: Model, suite: Suite, parts: Sequence[str], criterion: str) -> None:
    expect_model(model)
    expect(suite, Suite, "suite", "a Suite", "Load one with load_suite.")
    expect_known(model, "What a model can do without")
    expect(parts, (tuple, list), "parts", "a list", "Write parts=['heads', 'mlps'].")
    wrong = [name for name in parts if name not in KINDS]
    if wrong or not parts:
        named = wrong[0] if wrong else "none"
        raise InputError(f"The parts are {named}.", f"Choose some of {', '.join(KINDS)}.")
    if LAYERS in parts and len(set(parts)) > 1:
        raise InputError(
            "Whole layers were asked for beside their own heads and MLPs.",
            "Take parts=['layers'], or heads and MLPs.",
        )
    if criterion not in CRITERIA:
        raise InputError(f"The criterion is {criterion!r}.", f"Choose {' or '.join(CRITERIA)}.")


def all_parts(model: Model) -> list[Part]:
    """Every head, MLP and layer."""
    layers, heads = range(model.identity.n_layers), range(model.identity.n_heads)
    return [
        *(Part(HEADS, layer, head) for layer in layers for head in heads),
        *(Part(MLPS, layer) for layer in layers),
        *(Part(LAYERS, layer) for layer in layers),
    ]


@dataclass(slots=True, eq=False)
class _Work:
    """What is known so far."""

    model: Model
    suite: Suite
    settings: dict[str, Any]
    job: Job
    started: float = field(default_factory=time.perf_counter)
    asked: list[Asked] = field(init=False)
    masked: Masked = field(init=False)
    parts: list[Part] = field(init=False)
    effect: Float[np.ndarray, " part"] = field(init=False)
    similarity: Float[np.ndarray, "point point"] = field(init=False)
    order: list[Part] = field(default_factory=list)
    curve: list[tuple[float, float]] = field(default_factory=list)  # pass rate, metric

    def __post_init__(self) -> None:
        self.asked = asked_of(self.model, self.suite)
        over = means_over(self.suite)
        self.masked = Masked(self.model, self.asked, self.settings["how"], over, self.job)
        self.parts = all_parts(self.model)

    def run(self) -> Redundancy:
        """Effects, similarity, and the curve to its end."""
        self.curve = [self._values([frozenset()])[0]]
        self._expect_something()
        self.effect = self._effects()
        self.similarity = layer_similarity(self.model, means_over(self.suite), job=self.job)
        left = [part for part in self.parts if part.kind in self.settings["parts"]]
        # What a part costs as it was last measured; the effects alone are its first measure.
        cost = {part: (0.0, -self._effect_of(part)) for part in left}
        total = len(left)
        while left:
            self.job.progress("Taking parts out", len(self.order), total)
            left = self._step(left, cost)
            if left:
                self.job.partial("redundancy", redundancy_analysis(self.record(complete=False)))
        return self.record(complete=True)

    def _step(self, left: list[Part], cost: dict[Part, tuple[float, float]]) -> list[Part]:
        """Take out the part that costs least; what is left to be taken out."""
        gone = frozenset(self.order)
        some = sorted(left, key=lambda part: cost[part])[: self.settings["candidates"]]
        values = self._values([gone | {part} for part in some], gone)
        for part, (rate, metric) in zip(some, values, strict=True):
            last_rate, last_metric = self.curve[-1]
            falls = (last_rate - rate, last_metric - metric)
            cost[part] = falls if self.settings["criterion"] == "pass rate" else (falls[1], 0.0)
        best = min(range(len(some)), key=lambda at: cost[some[at]])
        self.order.append(some[best])
        self.curve.append(values[best])
        return [part for part in left if part != some[best]]

    def _values(
        self, removals: Sequence[frozenset[Part]], gone: frozenset[Part] = frozenset()
    ) -> list[tuple[float, float]]:
        """The pass rate and the metric of each choice of parts, in all of which some are gone."""
        found = self.masked.measured(removals, gone)
        rates = passes("above", found[..., 0], found[..., 1]).mean(1)
        metrics = found[..., 3].mean(1)
        return list(zip(rates.tolist(), metrics.tolist(), strict=True))

    def _expect_something(self) -> None:
        rate, metric = self.curve[0]
        kept = rate if self.settings["criterion"] == "pass rate" else metric
        if kept <= 0:
            raise MetricError(
                f"The {self.settings['criterion']} of the whole model is {kept:.3g}: there is "
                "nothing to keep.",
                "Give a suite that the model passes.",
            )

    def _effects(self) -> Float[np.ndarray, " part"]:
        """The change of the metric when each part alone goes: heads by a sweep."""
        metrics = [metric_at(self.model, one) for one in self.asked]
        how = self.settings["how"]
        over = () if how == "zero" else means_over(self.suite)
        prompts = list(self.suite.prompts)
        sweep = ablation_sweep(self.model, prompts, metrics, "z", how=how, over=over, job=self.job)
        others = [part for part in self.parts if part.kind != HEADS]
        values = self._values([frozenset({part}) for part in others])
        found = [metric - self.curve[0][1] for _, metric in values]
        return np.concatenate([sweep.effects.ravel().astype(np.float64), found])

    def _effect_of(self, part: Part) -> float:
        return float(self.effect[self.parts.index(part)])

    def record(self, *, complete: bool) -> Redundancy:
        """What is known as a record."""
        length = round(np.mean([len(one.tokens) for one in self.asked]))
        costs = [cost_of(self.model.anatomy, part, length) for part in self.parts]
        rates, metrics = zip(*self.curve, strict=True)
        return Redundancy(
            parts=tuple(part.name for part in self.parts),
            effect=self.effect,
            parameters=np.array([cost.parameters for cost in costs], dtype=np.int64),
            flops=np.array([cost.flops for cost in costs]),
            order=tuple(part.name for part in self.order),
            rate=np.array(rates),
            metric=np.array(metrics),
            points=layer_points(self.model),
            similarity=self.similarity,
            params=self._params(length, complete=complete),
        )

    def _over(self) -> list[str | list[int]]:
        """What means were taken over, so that an edit can do the same."""
        over = means_over(self.suite) if self.settings["how"] == "mean" else ()
        return [plain_prompt(prompt) for prompt in over]

    def _params(self, length: int, *, complete: bool) -> dict[str, Any]:
        told = {
            "suite": self.suite.digest,
            "name": self.suite.name,
            "title": self.suite.title,
            "model": self.model.identity.name,
            "fingerprint": self.model.identity.fingerprint,
            "cases": len(self.suite.cases),
            "over": self._over(),
            **self.settings,
        }
        text = json.dumps(told, sort_keys=True)
        count = sum(weight.numel() for weight in self.model.module.parameters())
        whole = whole_cost(self.model.anatomy, count, length)
        return {
            **told,
            "id": f"redundancy-{hashlib.sha256(text.encode()).hexdigest()[:12]}",
            "length": length,
            "whole_parameters": whole.parameters,
            "whole_flops": whole.flops,
            "complete": complete,
            "seconds": time.perf_counter() - self.started,
        }


def metric_at(model: Model, asked: Asked) -> Metric:
    """The logit of the answer minus that of the wrong one, or of the best other one."""
    position = model.read_at(asked.tokens.ids)
    if asked.wrong is not None:
        return LogitDifference(asked.answer, asked.wrong, position)
    return CustomMetric(partial(_over_best, asked.answer), "over the best other", position)


def _over_best(answer: int, logits: Any) -> Any:
    others = logits.clone()
    others[..., answer] = -np.inf
    return logits[..., answer] - others.amax(-1)
