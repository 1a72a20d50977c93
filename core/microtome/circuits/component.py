"""The circuit of one prompt or pair: exact sums of what every component writes.

Method and formulas: docs/component-graph.md.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from microtome.circuits.asking import Asked, Subject, ask
from microtome.circuits.backward import Gradient, backward
from microtome.circuits.biases import bias_parts, node_bias
from microtome.circuits.coefficients import Rule, coefficients
from microtome.circuits.columns import Columns, NodeTexts, as_circuit
from microtome.circuits.growing import Growing
from microtome.circuits.sources import Layout, node_outputs, node_scores
from microtome.circuits.sweep import Explored, sweep
from microtome.errors import PromptError, expect
from microtome.jobs import Job, job_or_default
from microtome.metrics import LinearMetric
from microtome.models.model import Model
from microtome.models.small import small_on_one_thread
from microtome.prompts import Prompt, plain_prompt
from microtome.records.circuit import Circuit
from microtome.records.made import Made

# A metric that is the small difference of large parts explains little.
CANCELLATION_WARNING = 5.0


@small_on_one_thread
def component_graph(
    model: Model,
    subject: Subject,
    metric: LinearMetric | None = None,
    *,
    values_only: bool = False,
    rule: Rule | None = None,
    tau: float = 3e-4,
    keep: int = 32,
    job: Job | None = None,
) -> Circuit:
    """The circuit behind a metric on one prompt, or behind its difference on a pair.

    Nodes are embeddings, heads and MLPs by position, and the metric; a node's score is the sum
    of its out-edges, and ``node_bias`` with the value (or MLP) in-edges sum to it too. For a
    pair nothing is left to biases, and value, key and query in-edges sum to the score.
    ``values_only`` leaves attention patterns as they were, so that embeddings and constants
    sum to the metric. Targets below ``tau`` of the influence are not expanded; of each other
    one the ``keep`` strongest in-edges are returned. Without ``rule`` a pair is explained by
    the two-point rule, a prompt by the single one. In ``metadata`` the ``cancellation`` is None
    where the metric (its difference) is zero, and ``unexplored`` where nothing flows at all.
    A search that takes long hands out what it has found so far by ``job.partial`` as ``circuit``:
    in ``metadata`` it has ``partial`` and ``lowest``, the lowest layer whose edges are there.
    Raises PromptError, AnswerError and MetricError for what cannot be asked.
    """
    job = job_or_default(job)
    started = time.perf_counter()
    with torch.no_grad():
        asked = ask(model, subject, metric, job=job)
        rule = _rule(rule, asked)
        gradient, outputs = linearised(asked, rule, values_only=values_only, job=job)
        told = {"values_only": values_only, "tau": tau, "keep": keep}
        making = _Making(asked, gradient, outputs, told, Made.on(model.identity))
        growing = Growing(job, making.circuit, started)
        explored = sweep(gradient, outputs, tau=tau, keep=keep, job=job, on_layer=growing.tell)
        return making.circuit(explored, {"seconds": time.perf_counter() - started})


@dataclass(frozen=True, slots=True)
class _Making:
    """Makes circuits of what a sweep has found."""

    asked: Asked
    gradient: Gradient
    outputs: Tensor
    told: dict[str, Any]  # in the metadata of each
    made: Made

    def circuit(self, explored: Explored, more: dict[str, Any]) -> Circuit:
        asked, rule = self.asked, self.gradient.coefficients.rule
        columns = _columns(asked, self.gradient, self.outputs, explored)
        texts = NodeTexts(asked.tokens, asked.metric_name, asked.position)
        metadata = {**_metadata(asked, rule, explored), **self.told, **more}
        return replace(as_circuit(columns, texts), metadata=metadata, made=self.made)


def _rule(rule: Rule | None, asked: Asked) -> Rule:
    if rule is None:
        return Rule.SINGLE if asked.corrupt is None else Rule.TWO_POINT
    expect(rule, Rule, "rule", "a Rule", "Write for example Rule.TWO_POINT, or leave it out.")
    if rule.needs_pair and asked.corrupt is None:
        raise PromptError(f"The rule {rule} compares two runs.", "Give a PromptPair.")
    return rule


def linearised(
    asked: Asked, rule: Rule, *, values_only: bool = False, job: Job | None = None
) -> tuple[Gradient, Tensor]:
    """The worth of every place, and every node's output [component, position, d_model]."""
    corrupt = asked.corrupt if rule.needs_pair else None
    frozen = coefficients(asked.clean, corrupt, rule, asked.position)
    gradient = backward(frozen, asked.weights, asked.position, values_only=values_only, job=job)
    return gradient, node_outputs(frozen, asked.clean, corrupt)


def explained(asked: Asked, rule: Rule) -> float:
    """What a graph explains: the metric, or its difference between the runs."""
    if asked.corrupt_value is None or not rule.needs_pair:
        return asked.value
    return asked.value - asked.corrupt_value


def _columns(asked: Asked, gradient: Gradient, outputs: Tensor, explored: Explored) -> Columns:
    scores = node_scores(outputs, gradient)
    rule = gradient.coefficients.rule
    bias, output_bias = torch.zeros_like(scores), 0.0
    if not rule.needs_pair:
        parts = bias_parts(gradient, asked.weights)
        bias, output_bias = node_bias(parts, asked.anatomy), float(parts.output)
    layout = Layout.of(asked.anatomy)
    return Columns(explored, scores, bias, layout, explained(asked, rule), output_bias)


def _metadata(asked: Asked, rule: Rule, explored: Explored) -> dict[str, Any]:
    total = explained(asked, rule)
    spread = float(explored.direct.abs().sum())
    cancellation = spread / abs(total) if total else None
    layout = Layout.of(asked.anatomy)
    reached = float(explored.influence[: layout.n_embeddings].sum())
    # Where nothing flows, a share of it has no meaning: it is neither explored nor missed.
    unexplored = max(0.0, 1.0 - reached) if spread else None
    metadata: dict[str, Any] = {
        "method": "component-graph",
        "rule": rule.value,
        "metric": asked.metric_name,
        "metric_kind": type(asked.metric).__name__,
        "metric_value": asked.value,
        "position": asked.position,
        "cancellation": cancellation,
        "unexplored": unexplored,
        "tokens": list(asked.tokens),
        "prompt": _plain(asked.prompt),
        "corrupt": _plain(asked.corrupt_prompt),
        "n_layers": layout.n_layers,
        "n_heads": layout.n_heads,
        "notes": _notes(cancellation, rule, asked),
    }
    if asked.corrupt_value is not None:
        metadata["metric_value_corrupt"] = asked.corrupt_value
    return metadata


def _plain(prompt: Prompt | None) -> str | list[int] | None:
    return None if prompt is None else plain_prompt(prompt)


def _notes(cancellation: float | None, rule: Rule, asked: Asked) -> list[str]:
    notes = ["Norm scales are frozen; key and query edges approximate real ablations."]
    if not asked.anatomy.causal:
        token = asked.tokens[asked.position].strip()
        notes.append(f"The metric is read in the place of {token}, position {asked.position}.")
    if cancellation is None:
        same = "Both prompts give the same value of the metric"
        zero = same if rule.needs_pair else "The metric is zero"
        notes.append(f"{zero}: there is nothing to explain.")
    elif cancellation > CANCELLATION_WARNING:
        notes.append("The metric is the small difference of large parts: try another wrong answer.")
    if rule in (Rule.EAP_CLEAN, Rule.EAP_CORRUPT):
        notes.append("A gradient shows no key or query edges where attention is saturated.")
    return notes
