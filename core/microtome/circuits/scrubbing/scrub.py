"""Causal scrubbing: the share of a behaviour that is left when a hypothesis is taken at its word.

From the output back, whatever the hypothesis says a part computes is read from another input that
agrees on it, and whatever it says does not matter from any input at all.
Source: Chan et al., "Causal scrubbing: a method for rigorously testing interpretability
hypotheses" (Redwood Research, 2022).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypedDict, Unpack

import numpy as np
import torch
from jaxtyping import Float, Int

from microtome.circuits.asking import precise
from microtome.circuits.discovery.writers import expect_edges
from microtome.circuits.scrubbing.binding import Bound, bound
from microtome.circuits.scrubbing.drawing import claimed, places
from microtome.circuits.scrubbing.meaning import Meter
from microtome.circuits.scrubbing.passing import Passing
from microtome.circuits.scrubbing.streams import Written, expect_sums, logits_of
from microtome.errors import InputError, MemoryExceeded, MetricError, expect, megabytes
from microtome.interventions.sweeping.examples import Metrics, listed_prompts, prompt_examples
from microtome.interventions.sweeping.readout import measured
from microtome.interventions.sweeping.task import Example
from microtome.jobs import Job, job_or_default
from microtome.metrics import Metric, Probability, reads_everywhere
from microtome.models.anatomy import Anatomy
from microtome.models.arithmetic import anatomy_in
from microtome.models.given import expect_known, expect_model
from microtome.models.model import Model
from microtome.prompts import Prompt
from microtome.records.edges import Edges
from microtome.records.hypothesis import Hypothesis, expect_hypothesis
from microtome.records.scrubbed import Scrubbed

_RESAMPLES, _INSIDE = 1000, 95.0
_LEAST = 1e-6  # between the model and the baseline
BUDGET = 2 << 30  # bytes of what is kept


class Options(TypedDict, total=False):
    """How a hypothesis is tested."""

    draws: int  # scrubbed runs of every input, 4
    seed: int  # of the draws and of the bootstrap
    budget: int  # bytes of the inputs' runs and the swaps, 2 GB
    job: Job | None


def causal_scrub(
    model: Model,
    hypothesis: Hypothesis,
    data: Sequence[Prompt],
    metric: Metrics = None,
    **options: Unpack[Options],
) -> Scrubbed:
    """How much of a metric is left when a hypothesis is taken at its word.

    ``data`` are prompts; those of one length stand in for each other. ``metric`` is one for each
    of them, None for the probability of the token that the model itself finds most probable. The
    baseline of an input is the mean metric of the model's answer to it by the labels of all
    others. One draw serves one arrow (or one unimportant wire), input and position, and what is
    computed from it is kept. The result holds the share recovered with a bootstrap band over
    inputs, every value, and the inputs swapped in the first draw.

    Raises InputError for a hypothesis that the model cannot have, too few inputs of one length, and
    a metric on which model and baseline agree; MetricError for a metric of all positions;
    SiteMissing for models whose stream is no sum of what components write; MemoryExceeded.
    """
    job, seed = job_or_default(options.get("job")), _whole(options.get("seed", 0), "seed", 0)
    draws = _whole(options.get("draws", 4), "draws", 1)
    anatomy, laid = _laid(model, hypothesis)
    examples = _examples(model, data, metric)
    groups = _groups(examples)
    _expect_room(anatomy, laid, groups, options.get("budget", BUDGET))
    rng, meter = np.random.default_rng(seed), Meter(job)
    found = _Found(
        whole=np.empty(len(examples)),
        baseline=np.empty(len(examples)),
        scrubbed=np.empty((draws, len(examples))),
        swaps=np.full((len(laid.wires), len(examples), max(groups)), -1, dtype=np.int32),
    )
    with torch.no_grad():
        for numbers in groups.values():
            group = _Group(model, anatomy, laid, [examples[n] for n in numbers], meter)
            group.fill(found, np.array(numbers), rng)
    return _record(model, laid, examples, found, seed)


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """What is filled group by group."""

    whole: Float[np.ndarray, " input"]
    baseline: Float[np.ndarray, " input"]
    scrubbed: Float[np.ndarray, "draw input"]
    swaps: Int[np.ndarray, "wire input position"]


def _record(
    model: Model, laid: Bound, examples: Sequence[Example], found: _Found, seed: int
) -> Scrubbed:
    prompts = tuple(str(example.base.prompt) for example in examples)
    asked = {
        "id": "",
        "hypothesis": laid.hypothesis.plain(),
        "prompts": list(prompts),
        "metrics": [example.metric.name(model) for example in examples],
        "draws": len(found.scrubbed),
        "seed": seed,
    }
    asked["id"] = _identity(asked)
    mean = found.scrubbed.mean(0)
    return Scrubbed(
        hypothesis=laid.hypothesis,
        recovered=_recovered(mean, found.whole, found.baseline),
        band=_band(mean, found.whole, found.baseline, seed),
        whole=found.whole,
        baseline=found.baseline,
        scrubbed=found.scrubbed,
        inputs=prompts,
        wires=laid.wires,
        swaps=found.swaps,
        metric=_title(examples, model),
        params=asked,
    )


class _Group:
    """The inputs of one length."""

    def __init__(
        self, model: Model, anatomy: Anatomy, laid: Bound, examples: list[Example], meter: Meter
    ) -> None:
        self.anatomy, self.laid, self.job = anatomy, laid, meter.job
        self.metrics: list[Metric] = [example.metric for example in examples]
        ids = np.stack([example.base.ids for example in examples]).astype(np.int64)
        length = ids.shape[1]
        self.at = [example.metric.position % length for example in examples]
        self.spoken = tuple(_spoken(laid, box, length) for box in range(len(laid.nodes)))
        self.codes = tuple(claimed(term, model, ids, meter) for term in laid.terms)
        self.written = Written.of(anatomy, [torch.from_numpy(row) for row in ids], self.job)

    def fill(self, found: _Found, numbers: np.ndarray, rng: np.random.Generator) -> None:
        """Measure the model, the baseline, and every draw."""
        final = self.written.values.sum(0) + self.written.constants(self.laid.edges.n_readers - 1)
        by_label = np.stack(
            [
                measured(metric, self._logits(final, [at] * len(numbers)))
                for metric, at in zip(self.metrics, self.at, strict=True)
            ]
        )  # [label, input]
        found.whole[numbers] = by_label.diagonal()
        others = by_label.sum(0) - by_label.diagonal()
        found.baseline[numbers] = others / (len(numbers) - 1)
        for draw in range(len(found.scrubbed)):
            self.job.progress("Scrubbing", draw, len(found.scrubbed))
            passing = Passing(self.laid, self.written, self.codes, self.spoken, rng, self.job)
            logits = self._logits(passing.run(), self.at)
            found.scrubbed[draw, numbers] = [
                measured(metric, logits[row : row + 1])[0]
                for row, metric in enumerate(self.metrics)
            ]
            if draw == 0:
                self._keep(found.swaps, numbers, passing.taken)

    def _logits(self, streams: torch.Tensor, at: list[int]) -> torch.Tensor:
        self.job.check()
        return logits_of(self.anatomy, streams[torch.arange(len(at)), torch.tensor(at)])

    def _keep(self, swaps: np.ndarray, numbers: np.ndarray, taken: list[np.ndarray]) -> None:
        for row, drawn in enumerate(taken):
            swaps[row, numbers, : drawn.shape[1]] = numbers[drawn]
        last = len(self.laid.readers[-1].sources)  # the logits are read at one position
        for number, at in zip(numbers.tolist(), self.at, strict=True):
            kept = swaps[-last:, number, at].copy()
            swaps[-last:, number] = -1
            swaps[-last:, number, at] = kept


def _laid(model: Model, hypothesis: Hypothesis) -> tuple[Anatomy, Bound]:
    expect_model(model)
    expect_known(model, "Causal scrubbing")
    expect_edges(model.anatomy, model.identity.name)
    expect_sums(model.anatomy, model.identity.name)
    laid = bound(expect_hypothesis(hypothesis), Edges.of(model.anatomy))
    return anatomy_in(model.anatomy, precise(model.anatomy.embedding.dtype)), laid


def _examples(model: Model, data: Sequence[Prompt], metric: Metrics) -> tuple[Example, ...]:
    if metric is None:
        metric = [_most_probable(model, prompt) for prompt in listed_prompts(data, "data")]
    examples = prompt_examples(model, data, metric)
    if any(reads_everywhere(example.metric) for example in examples):
        raise MetricError(
            "The metric reads all positions, and a hypothesis is about one answer.",
            "Give a metric of one position, for example one Probability for each prompt.",
        )
    return examples


def _most_probable(model: Model, prompt: Prompt) -> Probability:
    tokens = model.tokenize(prompt)
    at = model.read_at(tokens.ids)
    return Probability(int(model.run(tokens)[at].argmax()), at)


def _groups(examples: Sequence[Example]) -> dict[int, list[int]]:
    groups: dict[int, list[int]] = {}
    for number, example in enumerate(examples):
        groups.setdefault(len(example.base), []).append(number)
    for length, numbers in groups.items():
        if len(numbers) < 2:
            raise InputError(
                f"Only one input has {length} tokens, so that no other can stand in for it.",
                "Give several inputs of each length: 50 or more tell most.",
            )
    return groups


def _expect_room(anatomy: Anatomy, laid: Bound, groups: dict[int, list[int]], budget: int) -> None:
    most = max(length * len(numbers) for length, numbers in groups.items())
    values = laid.edges.n_writers + sum(len(nodes) for nodes in laid.nodes)
    values *= anatomy.d_model * anatomy.embedding.element_size()
    all_places = max(groups) * sum(map(len, groups.values()))
    size = most * values + 4 * len(laid.wires) * (most + all_places)
    if size > budget:
        raise MemoryExceeded(
            f"The runs of these inputs and their swaps take {megabytes(size)}, and the budget is "
            f"{megabytes(budget)}.",
            "Give fewer or shorter inputs, or a larger budget=….",
        )


def _spoken(laid: Bound, box: int, length: int) -> Int[np.ndarray, " place"]:
    own = laid.hypothesis.boxes[box]
    try:
        return places(own.positions, length)
    except IndexError as error:
        raise InputError(
            f"The box {own.name} speaks of position {error.args[0]}, but an input has {length} "
            "tokens.",
            f"Positions are 0 to {length - 1}, or -1 for the last.",
        ) from None


def _whole(given: object, name: str, least: int) -> int:
    expect(given, int, name, "a whole number", f"Write {name}=4.")
    assert isinstance(given, int)  # noqa: S101
    if given < least:
        raise InputError(f"{name} is {given}.", f"Give {least} or more.")
    return given


def _recovered(scrubbed: np.ndarray, whole: np.ndarray, baseline: np.ndarray) -> float:
    span = float(whole.mean() - baseline.mean())
    if not abs(span) >= _LEAST:
        raise InputError(
            "The model's metric is the same with the labels of other inputs: there is nothing to "
            "recover.",
            "Give inputs with different answers, and one metric for each.",
        )
    return float(scrubbed.mean() - baseline.mean()) / span


def _band(
    scrubbed: np.ndarray, whole: np.ndarray, baseline: np.ndarray, seed: int
) -> Float[np.ndarray, " 2"]:
    """The 95 % bootstrap interval over inputs."""
    count = len(whole)
    draws = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), _RESAMPLES)
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = (draws @ (scrubbed - baseline)) / (draws @ (whole - baseline))
    ends = [(100 - _INSIDE) / 2, (100 + _INSIDE) / 2]
    return np.asarray(np.nanpercentile(shares, ends), dtype=np.float64)


def _title(examples: Sequence[Example], model: Model) -> str:
    names = {example.metric.name(model) for example in examples}
    kinds = {type(example.metric) for example in examples}
    if len(names) == 1:
        return names.pop()
    return "p(right)" if kinds == {Probability} else "metric of each input"


def _identity(asked: dict[str, Any]) -> str:
    return f"scrubbed-{hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:12]}"
