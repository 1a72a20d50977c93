"""Methods that score all edges from the worth of what readers take up: a product for each edge.

The score of an edge is what the writer's output differs by, times the reader's worth, summed over
positions. They differ in where the worth is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from microtome.circuits.backward import backward
from microtome.circuits.coefficients import Rule, coefficients
from microtome.circuits.discovery.readers import reader_worths
from microtome.circuits.discovery.task import Task
from microtome.circuits.discovery.writers import written
from microtome.errors import MetricError
from microtome.interventions.sweeping.task import Example
from microtome.jobs import Job
from microtome.metrics import LinearMetric, Metric, Rank, reads_everywhere
from microtome.models.arithmetic import Edit, Run, run

Worths = Float[Tensor, "reader position d_model"]
Way = Callable[[Task, Example, Run, Run | None, Tensor, Job], Worths]


def gradient_scores(
    task: Task, way: Way, job: Job, *, by_position: bool = False
) -> Float[np.ndarray, "*position writer reader"]:
    """The mean over examples of output difference times worth; positive raises the metric."""
    edges = task.edges
    total: Tensor | None = None
    means: dict[int, Tensor | None] = {}
    with torch.no_grad():
        for number, example in enumerate(task.examples):
            job.progress("Scoring edges", number, len(task.examples))
            length = len(example.base)
            if length not in means:
                means[length] = task.mean(length, job)
            clean, corrupt = task.runs(example, job)
            mean = means[length]
            other = mean if mean is not None else written(_there(corrupt))
            difference = written(clean) - other
            worths = way(task, example, clean, corrupt, difference, job)
            if by_position:
                scores = difference.transpose(0, 1) @ worths.permute(1, 2, 0)
            else:
                scores = difference.flatten(1) @ worths.flatten(1).T
            total = scores.double() if total is None else total + scores.double()
    assert total is not None  # noqa: S101
    job.progress("Scoring edges", len(task.examples), len(task.examples))
    found = (total / len(task.examples)).cpu().numpy()
    return np.where(edges.exists, found, np.nan)


# ---------------------------------------------------------------------- where worth is taken


def two_point(
    task: Task, example: Example, clean: Run, corrupt: Run | None, difference: Tensor, job: Job
) -> Worths:
    """Exactly between the two runs (docs/component-graph.md); the metric has to be linear."""
    del task, difference
    corrupt = _there(corrupt)
    metric, at = _linear(example.metric), _position(example, clean)
    weights = torch.as_tensor(metric.coefficients(clean.anatomy.unembedding.shape[0]))
    frozen = coefficients(clean, corrupt, Rule.TWO_POINT, at)
    return reader_worths(backward(frozen, weights.to(clean.final), at, job=job))


def at_clean(
    task: Task, example: Example, clean: Run, corrupt: Run | None, difference: Tensor, job: Job
) -> Worths:
    """The gradient at the clean run: edge attribution patching (Syed et al. 2023)."""
    del task, corrupt, difference
    return worths_at(clean, example, job)


def at_both_ends(
    task: Task, example: Example, clean: Run, corrupt: Run | None, difference: Tensor, job: Job
) -> Worths:
    """The mean of the gradients at the clean and the corrupt run (Hanna et al. 2024)."""
    del task, difference
    return (worths_at(clean, example, job) + worths_at(_there(corrupt), example, job)) / 2


def along_inputs(steps: int) -> Way:
    """The mean gradient along the straight line between the embeddings (Hanna et al. 2024).

    Steps are taken at 0/m, …, (m - 1)/m of the way from corrupt (or what takes its place) to clean.
    """

    def way(
        task: Task, example: Example, clean: Run, corrupt: Run | None, difference: Tensor, job: Job
    ) -> Worths:
        del corrupt
        total: Tensor | int = 0
        for step in range(steps):
            edit = _less("embed", -1, (1 - step / steps) * difference[0])
            between = run(clean.anatomy, task.ids(example), edit=edit, job=job)
            total = total + worths_at(between, example, job)
        assert isinstance(total, Tensor)  # noqa: S101
        return total / steps

    return way


def along_activations(steps: int) -> Way:
    """The mean gradient while each group of writers in turn goes from corrupt to clean.

    Groups are the input, the heads of a layer and an MLP; steps are 1/m, …, m/m of the way. The
    sum is divided by steps times groups, so that scores compare with each other, not with EAP's.
    """

    def way(
        task: Task, example: Example, clean: Run, corrupt: Run | None, difference: Tensor, job: Job
    ) -> Worths:
        del corrupt
        total: Tensor | int = 0
        count = 0
        for site, layer, writers in _groups(task):
            for step in range(1, steps + 1):
                left = difference[writers].sum(0) * (1 - step / steps)
                edit = _less(site, layer, left)
                between = run(clean.anatomy, task.ids(example), edit=edit, job=job)
                total = total + worths_at(between, example, job)
                count += 1
        assert isinstance(total, Tensor)  # noqa: S101
        return total / count

    return way


def _less(site: str, layer: int, amount: Tensor) -> Edit:
    """The edit that takes an amount from what a site adds to the stream."""

    def edit(name: str, number: int, value: Tensor) -> Tensor:
        return value - amount if (name, number) == (site, layer) else value

    return edit


def _groups(task: Task) -> Iterator[tuple[str, int, slice]]:
    """Site, layer and writers of what moves together."""
    edges = task.edges
    yield "embed", -1, slice(0, 1)
    for layer in range(edges.n_layers):
        yield "attn_out", layer, edges.heads(layer)
        yield "mlp_out", layer, slice(edges.mlp(layer), edges.mlp(layer) + 1)


def worths_at(ran: Run, example: Example, job: Job) -> Worths:
    """The gradient of the metric at the readers of a run."""
    at = _position(example, ran)
    frozen = coefficients(ran, ran, Rule.EAP_CLEAN, at)
    return reader_worths(backward(frozen, metric_gradient(example.metric, ran, at), at, job=job))


def metric_gradient(metric: Metric, ran: Run, at: int) -> Float[Tensor, " vocabulary"]:
    """The gradient of a metric to the logits of a run.

    Raises MetricError for a metric that has none, or whose gradient is zero there.
    """
    logits = ran.logits(at)
    if isinstance(metric, LinearMetric):
        return torch.as_tensor(metric.coefficients(len(logits))).to(logits)
    if isinstance(metric, Rank):
        raise MetricError(
            "A rank changes in steps and has no gradient.",
            "Take a logit difference, a probability, or an exact method.",
        )
    with torch.enable_grad():
        leaf = logits.detach().requires_grad_()
        value = metric(leaf[None])[0]
        (slope,) = torch.autograd.grad(value, leaf)
    return slope


def expect_slope(task: Task, job: Job) -> None:
    """Raise MetricError where the metric's gradient is zero at every clean run, as KL's is."""
    with torch.no_grad():
        for example in task.examples:
            ran, _ = task.runs(example, job)
            slope = metric_gradient(example.metric, ran, _position(example, ran))
            if float(slope.abs().max()) > 1e-6:
                return
    raise MetricError(
        "The metric has no gradient at the clean runs: any small change leaves it as it is, so "
        "that every edge would score 0.",
        "Take method='eap-ig', which looks between the runs, or a logit difference.",
    )


def _position(example: Example, ran: Run) -> int:
    if reads_everywhere(example.metric):
        raise MetricError(
            "Gradient methods read the logits of one position, but the metric reads all.",
            "Take a metric of one position, or an exact method.",
        )
    return example.metric.position % ran.n_positions


def _linear(metric: Metric) -> LinearMetric:
    if not isinstance(metric, LinearMetric):
        raise MetricError(
            "The two-point rule is exact for weighted sums of logits, and the metric is none.",
            "Take a logit difference, or method='eap-ig' with this metric.",
        )
    return metric


def _there(corrupt: Run | None) -> Run:
    assert corrupt is not None  # noqa: S101  methods that need pairs are checked before
    return corrupt
