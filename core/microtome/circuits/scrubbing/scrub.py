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
from typing import Any, TypedDict, Unpack

import numpy as np
import torch
from jaxtyping import Float, Int

from microtome.bootstrap import ratio_band
from microtome.circuits.asking import precise
from microtome.circuits.discovery.writers import expect_edges
from microtome.circuits.scrubbing.binding import Bound, bound
from microtome.circuits.scrubbing.drawing import Known
from microtome.circuits.scrubbing.group import Found, Group
from microtome.circuits.scrubbing.meaning import Meter
from microtome.circuits.scrubbing.streams import expect_sums
from microtome.errors import InputError, MemoryExceeded, MetricError, expect, megabytes
from microtome.interventions.sweeping.examples import Metrics, listed_prompts, prompt_examples
from microtome.interventions.sweeping.task import Example
from microtome.jobs import Job, job_or_default
from microtome.metrics import Probability, reads_everywhere
from microtome.models.anatomy import Anatomy
from microtome.models.arithmetic import anatomy_in
from microtome.models.given import expect_known, expect_model
from microtome.models.model import Model
from microtome.models.small import small_on_one_thread
from microtome.prompts import Prompt
from microtome.records.edges import Edges
from microtome.records.hypothesis import Hypothesis, expect_hypothesis
from microtome.records.scrubbed import Scrubbed

_LEAST = 1e-6  # between the model and the baseline
BUDGET = 2 << 30  # bytes of what is kept


class Options(TypedDict, total=False):
    """How a hypothesis is tested."""

    draws: int  # scrubbed runs of every input, 4
    seed: int  # of the draws and of the bootstrap
    budget: int  # bytes of the inputs' runs and the swaps, 2 GB
    job: Job | None


@small_on_one_thread
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
    examples = _examples(model, data, metric, job)
    groups = _groups(examples)
    _expect_room(anatomy, laid, groups, options.get("budget", BUDGET))
    rng, meter = np.random.default_rng(seed), Meter(job)
    known = Known(model)
    given = tuple(listed_prompts(data, "data"))
    found = Found.empty(known, laid, given, draws, max(groups))
    last = list(groups)[-1]
    with torch.no_grad():
        for length, numbers in groups.items():
            group = Group(anatomy, laid, known, [examples[n] for n in numbers], meter)

            def told(done: int, length: int = length) -> None:
                if length == last and done < draws:  # all inputs have this draw
                    job.partial("scrubbed", _record(model, laid, examples, found, seed, done))

            group.fill(found, np.array(numbers), rng, told)
    return _record(model, laid, examples, found, seed, draws)


def _record(
    model: Model, laid: Bound, examples: Sequence[Example], found: Found, seed: int, draws: int
) -> Scrubbed:
    """The record of the first ``draws``; those of all are what its identity tells of."""
    prompts = tuple(str(example.base.prompt) for example in examples)
    asked = {
        "id": "",
        "hypothesis": laid.hypothesis.plain(),
        "prompts": [list(each) if isinstance(each, tuple) else each for each in found.given],
        "metrics": [example.metric.name(model) for example in examples],
        "answers": [getattr(example.metric, "answer", None) for example in examples],
        "draws": len(found.scrubbed),
        "seed": seed,
    }
    asked["id"] = _identity(asked)
    mean = found.scrubbed[:draws].mean(0)
    return Scrubbed(
        hypothesis=laid.hypothesis,
        recovered=_recovered(mean, found.whole, found.baseline),
        band=_band(mean, found.whole, found.baseline, seed),
        whole=found.whole,
        baseline=found.baseline,
        scrubbed=found.scrubbed[:draws].copy(),
        inputs=prompts,
        wires=laid.wires,
        swaps=found.swaps,
        tokens=_texts(model, found.tokens),
        claims=found.claims,
        values=found.known.texts,
        metric=_title(examples, model),
        params=asked,
    )


def _texts(model: Model, ids: Int[np.ndarray, "input position"]) -> np.ndarray:
    """The tokens as one reads them, empty where an input has none."""
    known = {int(token): model.token_text(int(token)) for token in np.unique(ids[ids >= 0])}
    texts = [[known.get(token, "") for token in row] for row in ids.tolist()]
    return np.array(texts, dtype=np.str_)


def _laid(model: Model, hypothesis: Hypothesis) -> tuple[Anatomy, Bound]:
    expect_model(model)
    expect_known(model, "Causal scrubbing")
    expect_edges(model.anatomy, model.identity.name)
    expect_sums(model.anatomy, model.identity.name)
    laid = bound(expect_hypothesis(hypothesis), Edges.of(model.anatomy))
    return anatomy_in(model.anatomy, precise(model.anatomy.embedding.dtype)), laid


def _examples(
    model: Model, data: Sequence[Prompt], metric: Metrics, job: Job
) -> tuple[Example, ...]:
    if metric is None:
        listed = listed_prompts(data, "data")
        metric = []
        for number, prompt in enumerate(listed):
            job.progress("Asking the model", number, len(listed))
            metric.append(_most_probable(model, prompt))
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
    """The interval of the share recovered, over inputs."""
    found = ratio_band((scrubbed - baseline)[:, None], (whole - baseline)[:, None], seed)
    return np.asarray(found[:, 0])


def _title(examples: Sequence[Example], model: Model) -> str:
    names = {example.metric.name(model) for example in examples}
    kinds = {type(example.metric) for example in examples}
    if len(names) == 1:
        return names.pop()
    return "p(right)" if kinds == {Probability} else "metric of each input"


def _identity(asked: dict[str, Any]) -> str:
    return f"scrubbed-{hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:12]}"
