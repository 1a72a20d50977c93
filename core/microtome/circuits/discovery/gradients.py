"""Methods that score all edges from the worth of what readers take up: a product for each edge.

The score of an edge is what the writer's output differs by, times the reader's worth, summed over
positions. They differ in where the worth is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from microtome.circuits.backward import backward
from microtome.circuits.carried import Carried
from microtome.circuits.coefficients import Coefficients, Rule, coefficients
from microtome.circuits.discovery.partial import Partials, ScoreMean
from microtome.circuits.discovery.readers import reader_worths
from microtome.circuits.discovery.task import Task, in_place
from microtome.circuits.discovery.writers import written
from microtome.errors import MetricError
from microtome.interventions.sweeping.task import Example
from microtome.jobs import Job
from microtome.metrics import LinearMetric, Metric, Rank, reads_everywhere
from microtome.models.anatomy import Mlp
from microtome.models.arithmetic import Edit, Run, run
from microtome.models.together import run_together
from microtome.records.edges import Edges

_ROWS = 256  # of prompts that run together
_FLAT = 1e-5  # a gradient of probabilities that float32 cannot tell from none

Worths = Float[Tensor, "reader position d_model"]


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """One example: its runs, and what each writer's output differs by."""

    task: Task
    example: Example
    clean: Run
    corrupt: Run | None
    difference: Float[Tensor, "writer position d_model"]
    job: Job

    @property
    def other(self) -> Run:
        """The corrupt run; methods that need it are given pairs."""
        assert self.corrupt is not None  # noqa: S101
        return self.corrupt

    @property
    def position(self) -> int:
        """Where the metric reads the logits. Raises MetricError for one that reads all."""
        if reads_everywhere(self.example.metric):
            raise MetricError(
                "Gradient methods read the logits of one position, but the metric reads all.",
                "Take a metric of one position, or an exact method.",
            )
        return self.example.metric.position % self.clean.n_positions

    def between(
        self, edits: Sequence[Edit], constant: tuple[str, int] | None = None
    ) -> Iterator[Worth]:
        """The gradients in the clean run with each of some edits.

        What a ``constant`` site of a layer adds hands nothing back.
        """
        ids = self.task.ids(self.example)
        most = max(1, _ROWS // len(ids))  # together
        for start in range(0, len(edits), most):
            some = edits[start : start + most]
            runs = run_together(self.clean.anatomy, [ids] * len(some), edits=some, job=self.job)
            yield from (_at(ran, self, constant) for ran in runs)


@dataclass(frozen=True, slots=True, eq=False)
class Worth:
    """The worth of what each reader reads, and the linear maps that it was taken in."""

    coefficients: Coefficients
    of: Worths


# The worths whose mean counts.
Way = Callable[[Asked], Iterator[Worth]]


def gradient_scores(
    task: Task,
    way: Way,
    job: Job,
    *,
    by_position: bool = False,
    partials: Partials | None = None,
) -> Float[np.ndarray, "*position writer reader"]:
    """The mean over examples of output difference times worth; positive raises the metric."""
    edges = task.edges
    mean = ScoreMean(edges, len(task.examples), partials)
    means: dict[int, Tensor | None] = {}
    with torch.no_grad():
        for number, example in enumerate(task.examples):
            job.progress("Scoring edges", number, len(task.examples))
            length = len(example.base)
            if length not in means:
                means[length] = task.mean(length, job)
            clean, corrupt = task.runs(example, job)
            difference = written(clean) - in_place(means[length], corrupt)
            asked = Asked(task, example, clean, corrupt, difference, job)
            mean.add(_mean_products(edges, asked, way(asked), by_position=by_position))
    job.progress("Scoring edges", len(task.examples), len(task.examples))
    return mean.mean()


def _mean_products(
    edges: Edges, asked: Asked, worths: Iterator[Worth], *, by_position: bool
) -> Float[Tensor, "*position writer reader"]:
    """The mean over worths of output difference times worth."""
    anatomy, taken = asked.clean.anatomy, list(worths)
    if not anatomy.norms_on_stream:  # outputs are the same everywhere
        mean = torch.stack([each.of for each in taken]).mean(0) if taken[1:] else taken[0].of
        taken = [Worth(taken[0].coefficients, mean)]
    parts = [_products(edges, worth, asked.difference, by_position=by_position) for worth in taken]
    return torch.stack(parts).mean(0)


def _products(
    edges: Edges, worth: Worth, difference: Tensor, *, by_position: bool
) -> Float[Tensor, "*position writer reader"]:
    """Output difference times worth for all writers and readers."""
    carried = Carried(worth.coefficients, difference)
    places = (difference.shape[1],) if by_position else ()
    scores = difference.new_zeros(*places, edges.n_writers, edges.n_readers)

    def fill(outputs: Tensor, readers: slice) -> None:
        own = worth.of[readers]
        if by_position:
            scores[:, : len(outputs), readers] = outputs.transpose(0, 1) @ own.permute(1, 2, 0)
        else:
            scores[: len(outputs), readers] = outputs.flatten(1) @ own.flatten(1).T

    fill(carried.end(), slice(edges.n_readers - 1, edges.n_readers))
    for layer in reversed(range(edges.n_layers)):
        mlp = edges.mlp_reader(layer)
        fill(carried.middle(layer), slice(mlp, mlp + 1))
        fill(carried.before(layer), edges.head_readers(layer))
    return scores


# ---------------------------------------------------------------------- where worth is taken


def two_point(asked: Asked) -> Iterator[Worth]:
    """Exactly between the two runs (docs/component-graph.md); the metric has to be linear."""
    metric = asked.example.metric
    if not isinstance(metric, LinearMetric):
        raise MetricError(
            "The two-point rule is exact for weighted sums of logits, and the metric is none.",
            "Take a logit difference, or method='eap-ig' with this metric.",
        )
    size = asked.clean.anatomy.unembedding.shape[0]
    weights = torch.as_tensor(metric.coefficients(size)).to(asked.clean.final)
    frozen = coefficients(asked.clean, asked.other, Rule.TWO_POINT, asked.position)
    yield _worth(frozen, weights, asked)


def at_clean(asked: Asked) -> Iterator[Worth]:
    """The gradient at the clean run: edge attribution patching (Syed et al. 2023)."""
    yield _at(asked.clean, asked)


def at_both_ends(asked: Asked) -> Iterator[Worth]:
    """The gradients at the clean and at the corrupt run (Hanna et al. 2024)."""
    yield _at(asked.clean, asked)
    yield _at(asked.other, asked)


def along_inputs(steps: int) -> Way:
    """Gradients along the straight line between the embeddings (Hanna et al. 2024).

    Steps are taken at 0/m, …, (m - 1)/m of the way from corrupt (or what takes its place) to clean.
    """

    def way(asked: Asked) -> Iterator[Worth]:
        left = [(1 - step / steps) * asked.difference[0] for step in range(steps)]
        yield from asked.between([_less("embed", -1, amount) for amount in left])

    return way


def along_activations(steps: int) -> Way:
    """Gradients while each group of writers in turn goes from corrupt to clean.

    Groups are the input, the heads of a layer and an MLP; steps are 1/m, …, m/m of the way. What a
    group adds is then a constant, so that nothing flows back through it. The mean is over steps and
    groups, so that scores compare with each other, not with EAP's.
    """

    def way(asked: Asked) -> Iterator[Worth]:
        for site, layer, writers in _groups(asked.task.edges):
            whole = asked.difference[writers].sum(0)
            left = [whole * (1 - step / steps) for step in range(1, steps + 1)]
            yield from asked.between([_less(site, layer, each) for each in left], (site, layer))

    return way


def _less(site: str, layer: int, amount: Tensor) -> Edit:
    """The edit that takes an amount from what a site adds to the stream."""

    def edit(name: str, number: int, value: Tensor) -> Tensor:
        return value - amount if (name, number) == (site, layer) else value

    return edit


def _groups(edges: Edges) -> Iterator[tuple[str, int, slice]]:
    """Site, layer and writers of what moves together."""
    yield "embed", -1, slice(0, 1)
    for layer in range(edges.n_layers):
        yield "attn_out", layer, edges.heads(layer)
        yield "mlp_out", layer, slice(edges.mlp(layer), edges.mlp(layer) + 1)


def _at(ran: Run, asked: Asked, constant: tuple[str, int] | None = None) -> Worth:
    """The gradient of the metric in a run, where what one site of a layer adds is a constant."""
    frozen = coefficients(ran, ran, Rule.EAP_CLEAN, asked.position)
    if constant is not None:
        frozen = _without_back(frozen, *constant)
    return _worth(frozen, metric_gradient(asked.example.metric, ran, asked.position), asked)


def _without_back(frozen: Coefficients, site: str, layer: int) -> Coefficients:
    """The same maps, but nothing flows back through a layer's heads or its MLP."""
    attention, mlp = list(frozen.attention), list(frozen.mlp)
    if site == "attn_out":
        heads = attention[layer].weights
        cut = replace(heads, w_o=torch.zeros_like(heads.w_o))
        attention[layer] = replace(attention[layer], weights=cut)
    elif site == "mlp_out":
        neurons = mlp[layer].weights
        assert isinstance(neurons, Mlp)  # noqa: S101  routed models are refused
        cut_out = replace(neurons, w_out=torch.zeros_like(neurons.w_out))
        mlp[layer] = replace(mlp[layer], weights=cut_out)
    return replace(frozen, attention=tuple(attention), mlp=tuple(mlp))


def _worth(frozen: Coefficients, weights: Tensor, asked: Asked) -> Worth:
    return Worth(frozen, reader_worths(backward(frozen, weights, asked.position, job=asked.job)))


# ---------------------------------------------------------------------- the metric's own slope


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
            if isinstance(example.metric, LinearMetric) or reads_everywhere(example.metric):
                return
            clean = run(task.anatomy, task.ids(example), job=job)
            at = example.metric.position % clean.n_positions
            if float(metric_gradient(example.metric, clean, at).abs().max()) > _FLAT:
                return
    raise MetricError(
        "The metric has no gradient at the clean runs: any small change leaves it as it is, so "
        "that every edge would score 0.",
        "Take method='eap-ig', which looks between the runs, or a logit difference.",
    )
