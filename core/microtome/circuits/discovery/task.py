"""A task for discovery: clean and corrupt prompts with a metric each, run once and kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from microtome.circuits.asking import precise
from microtome.circuits.discovery.methods import ABLATIONS, Ablation
from microtome.circuits.discovery.writers import expect_edges, mean_written
from microtome.errors import EditError, InputError, PromptError, expect
from microtome.interventions.sweeping.examples import (
    Metrics,
    listed_prompts,
    pair_examples,
    prompt_examples,
)
from microtome.interventions.sweeping.task import Example
from microtome.interventions.sweeps import BUDGET
from microtome.jobs import Job
from microtome.models.anatomy import Anatomy
from microtome.models.arithmetic import anatomy_in, run
from microtome.models.given import expect_known, expect_model
from microtome.models.model import Model
from microtome.models.tokens import Tokens
from microtome.prompts import Prompt, PromptPair, as_prompt, plain_prompt
from microtome.records.edges import Edges


@dataclass(frozen=True, slots=True)
class Given:
    """One example as it was given, for the record."""

    clean: Prompt
    corrupt: Prompt | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """Examples, and what is put in the place of an edge that is taken away.

    ``resample`` puts what the corrupt prompt of the example gives; the means are over ``over``.
    """

    model: Model
    anatomy: Anatomy
    examples: tuple[Example, ...]
    ablation: Ablation
    over: tuple[Prompt, ...]
    given: tuple[Given, ...]
    budget: int = BUDGET  # bytes beside the model

    @classmethod
    def of(
        cls,
        model: Model,
        data: PromptPair | Sequence[PromptPair] | Prompt | Sequence[Prompt],
        metric: Metrics,
        ablation: str = "resample",
        over: Sequence[Prompt] = (),
    ) -> Task:
        """A task from pairs, or, unless values of a corrupt prompt are needed, from prompts.

        Raises InputError, PromptError, MetricError and EditError for what cannot be asked.
        """
        listed, means = expect_data(model, data, ablation, over)
        paired = isinstance(listed[0], PromptPair) if len(listed) else False
        examples = (
            pair_examples(model, listed, metric, noising=True, align=False)
            if paired
            else prompt_examples(model, listed, metric)
        )
        anatomy = anatomy_in(model.anatomy, precise(model.anatomy.embedding.dtype))
        given = (
            [Given(pair.clean, pair.corrupt) for pair in listed]
            if paired
            else [Given(as_prompt(prompt)) for prompt in listed_prompts(listed, "data")]
        )
        return cls(model, anatomy, examples, known_ablation(ablation), means, tuple(given))

    @property
    def edges(self) -> Edges:
        """The edges of the model."""
        return Edges.of(self.anatomy)

    def told(self) -> dict[str, Any]:
        """What was asked, as plain JSON: all that tells this task from another."""
        names = [example.metric.name(self.model) for example in self.examples]
        return {
            "model": self.model.identity.name,
            "fingerprint": self.model.identity.fingerprint,
            "ablation": self.ablation,
            "over": [plain_prompt(prompt) for prompt in self.over],
            "metric": names[0],
            "metric_kind": type(self.examples[0].metric).__name__,
            "metrics": names,
            "read_at": [example.metric.position for example in self.examples],
            "prompts": [plain_prompt(each.clean) for each in self.given],
            "corrupt": [each.corrupt and plain_prompt(each.corrupt) for each in self.given],
        }

    def ids(self, example: Example, *, corrupt: bool = False) -> Int[Tensor, " position"]:
        """The token ids of an example."""
        tokens = example.source if corrupt and example.source is not None else example.base
        return torch.from_numpy(np.ascontiguousarray(tokens.ids))

    def mean(self, length: int, job: Job) -> Float[Tensor, "writer position d_model"] | None:
        """The values that are the same for all examples of a length; None when resampling."""
        if self.ablation == "resample":
            return None
        if self.ablation == "zero":
            shape = (self.edges.n_writers, length, self.anatomy.d_model)
            return self.anatomy.embedding.new_zeros(shape)
        by_position = self.ablation == "position mean"
        tokens = self._mean_tokens(length)
        runs = [run(self.anatomy, torch.from_numpy(each.ids), job=job) for each in tokens]
        mean = mean_written(runs, by_position=by_position)
        return mean.expand(-1, length, -1)

    def _mean_tokens(self, length: int) -> list[Tokens]:
        """The prompts that means are taken over; EditError for those of no use for a length."""
        tokens = [self.model.tokenize(prompt) for prompt in self.over]
        for each in tokens if self.ablation == "position mean" else ():
            if len(each) != length:
                raise EditError(
                    f"The mean of each position needs prompts of {length} tokens, but "
                    f"{each.prompt!r} has {len(each)}.",
                    "Give prompts of one length, or take the mean over all positions.",
                )
        return tokens

    def expect_means(self) -> None:
        """Raise EditError where position means are asked of prompts of several lengths."""
        for length in self.by_length() if self.ablation == "position mean" else ():
            self._mean_tokens(length)

    def expect_one_length(self) -> None:
        """Raise InputError where examples have positions that are not the same."""
        lengths = sorted(self.by_length())
        if len(lengths) > 1:
            raise InputError(
                f"Examples of {', '.join(map(str, lengths))} tokens have no positions in common.",
                "Give examples of one length, or sum over positions (by_position=False).",
            )

    def read(self) -> list[int]:
        """The positions at which the metrics read the logits."""
        return sorted({int(at) for each in self.examples for at in each.read_at(each.base)})

    def by_length(self) -> dict[int, list[int]]:
        """The numbers of the examples of each length."""
        found: dict[int, list[int]] = {}
        for number, example in enumerate(self.examples):
            found.setdefault(len(example.base), []).append(number)
        return found


def known_ablation(name: Any) -> Ablation:
    """The ablation of a name. Raises InputError for one that is none."""
    found = next((known for known in ABLATIONS if known == name), None)
    if found is None:
        raise InputError(f"The ablation is {name!r}.", f"Choose one of {', '.join(ABLATIONS)}.")
    return found


def expect_data(
    model: Model, data: Any, ablation: Any, over: Any
) -> tuple[Any, tuple[Prompt, ...]]:
    """The examples as a list, and what means are taken over; nothing is run.

    Raises InputError, PromptError, EditError and SiteMissing for what cannot be asked.
    """
    expect_model(model)
    expect_known(model, "Discovery")
    expect_edges(model.anatomy, model.identity.name)
    known_ablation(ablation)
    expect(data, (PromptPair, Sequence), "data", "pairs or prompts", "Write PromptPair('…', '…').")
    listed: Any = [data] if isinstance(data, PromptPair) else data
    paired = bool(len(listed)) and isinstance(listed[0], PromptPair)
    if ablation == "resample" and not paired:
        raise InputError(
            "Resampling puts the values of a corrupt prompt in place, but no pairs were given.",
            "Give pairs, or another ablation: zero, mean or position mean.",
        )
    means = tuple(listed_prompts(over, "over")) if over != () else ()
    if "mean" in ablation and not means:
        raise EditError(
            f"The {ablation} of what components write needs prompts to take it over.",
            "Give over=[…], for example the prompts of the task.",
        )
    if paired:
        _expect_lengths(model, listed)
    return listed, means


def expect_options(given: Mapping[str, Any], known: type) -> None:
    """Raise InputError for an option that is none."""
    for name in given:
        if name not in known.__annotations__:
            raise InputError(
                f"There is no option {name!r}.", f"Options are {', '.join(known.__annotations__)}."
            )


def expect_budget(budget: Any) -> None:
    """Raise InputError for a budget that is none."""
    expect(budget, int, "budget", "a whole number of bytes", "Write for example budget=1 << 28.")
    if budget < 1:
        raise InputError(f"The budget is {budget} bytes.", "Give 1 or more.")


def _expect_lengths(model: Model, pairs: Sequence[Any]) -> None:
    """Raise PromptError for a pair whose edges would carry values of other positions."""
    for pair in pairs:
        expect(pair, PromptPair, "pairs", "a list of PromptPairs", "Write PromptPair('…', '…').")
        clean, corrupt = model.tokenize(pair.clean), model.tokenize(pair.corrupt)
        if len(clean) != len(corrupt):
            raise PromptError(
                f"A pair has a clean prompt of {len(clean)} tokens and a corrupt prompt of "
                f"{len(corrupt)}.",
                "An edge carries a value for each position, so that both need as many: replace "
                "words by words of as many tokens.",
            )
