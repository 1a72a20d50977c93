"""A question put to the arithmetic of a model: the runs, and the metric that is explained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from microtome.errors import MetricError, PromptError, described
from microtome.jobs import Job
from microtome.metrics import LinearMetric, default_metric
from microtome.models.anatomy import Anatomy
from microtome.models.arithmetic import Run, anatomy_in, run
from microtome.models.given import expect_known, expect_model
from microtome.models.model import Model
from microtome.prompts import Prompt, PromptPair, Question, as_prompt

# What a circuit can be asked about; a question brings its answers along.
Subject: TypeAlias = Prompt | PromptPair | Question


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """A prompt or pair put to a model: the runs and the metric, resolved."""

    clean: Run
    corrupt: Run | None
    metric: LinearMetric
    metric_name: str
    weights: Float[Tensor, " vocabulary"]
    position: int  # where the metric reads the logits
    value: float
    corrupt_value: float | None
    tokens: tuple[str, ...]
    prompt: Prompt
    corrupt_prompt: Prompt | None

    @property
    def anatomy(self) -> Anatomy:
        """The weights that the runs were made with."""
        return self.clean.anatomy

    def of(self, ran: Run) -> float:
        """The metric in a run."""
        return float(self.weights @ ran.logits(self.position))


def ask(
    model: Model,
    subject: Subject,
    metric: LinearMetric | None = None,
    *,
    dtype: torch.dtype | None = None,
    job: Job | None = None,
) -> Asked:
    """Run the model's arithmetic on a prompt or pair and settle the metric.

    Without ``dtype`` half precision is promoted to float32. Raises PromptError for a pair of
    unequal length, and MetricError for a metric that is not a weighted sum of logits.
    """
    expect_model(model)
    expect_known(model, "A circuit")
    prompts = prompts_of(subject)
    tokens, others = (None if prompt is None else model.tokenize(prompt) for prompt in prompts)
    assert tokens is not None  # noqa: S101
    if others is not None and len(others.ids) != len(tokens.ids):
        raise PromptError(
            f"The prompt has {len(tokens.ids)} tokens and the corrupt prompt {len(others.ids)}.",
            "Both need the same number of tokens: replace words by words of as many tokens.",
        )
    anatomy = anatomy_in(model.anatomy, dtype or precise(model.anatomy.embedding.dtype))
    clean = run(anatomy, torch.as_tensor(tokens.ids), job=job)
    corrupt = None if others is None else run(anatomy, torch.as_tensor(others.ids), job=job)
    read_at = getattr(metric, "position", model.read_at(tokens.ids))
    at = _position(read_at, clean.n_positions)
    end, other = clean.logits(at), None if corrupt is None else corrupt.logits(at)
    ends = (_array(end), None if other is None else _array(other))
    chosen = settled(model, subject, metric, *ends, read_at=read_at)
    weights = torch.as_tensor(chosen.coefficients(anatomy.unembedding.shape[0])).to(end)
    return Asked(
        clean,
        corrupt,
        chosen,
        chosen.name(model),
        weights,
        at,
        float(weights @ end),
        None if other is None else float(weights @ other),
        tuple(tokens.texts),
        *prompts,
    )


def _array(logits: Tensor) -> Float[np.ndarray, " vocabulary"]:
    return np.asarray(logits.cpu().numpy())


def prompts_of(subject: Subject) -> tuple[Prompt, Prompt | None]:
    """The clean prompt, and the corrupt one of a pair."""
    if isinstance(subject, Question):
        return subject.prompt, subject.corrupt
    if isinstance(subject, PromptPair):
        return subject.clean, subject.corrupt
    return as_prompt(subject), None


def precise(dtype: torch.dtype) -> torch.dtype:
    """float64 for itself, float32 for everything else."""
    return dtype if dtype == torch.float64 else torch.float32


def settled(
    model: Model,
    subject: Subject,
    metric: LinearMetric | None,
    end: Float[np.ndarray, " vocabulary"],
    other_end: Float[np.ndarray, " vocabulary"] | None = None,
    *,
    read_at: int = -1,
) -> LinearMetric:
    """The metric with token ids; without one, the default for the logits where it is read.

    Raises MetricError for a metric that is not a weighted sum of logits.
    """
    if metric is None:
        words = (subject.answer, subject.wrong) if isinstance(subject, Question) else (None, None)
        return default_metric(model, end, other_end, *words, read_at)
    if not isinstance(metric, LinearMetric):
        raise MetricError(
            f"The metric is {described(metric)}, which is no weighted sum of logits.",
            "An exact circuit needs a linear metric such as LogitDifference.",
        )
    return metric.resolve(model)


def _position(at: int, count: int) -> int:
    """Where the logits are read, counted from 0."""
    if not -count <= at < count:
        raise MetricError(
            f"The metric reads position {at} of {count} tokens.",
            "Positions count from 0 on, or from -1 backwards.",
        )
    return at % count
