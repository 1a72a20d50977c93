"""Methods that score all edges from the worth of what readers take up: a product for each edge.

The score of an edge is what the writer's output differs by, times the reader's worth, summed over
positions. They differ in where the worth is taken. Examples of one length, and the steps between
two runs, are rows of one matrix, as many as the budget holds.
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
from microtome.circuits.discovery.room import Room
from microtome.circuits.discovery.runs import Ran, first_runs, some_runs, tiled
from microtome.circuits.discovery.task import Task
from microtome.errors import MetricError
from microtome.interventions.sweeping.task import Example
from microtome.jobs import Job
from microtome.metrics import LinearMetric, Metric, Rank, reads_everywhere
from microtome.models.anatomy import Mlp
from microtome.models.arithmetic import Edit, Run, run
from microtome.records.edges import Edges

_FLAT = 1e-5  # a gradient of probabilities that float32 cannot tell from none

Worths = Float[Tensor, "reader example position d_model"]


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """Some examples of one length, what was run of them, and where their metrics read."""

    task: Task
    examples: tuple[Example, ...]
    ran: Ran
    position: int
    together: int  # runs that go back in one matrix
    job: Job

    @property
    def stepwise(self) -> bool:
        """Whether each run has to be taken by itself: outputs are other vectors in each."""
        return self.task.anatomy.norms_on_stream

    def at(self, runs: Run, constant: tuple[str, int] | None = None) -> Iterator[Worth]:
        """The gradients in runs that are steps of all examples, those of a step together.

        What a ``constant`` site of a layer adds hands nothing back.
        """
        count = len(self.examples)
        steps = len(runs.ids) // count
        most = 1 if self.stepwise else max(1, self.together // count)
        for start in range(0, steps, most):
            some = min(most, steps - start)
            part = some_runs(runs, slice(start * count, (start + some) * count))
            yield self._gradient(part, some, constant)

    def between(self, edits: Sequence[Edit], constant: tuple[str, int]) -> Iterator[Worth]:
        """The gradients in the clean runs with each of some edits."""
        ids = self.ran.clean.ids
        most = 1 if self.stepwise else max(1, self.together // len(ids))
        for start in range(0, len(edits), most):
            some = edits[start : start + most]
            ran = run(self.task.anatomy, tiled(ids, len(some)), edit=_each(some), job=self.job)
            yield from self.at(ran, constant)

    def _gradient(self, runs: Run, steps: int, constant: tuple[str, int] | None) -> Worth:
        frozen = coefficients(runs, runs, Rule.EAP_CLEAN, self.position)
        if constant is not None:
            frozen = _without_back(frozen, *constant)
        logits = None
        if not all(isinstance(each.metric, LinearMetric) for each in self.examples):
            logits = runs.logits(self.position)
        size = self.task.anatomy.unembedding.shape[0]
        slopes = [
            metric_gradient(example.metric, None if logits is None else logits[row], size)
            for row, example in enumerate(self.examples * steps)
        ]
        return self.worth(frozen, torch.stack(slopes).to(runs.final), steps)

    def worth(self, frozen: Coefficients, weights: Tensor, steps: int = 1) -> Worth:
        """The mean worth of what each reader reads, over the steps of each example."""
        gradient = backward(frozen, weights, self.position, job=self.job)
        return Worth(frozen, reader_worths(gradient, steps), steps)


@dataclass(frozen=True, slots=True, eq=False)
class Worth:
    """The mean worth of what each reader reads over some steps, and the last linear maps."""

    coefficients: Coefficients
    of: Worths
    steps: int


@dataclass(frozen=True, slots=True)
class Way:
    """Where worth is taken: the runs, and how many of them lie between the two inputs.

    A ``linear`` way needs metrics that are weighted sums of logits.
    """

    worths: Callable[[Asked], Iterator[Worth]]
    between: int = 0
    at_once: int = 1  # runs of each example that go back together
    linear: bool = False

    def expect(self, metric: Metric) -> None:
        """Raise MetricError for a metric that cannot be used."""
        if self.linear and not isinstance(metric, LinearMetric):
            raise MetricError(
                "The two-point rule is exact for weighted sums of logits, and the metric is none.",
                "Take a logit difference, or method='eap-ig' with this metric.",
            )
        if isinstance(metric, Rank):
            raise _no_slope()
        if reads_everywhere(metric):
            raise MetricError(
                "Gradient methods read the logits of one position, but the metric reads all.",
                "Take a metric of one position, or an exact method.",
            )


def gradient_scores(
    task: Task,
    way: Way,
    job: Job,
    *,
    by_position: bool = False,
    partials: Partials | None = None,
) -> Float[np.ndarray, "*position writer reader"]:
    """The mean over examples of output difference times worth; positive raises the metric."""
    edges, count = task.edges, len(task.examples)
    for example in task.examples:
        way.expect(example.metric)
    mean = ScoreMean(edges, count, partials)
    with torch.no_grad():
        for length, position, numbers in _alike(task):
            job.progress("Scoring edges", mean.done, count)
            other = task.mean(length, job)
            room = Room.of(task.anatomy, length, task.budget)
            together = 1 if task.anatomy.norms_on_stream else room.examples(way.at_once)
            for start in range(0, len(numbers), together):
                job.progress("Scoring edges", mean.done, count)
                some = numbers[start : start + together]
                examples = tuple(task.examples[number] for number in some)
                ran = first_runs(task, examples, other, way.between, job)
                asked = Asked(task, examples, ran, position, room.runs, job)
                mean.add(_mean_products(edges, asked, way, by_position=by_position), len(some))
    job.progress("Scoring edges", count, count)
    return mean.mean()


def _alike(task: Task) -> Iterator[tuple[int, int, list[int]]]:
    """The numbers of the examples of one length whose metrics read one position."""
    for length, numbers in task.by_length().items():
        by_position: dict[int, list[int]] = {}
        for number in numbers:
            at = task.examples[number].metric.position % length
            by_position.setdefault(at, []).append(number)
        for position, alike in by_position.items():
            yield length, position, alike


def _mean_products(
    edges: Edges, asked: Asked, way: Way, *, by_position: bool
) -> Float[Tensor, "*position writer reader"]:
    """Output difference times worth, its mean over the steps and its sum over the examples."""
    total: Tensor | None = None
    held: Worth | None = None
    steps = 0
    for worth in way.worths(asked):
        steps += worth.steps
        if asked.stepwise:
            part = _products(edges, worth, asked.ran.difference, by_position=by_position)
            total = part if total is None else total + part
        elif held is None:
            held = replace(worth, of=worth.of.mul_(worth.steps)) if worth.steps > 1 else worth
        else:
            held.of.add_(worth.of, alpha=worth.steps)
    if held is not None:
        total = _products(edges, held, asked.ran.difference, by_position=by_position)
    assert total is not None  # noqa: S101  every way takes a worth
    return total / steps


def _products(
    edges: Edges,
    worth: Worth,
    difference: Float[Tensor, "writer example position d_model"],
    *,
    by_position: bool,
) -> Float[Tensor, "*position writer reader"]:
    """Output difference times worth for all writers and readers."""
    # Norms on the stream make other vectors of outputs, which are then those of one example.
    outputs = difference[:, 0] if difference.shape[1] == 1 else difference
    carried = Carried(worth.coefficients, outputs)
    places = (difference.shape[2],) if by_position else ()
    scores = difference.new_zeros(*places, edges.n_writers, edges.n_readers)

    def fill(outputs: Tensor, readers: slice) -> None:
        own = worth.of[readers]
        if by_position:
            outputs = outputs.view(len(outputs), *own.shape[1:])
            left, right = (each.permute(2, 0, 1, 3).flatten(2) for each in (outputs, own))
            scores[:, : len(outputs), readers] = left @ right.mT
        else:
            scores[: len(outputs), readers] = outputs.flatten(1) @ own.flatten(1).T

    fill(carried.end(), slice(edges.n_readers - 1, edges.n_readers))
    for layer in reversed(range(edges.n_layers)):
        mlp = edges.mlp_reader(layer)
        fill(carried.middle(layer), slice(mlp, mlp + 1))
        fill(carried.before(layer), edges.head_readers(layer))
    return scores


# ---------------------------------------------------------------------- where worth is taken


def two_point() -> Way:
    """Exactly between the two runs (docs/component-graph.md); the metric has to be linear."""
    return Way(_two_point, linear=True)


def _two_point(asked: Asked) -> Iterator[Worth]:
    clean, other = asked.ran.clean, asked.ran.other
    size = asked.task.anatomy.unembedding.shape[0]
    weights = [metric_gradient(example.metric, None, size) for example in asked.examples]
    frozen = coefficients(clean, other, Rule.TWO_POINT, asked.position)
    yield asked.worth(frozen, torch.stack(weights).to(clean.final))


def at_clean() -> Way:
    """The gradient at the clean run: edge attribution patching (Syed et al. 2023)."""
    return Way(lambda asked: asked.at(asked.ran.clean))


def at_both_ends() -> Way:
    """The gradients at the clean and at the corrupt run (Hanna et al. 2024)."""
    return Way(lambda asked: asked.at(asked.ran.ends), at_once=2)


def along_inputs(steps: int) -> Way:
    """Gradients along the straight line between the embeddings (Hanna et al. 2024).

    Steps are taken at 0/m, …, (m - 1)/m of the way from corrupt (or what takes its place) to clean.
    """
    return Way(lambda asked: asked.at(asked.ran.line), between=steps, at_once=steps)


def along_activations(steps: int) -> Way:
    """Gradients while each group of writers in turn goes from corrupt to clean.

    Groups are the input, the heads of a layer and an MLP; steps are 1/m, …, m/m of the way. What a
    group adds is then a constant, so that nothing flows back through it. The mean is over steps and
    groups, so that scores compare with each other, not with EAP's.
    """

    def worths(asked: Asked) -> Iterator[Worth]:
        for site, layer, writers in _groups(asked.task.edges):
            whole = asked.ran.difference[writers].sum(0)
            left = [whole * (1 - step / steps) for step in range(1, steps + 1)]
            yield from asked.between([_less(site, layer, each) for each in left], (site, layer))

    return Way(worths, at_once=steps)


def _less(site: str, layer: int, amount: Float[Tensor, "example position d_model"]) -> Edit:
    """The edit that takes an amount from what a site adds to the stream."""

    def edit(name: str, number: int, value: Tensor) -> Tensor:
        return value - amount if (name, number) == (site, layer) else value

    return edit


def _each(edits: Sequence[Edit]) -> Edit:
    """The edit that does one after another to the runs of one step after another."""

    def edit(name: str, layer: int, value: Tensor) -> Tensor:
        parts = zip(edits, value.chunk(len(edits)), strict=True)
        made = [change(name, layer, part) for change, part in parts]
        same = all(one is part for one, part in zip(made, value.chunk(len(edits)), strict=True))
        return value if same else torch.cat(made)

    return edit


def _groups(edges: Edges) -> Iterator[tuple[str, int, slice]]:
    """Site, layer and writers of what moves together."""
    yield "embed", -1, slice(0, 1)
    for layer in range(edges.n_layers):
        yield "attn_out", layer, edges.heads(layer)
        yield "mlp_out", layer, slice(edges.mlp(layer), edges.mlp(layer) + 1)


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


# ---------------------------------------------------------------------- the metric's own slope


def metric_gradient(
    metric: Metric, logits: Float[Tensor, " vocabulary"] | None, size: int
) -> Float[Tensor, " vocabulary"]:
    """The gradient of a metric to so many logits; linear metrics need not know them.

    Raises MetricError for a metric that has none.
    """
    if isinstance(metric, LinearMetric):
        return torch.as_tensor(metric.coefficients(size))
    if isinstance(metric, Rank):
        raise _no_slope()
    assert logits is not None  # noqa: S101
    with torch.enable_grad():
        leaf = logits.detach().requires_grad_()
        value = metric(leaf[None])[0]
        (slope,) = torch.autograd.grad(value, leaf)
    return slope


def _no_slope() -> MetricError:
    return MetricError(
        "A rank changes in steps and has no gradient.",
        "Take a logit difference, a probability, or an exact method.",
    )


def expect_slope(task: Task, job: Job) -> None:
    """Raise MetricError where the metric's gradient is zero at every clean run, as KL's is."""
    with torch.no_grad():
        for example in task.examples:
            if isinstance(example.metric, LinearMetric) or reads_everywhere(example.metric):
                return
            clean = run(task.anatomy, task.ids(example), job=job)
            at = example.metric.position % clean.n_positions
            logits = clean.logits(at)
            slope = metric_gradient(example.metric, logits, len(logits))
            if float(slope.abs().max()) > _FLAT:
                return
    raise MetricError(
        "The metric has no gradient at the clean runs: any small change leaves it as it is, so "
        "that every edge would score 0.",
        "Take method='eap-ig', which looks between the runs, or a logit difference.",
    )
