"""From prompts and metrics to examples: which run is changed, and where the values come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

import numpy as np
import torch
from jaxtyping import Int

from microtome.errors import InputError, MetricError, PromptError, WrongKind, described, expect
from microtome.interventions.sweeping.task import Example
from microtome.metrics import KL, CustomMetric, Loss, Metric, default_metric, reads_everywhere
from microtome.models.given import expect_known
from microtome.models.model import Model
from microtome.models.tokens import Tokens
from microtome.prompts import ImageInput, Prompt, PromptPair
from microtome.sites import Site

Metrics = Metric | Sequence[Metric] | None


def sized_examples(
    model: Model, prompts: Any, metric: Metrics, *, align: bool = False, copies: int = 1
) -> tuple[Example, ...]:
    """Examples good for counting only: nothing is run, and their metrics name no answer.

    ``prompts`` are pairs or single prompts; of a causal trace there are ``copies``.
    """
    pairs = [prompts] if isinstance(prompts, PromptPair) else listed_prompts(prompts, "prompts")
    if not pairs:
        raise InputError("There is nothing to sweep over.", "Give a pair or a prompt, or a list.")
    if not isinstance(pairs[0], PromptPair):
        made = prompt_examples(model, prompts, _sizes(model, metric, prompts))
    else:
        sizes = _sizes(model, metric, pairs[0].clean)
        made = pair_examples(model, pairs, sizes, noising=False, align=align)
    return made * copies


def _sizes(model: Model, metric: Metrics, prompt: Any) -> CustomMetric:
    """A metric that reads where the given one does."""
    count = len(metric) if isinstance(metric, Sequence) and metric else 1
    first = _one_each(metric, count)[0]
    if first is not None:
        everywhere = reads_everywhere(first)
        return CustomMetric(_nothing, position=first.position, everywhere=everywhere)
    tokens = model.tokenize(listed_prompts(prompt, "prompts")[0])
    return CustomMetric(_nothing, position=model.read_at(tokens.ids))


def _nothing(logits: Any) -> Any:
    return logits[..., 0]


def pair_examples(
    model: Model,
    pairs: PromptPair | Sequence[PromptPair],
    metric: Metrics,
    *,
    noising: bool,
    align: bool,
) -> tuple[Example, ...]:
    """An example for each pair.

    Denoising changes the corrupt run, noising the clean one. Raises PromptError for a pair whose
    prompts have different numbers of tokens, unless they are to be aligned.
    """
    wanted, example = "a PromptPair or a list of them", "Write PromptPair('…', '…')."
    expect(pairs, (PromptPair, Sequence), "pairs", wanted, example)
    listed = [pairs] if isinstance(pairs, PromptPair) else list(pairs)
    if not listed:
        raise InputError("There is no pair to sweep over.", "Give a PromptPair, or a list of them.")
    metrics = _one_each(metric, len(listed))
    made = []
    for pair, own in zip(listed, metrics, strict=True):
        expect(pair, PromptPair, "pairs", wanted, example)
        clean, corrupt = model.tokenize(pair.clean), model.tokenize(pair.corrupt)
        problem = clean.unlike(corrupt)
        if problem and not align:
            raise PromptError(
                problem,
                "Replace words by words of as many tokens, or align them (Align in the window, "
                "--align, align=True): positions without a partner then stay empty.",
            )
        base, source = (clean, corrupt) if noising else (corrupt, clean)
        resolved = _resolved(model, own, clean, corrupt, base)
        made.append(Example(base, source, _partners(base, source), resolved))
    return tuple(made)


def expect_keys(kind: str, examples: Sequence[Example]) -> None:
    """Raise InputError when patterns are to be put into a prompt that has other keys."""
    axes = Site.of(kind).kind.axes
    counts = [(len(each.base), len(each.source)) for each in examples if each.source is not None]
    other = next((pair for pair in counts if pair[0] != pair[1]), None)
    if other and "key" in axes:
        raise InputError(
            f"A {kind} has a weight for each key, so that it needs prompts of the same number of "
            f"tokens, but these have {other[0]} and {other[1]}.",
            "Sweep q, k, v or z, or give prompts of one length.",
        )


def listed_prompts(prompts: Any, name: str) -> list[Any]:
    """The prompts of a list, or the one that was given alone.

    Raises WrongKind for what is neither.
    """
    if isinstance(prompts, ImageInput):
        return [prompts]
    if isinstance(prompts, PromptPair) or not isinstance(prompts, Sequence):
        raise WrongKind(
            f"{name} is {described(prompts)}, but a prompt or a list of prompts was expected.",
            "Give the clean prompt of a pair, or several in a list.",
        )
    single = isinstance(prompts, str) or all(isinstance(part, int) for part in prompts)
    return [prompts] if single and len(prompts) else list(prompts)


def prompt_examples(
    model: Model, prompts: Prompt | Sequence[Prompt], metric: Metrics
) -> tuple[Example, ...]:
    """An example without a source for each prompt."""
    listed = listed_prompts(prompts, "prompts")
    if not listed:
        raise InputError("There is no prompt to sweep over.", "Give a prompt, or a list of them.")
    made = []
    for prompt, own in zip(listed, _one_each(metric, len(listed)), strict=True):
        tokens = model.tokenize(prompt)
        resolved = _resolved(model, own, tokens, None, tokens)
        made.append(Example(tokens, None, np.arange(len(tokens)), resolved))
    return tuple(made)


@dataclass(frozen=True, slots=True)
class Noise:
    """Normal noise on the embeddings of a span, from its first position to behind its last.

    ``size`` is in standard deviations of all embeddings.
    """

    span: tuple[int, int]
    size: float
    samples: int
    seed: int


def noised_examples(
    model: Model, prompt: Prompt | Sequence[int], metric: Metrics, noise: Noise
) -> tuple[Example, ...]:
    """Examples that disturb the embeddings of a span, each by another draw.

    Raises InputError for a span, a strength or a number of samples that is none.
    """
    tokens = model.tokenize(prompt)
    start, stop = int(noise.span[0]), int(noise.span[1])
    if not 0 <= start < stop <= len(tokens):
        raise InputError(
            f"The span {start} to {stop} is none of a prompt of {len(tokens)} tokens.",
            "Give the first position and the one behind the last, for example span=(2, 4).",
        )
    if not (np.isfinite(noise.size) and noise.size > 0 and noise.samples > 0):
        raise InputError(
            f"Noise of {noise.size} deviations in {noise.samples} samples disturbs nothing.",
            "Give for example noise=3.0, samples=10.",
        )
    expect_known(model, "Causal tracing")
    own = _resolved(model, _one_each(metric, 1)[0], tokens, None, tokens)
    embedding = model.anatomy.embedding
    scale = float(embedding.float().std()) * model.anatomy.embedding_scale * noise.size
    draw = torch.Generator().manual_seed(noise.seed)
    made = []
    for _ in range(noise.samples):
        added = np.zeros((len(tokens), model.anatomy.d_model), dtype=np.float32)
        drawn = torch.randn(stop - start, model.anatomy.d_model, generator=draw)
        added[start:stop] = scale * drawn.numpy()
        made.append(Example(tokens, tokens, np.arange(len(tokens)), own, added))
    return tuple(made)


def _one_each(metric: Metrics, count: int) -> list[Metric | None]:
    """One metric for each prompt. Raises WrongKind for what is none."""
    way_out = "Write for example LogitDifference('Mary', 'John'), or a list of one for each."
    given: Any = metric
    if isinstance(given, str | type) or not isinstance(given, Metric | Sequence | None):
        raise WrongKind(f"The metric is {described(given)}.", way_out)
    if metric is None or isinstance(metric, Metric):
        return [metric] * count
    for own in metric:
        if not isinstance(own, Metric):
            raise WrongKind(f"A metric is {described(own)}.", way_out)
    listed = list(metric)
    if len(listed) != count:
        raise MetricError(
            f"{len(listed)} metrics were given for {count} prompts.",
            "Give one metric, or one for each.",
        )
    return list(listed)


def _resolved(
    model: Model, metric: Metric | None, clean: Tokens, corrupt: Tokens | None, base: Tokens
) -> Metric:
    """The metric with token ids, and what it compares with."""
    if metric is None:
        at = model.read_at(clean.ids)
        runs = [
            model.run(tokens)[at].float().cpu().numpy() for tokens in (clean, corrupt) if tokens
        ]
        return default_metric(model, runs[0], runs[1] if corrupt else None, position=at)
    own: Metric = metric.resolve(model)
    _expect_inside(own, clean, corrupt)
    if isinstance(own, KL):
        return own.against(model.run(clean)[own.position].float().cpu().numpy())
    if isinstance(own, Loss):
        if corrupt is not None and len(corrupt) != len(clean):
            raise MetricError(
                f"The loss is over the tokens of a prompt, but the clean one has {len(clean)} and "
                f"the corrupt one {len(corrupt)}.",
                "Give prompts of one length, or a metric that reads one position.",
            )
        return own.following(base.ids.tolist())
    return own


def _expect_inside(metric: Metric, clean: Tokens, corrupt: Tokens | None) -> None:
    for tokens in (clean, corrupt):
        if tokens is not None and not -len(tokens) <= metric.position < len(tokens):
            raise MetricError(
                f"The metric reads position {metric.position}, but the prompt has {len(tokens)} "
                "tokens.",
                f"Positions are 0 to {len(tokens) - 1}, or -1 for the last.",
            )


def _partners(base: Tokens, source: Tokens) -> Int[np.ndarray, " position"]:
    """The position of the source that stands for each of the base, -1 without one.

    Prompts of one length go position by position; others by their longest common stretches,
    and stretches of one length between them.
    """
    if len(base) == len(source):
        return np.arange(len(base))
    places = np.full(len(base), -1)
    matcher = SequenceMatcher(None, base.ids.tolist(), source.ids.tolist(), autojunk=False)
    for _, start, stop, other, end in matcher.get_opcodes():
        if stop - start == end - other:
            places[start:stop] = np.arange(other, end)
    return places
