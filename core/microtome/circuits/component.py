"""The circuit of one prompt or pair, exact sums of what every component writes.

Method and formulas: docs/component-graph.md.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from microtome.circuits.backward import Gradient, backward
from microtome.circuits.biases import bias_parts, node_bias
from microtome.circuits.coefficients import Rule, coefficients
from microtome.circuits.columns import Columns, NodeTexts, as_circuit
from microtome.circuits.sources import node_outputs, node_scores
from microtome.circuits.sweep import Explored, sweep
from microtome.errors import MetricError, PromptError
from microtome.jobs import Job, job_or_default
from microtome.metrics import LinearMetric, default_metric
from microtome.models.anatomy import Anatomy
from microtome.models.arithmetic import Run, anatomy_in, run
from microtome.prompts import Prompt, PromptPair, as_prompt
from microtome.records.circuit import Circuit

# A metric that is the small difference of large parts explains little.
CANCELLATION_WARNING = 5.0


class TokenSequence(Protocol):
    """What is needed of a tokenized prompt."""

    @property
    def ids(self) -> Any:
        """Token ids [position]."""
        ...

    @property
    def texts(self) -> Any:
        """How each token reads."""
        ...


class LanguageModel(Protocol):
    """What is needed of a model."""

    @property
    def anatomy(self) -> Anatomy:
        """Where every weight lives."""
        ...

    def tokenize(self, prompt: Prompt) -> TokenSequence:
        """The tokens of a prompt."""
        ...

    def answer_token(self, answer: str | int) -> int:
        """The id of an answer that is one token."""
        ...

    def token_text(self, token: int) -> str:
        """How a token reads."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """A prompt or pair put to a model: the runs and the metric, resolved."""

    clean: Run
    corrupt: Run | None
    metric: LinearMetric
    metric_name: str
    weights: Tensor  # of the logits
    position: int  # where the metric reads them
    tokens: tuple[str, ...]
    prompts: tuple[Prompt, Prompt | None]

    def value(self, ran: Run) -> float:
        """The metric in a run."""
        return float(self.weights @ ran.logits(self.position))


def ask(
    model: LanguageModel,
    prompt: str | tuple[int, ...] | PromptPair,
    metric: LinearMetric | None = None,
    *,
    dtype: torch.dtype | None = None,
    job: Job | None = None,
) -> Asked:
    """Run the model's arithmetic on a prompt or pair and settle the metric.

    Half precision is promoted to float32. Raises PromptError for a pair of unequal length and
    MetricError for a metric that is not a weighted sum of logits.
    """
    pair = prompt if isinstance(prompt, PromptPair) else None
    first = pair.clean if pair else as_prompt(prompt)
    tokens = model.tokenize(first)
    others = model.tokenize(pair.corrupt) if pair else None
    if others is not None and len(others.ids) != len(tokens.ids):
        raise PromptError(
            f"The clean prompt has {len(tokens.ids)} tokens, the corrupt one {len(others.ids)}.",
            "Both must have the same number: change words one by one.",
        )
    anatomy = model.anatomy
    anatomy = anatomy_in(anatomy, dtype or _precise(anatomy.embedding.dtype))
    clean = run(anatomy, torch.as_tensor(tokens.ids), job=job)
    corrupt = None if others is None else run(anatomy, torch.as_tensor(others.ids), job=job)
    chosen = _metric(model, metric, clean, corrupt)
    coefficients_ = torch.as_tensor(chosen.coefficients(anatomy.unembedding.shape[0]))
    weights = coefficients_.to(clean.final)
    position = chosen.position % clean.n_positions
    prompts = (first, pair.corrupt if pair else None)
    name = chosen.name(model)
    return Asked(clean, corrupt, chosen, name, weights, position, tuple(tokens.texts), prompts)


def _precise(dtype: torch.dtype) -> torch.dtype:
    return dtype if dtype in (torch.float32, torch.float64) else torch.float32


def _metric(
    model: LanguageModel, metric: LinearMetric | None, clean: Run, corrupt: Run | None
) -> LinearMetric:
    if metric is None:
        last = None if corrupt is None else corrupt.logits(-1).cpu().numpy()
        return default_metric(model, clean.logits(-1).cpu().numpy(), last)
    if not isinstance(metric, LinearMetric):
        raise MetricError(
            f"{type(metric).__name__} is no weighted sum of logits.",
            "An exact circuit needs a linear metric such as LogitDifference.",
        )
    if not -clean.n_positions <= metric.position < clean.n_positions:
        raise MetricError(
            f"The metric reads position {metric.position} of {clean.n_positions} tokens.",
            "Positions count from 0, or from -1 backwards.",
        )
    return metric.resolve(model)


def component_graph(
    model: LanguageModel,
    prompt: str | tuple[int, ...] | PromptPair,
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
    of its out-edges and, with ``node_bias``, of its value or MLP in-edges. ``values_only``
    leaves attention patterns as they were, so that embeddings and constants sum to the metric.
    Targets below ``tau`` of the influence are not expanded; ``keep`` strongest in-edges of each
    are returned. ``rule`` None takes the two-point rule for a pair, the single one otherwise.
    """
    job = job_or_default(job)
    started = time.perf_counter()
    with torch.no_grad():
        asked = ask(model, prompt, metric, job=job)
        rule = _rule(rule, asked)
        gradient, outputs = linearised(asked, rule, values_only=values_only, job=job)
        explored = sweep(gradient, outputs, tau=tau, keep=keep, job=job)
        columns = _columns(asked, gradient, outputs, explored)
    texts = NodeTexts(asked.tokens, asked.metric_name, asked.position)
    circuit = as_circuit(columns, texts)
    circuit.metadata.update(_metadata(asked, rule, explored))
    circuit.metadata.update(values_only=values_only, tau=tau, keep=keep)
    circuit.metadata["seconds"] = time.perf_counter() - started
    return circuit


def _rule(rule: Rule | None, asked: Asked) -> Rule:
    if rule is None:
        return Rule.SINGLE if asked.corrupt is None else Rule.TWO_POINT
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


def _columns(asked: Asked, gradient: Gradient, outputs: Tensor, explored: Explored) -> Columns:
    scores = node_scores(outputs, gradient)
    bias, output_bias = torch.zeros_like(scores), 0.0
    if not gradient.coefficients.rule.needs_pair:
        parts = bias_parts(gradient, asked.weights)
        bias, output_bias = node_bias(parts, asked.clean.anatomy), float(parts.output)
    score = _explained(asked, gradient.coefficients.rule)
    return Columns(explored, scores, bias, asked.clean.anatomy, score, output_bias)


def _explained(asked: Asked, rule: Rule) -> float:
    """What the graph explains: the metric, or its difference between the runs."""
    value = asked.value(asked.clean)
    if asked.corrupt is not None and rule.needs_pair:
        value -= asked.value(asked.corrupt)
    return value


def _metadata(asked: Asked, rule: Rule, explored: Explored) -> dict[str, Any]:
    explained = _explained(asked, rule)
    spread = float(explored.direct.abs().sum())
    cancellation = spread / abs(explained) if explained else float("inf")
    n_embeddings = 1 if asked.clean.anatomy.positions is None else 2
    reached = float(explored.influence[:n_embeddings].sum())
    metadata: dict[str, Any] = {
        "method": "component-graph",
        "rule": rule.value,
        "metric": asked.metric_name,
        "metric_value": asked.value(asked.clean),
        "cancellation": cancellation,
        "unexplored": max(0.0, 1.0 - reached),
        "tokens": list(asked.tokens),
        "prompt": _plain(asked.prompts[0]),
        "corrupt": _plain(asked.prompts[1]),
        "n_layers": len(asked.clean.anatomy.blocks),
        "n_heads": int(asked.clean.anatomy.blocks[0].attention.w_q.shape[0]),
        "notes": _notes(cancellation, rule),
    }
    if asked.corrupt is not None:
        metadata["metric_value_corrupt"] = asked.value(asked.corrupt)
    return metadata


def _plain(prompt: Prompt | None) -> str | list[int] | None:
    return list(prompt) if isinstance(prompt, tuple) else prompt


def _notes(cancellation: float, rule: Rule) -> list[str]:
    notes = ["Norm scales are frozen; key and query edges approximate real ablations."]
    if cancellation > CANCELLATION_WARNING:
        notes.append(
            "The metric is the small difference of large parts: choose another wrong answer."
        )
    if rule in (Rule.EAP_CLEAN, Rule.EAP_CORRUPT):
        notes.append("A gradient shows no key or query edges where attention is saturated.")
    return notes
