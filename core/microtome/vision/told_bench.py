"""Prompts with answers, in tasks, as a bench of lesions: heads and neurons of language models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from microtome.activations.batches import batched_activations
from microtome.analysis.answering import Asked, of_one_length
from microtome.errors import InputError
from microtome.full_memory import telling_of_memory
from microtome.jobs import Job
from microtome.models.hooks import SeenError, Tap, tapping
from microtome.models.memory import pass_bytes
from microtome.models.model import Model
from microtome.models.resuming import Forms
from microtome.prompt_sets import PromptSet
from microtome.records.lesion import OTHER, TASK, Treatment
from microtome.records.units import Unit
from microtome.sites import Site
from microtome.suites.loading import suite_of_sets
from microtome.suites.running import asked_of, measured
from microtome.vision.bench import Cases, Outcome, masks
from microtome.vision.replacing import New, Put, Reference, new_values

_ROWS, _LOGITS = 1024, 256 << 20  # of what runs together: prompts, and bytes of their logits
_KINDS = ("z", "mlp_post")  # heads and neurons, once a layer
_REFERENCES, _SAMPLES = 128, 1024  # prompts, and positions of them


class ToldBench:
    """A model of language on prompt sets, a task each.

    Means and others' values come from ``over``.
    """

    measures = ("top", "above")
    said = ("answer", "wrong answer", OTHER)

    def __init__(
        self, model: Model, sets: Sequence[PromptSet], over: Sequence[PromptSet], seed: int
    ) -> None:
        _expect_sets(sets)
        self.model, self.sets, self.over, self.seed = model, tuple(sets), tuple(over), seed
        self._suite = suite_of_sets(self.sets)
        self._asked = asked_of(model, self._suite)
        self._forms = Forms(model) if model.known and not model.has_encoder else None
        self._streams: dict[tuple[int, int], Tensor] = {}
        self._new: dict[tuple[str, Treatment], New] = {}

    @cached_property
    def cases(self) -> Cases:
        """The prompts by task."""
        labels = np.repeat(np.arange(len(self.sets)), [len(one.pairs) for one in self.sets])
        return Cases(labels, tuple(one.name for one in self.sets), (), TASK)

    @cached_property
    def layers(self) -> Mapping[str, int]:
        """Heads and neurons of each layer."""
        held = [name for name in _KINDS if name in self.model.ports]
        layers = range(self.model.identity.n_layers)
        sites = [Site(name, layer) for name in held for layer in layers]
        shapes = self._activations(sites, self._asked[:1])[0]
        return {_layer(site): shapes[site].shape[1] for site in sites}

    def activity(self, layers: Sequence[str], job: Job) -> Mapping[str, np.ndarray]:
        """What heads write (its length) and neurons are where each answer is read."""
        sites = {name: _site(name) for name in layers}
        runs = self._activations(list(sites.values()), self._asked, job)
        found: dict[str, list[np.ndarray]] = {name: [] for name in layers}
        for asked, values in zip(self._asked, runs, strict=True):
            at = self.model.read_at(asked.tokens.ids)
            for name, site in sites.items():
                here = values[site][at]
                found[name].append(np.linalg.norm(here, axis=-1) if here.ndim == 2 else here)
        return {name: np.stack(rows) for name, rows in found.items()}

    def run(
        self,
        lesions: Sequence[frozenset[Unit]],
        treatment: Treatment,
        job: Job,
        progress: tuple[int, int] = (0, 0),
    ) -> Outcome:
        """What the model answers to each prompt with each lesion."""
        changed = masks(lesions, self.layers)
        new = {name: self._new_values(name, treatment, job) for name in changed}
        found = np.full((len(lesions), len(self._asked), 4), np.nan)
        said = np.full(found.shape[:2], 2)
        first = min((_site(name).layer or 0 for name in changed), default=0)
        groups = list(of_one_length(self.model, self._asked))
        for place, group in enumerate(groups):
            numbers = [one.number for one in group]
            stream = self._stream(place, group, first, job)
            for some in self._spans(len(lesions), group):
                done = progress[0] + len(lesions) * place // len(groups)
                job.progress("Running with lesions", done, progress[1] or len(lesions))
                logits = self._logits(group, changed, new, some, (first, stream), job)
                for row, own in zip(range(some.start, some.stop), logits, strict=True):
                    found[row, numbers] = measured(own, group)
                    said[row, numbers] = _said(own, group)
        above = np.where(np.isnan(found[..., 1]), found[..., 0], found[..., 1])
        right = np.stack([found[..., 0], above], axis=1) > 0
        return Outcome(right, said, found[..., 3])

    def _spans(self, count: int, group: Sequence[Asked]) -> list[slice]:
        """Lesions that run together."""
        row = 4 * len(group[0].tokens) * self.model.identity.vocabulary
        most = max(1, min(_ROWS, _LOGITS // row) // len(group))
        if self.model.has_encoder:
            most = 1
        return [slice(at, min(at + most, count)) for at in range(0, count, most)]

    def _stream(self, place: int, group: Sequence[Asked], layer: int, job: Job) -> Tensor | None:
        """What stands before a layer, computed once; None where runs begin at the bottom."""
        if not layer or self._forms is None:
            return None
        if (place, layer) not in self._streams:
            keep: list[Tensor] = []
            taps: dict[Site, list[Tap]] = {Site("resid_pre", layer): [partial(_keep, keep)]}
            with suppress(SeenError), self._forms.watched(), tapping(self.model, taps, job.check):
                self.model.forward(_ids(group))
            self._streams[place, layer] = keep[0]
        return self._streams[place, layer]

    def _logits(
        self,
        group: Sequence[Asked],
        changed: Mapping[str, np.ndarray],
        new: Mapping[str, New],
        some: slice,
        begin: tuple[int, Tensor | None],
        job: Job,
    ) -> Float[np.ndarray, "lesion prompt vocabulary"]:
        count, (first, stream) = some.stop - some.start, begin
        cases = torch.tensor([one.number for one in group]).repeat(count)
        taps: dict[Site, list[Tap]] = {
            _site(name): [_Tap(Put(
                new[name], torch.from_numpy(mask[some]).repeat_interleave(len(group), 0), cases
            ))]
            for name, mask in changed.items()
        }  # fmt: skip
        if stream is not None:
            taps[Site("resid_pre", first)] = [partial(_go_on, stream, count)]
        source = group[0].tokens.source
        given = None if source is None else torch.from_numpy(source.ids)[None]
        ids = _ids(group).repeat(count, 1)
        told = telling_of_memory(
            f"Memory ran out while {self.model.identity.name} ran on {len(cases)} prompts",
            "Choose fewer prompts, or fewer controls.",
            partial(pass_bytes, self.model, *ids.shape),
        )
        with told, self._passed_over(first, stream), tapping(self.model, taps, job.check):
            whole = self.model.forward(ids, given)
        places = torch.tensor([self.model.read_at(one.tokens.ids) for one in group]).repeat(count)
        read = whole[torch.arange(len(whole)), places].to("cpu", torch.float64)
        shaped: np.ndarray = read.numpy().reshape(count, len(group), -1)
        return shaped

    def _passed_over(self, layers: int, stream: Tensor | None) -> AbstractContextManager[None]:
        if stream is None or self._forms is None:
            return nullcontext()
        return self._forms.passed_over(layers)

    def _new_values(self, name: str, treatment: Treatment, job: Job) -> New:
        if (name, treatment) not in self._new:
            reference = self._reference(name, job) if treatment.needs_reference else None
            self._new[name, treatment] = new_values(treatment, reference)
        return self._new[name, treatment]

    def _reference(self, name: str, job: Job) -> Reference:
        random, site = np.random.default_rng(self.seed), _site(name)
        own = self.over == self.sets
        asked = self._asked if own else asked_of(self.model, suite_of_sets(self.over))
        numbers = np.sort(random.permutation(len(asked))[:_REFERENCES])
        job.progress("Looking at the reference", 0, len(numbers))
        runs = [
            each[site] for each in self._activations([site], [asked[at] for at in numbers], job)
        ]
        donors = random.integers(0, len(numbers), len(self._asked))
        if own and len(numbers) > 1:
            same = numbers[donors] == np.arange(len(donors))
            donors[same] = (donors[same] + 1) % len(numbers)
        longest = max(len(run) for run in runs)
        values = np.stack([  # the last positions under each other
            np.concatenate([np.repeat(run[:1], longest - len(run), 0), run]) for run in runs
        ])  # fmt: skip
        together = np.concatenate(runs)
        samples = together[np.sort(random.permutation(len(together))[:_SAMPLES])]
        return Reference(
            torch.from_numpy(values).movedim(2, 1).float(), donors, site.name == "z",
            torch.from_numpy(samples).float(),
        )  # fmt: skip

    def _activations(
        self, sites: Sequence[Site], asked: Sequence[Asked], job: Job | None = None
    ) -> list[dict[Site, np.ndarray]]:
        """The values of sites on each prompt."""
        tokens = [one.tokens for one in asked]
        runs = batched_activations(self.model, tokens, list(sites), job=job)
        return [values for _, values in runs]

    def told(self) -> dict[str, Any]:
        """The tasks by name."""
        names = [one.name for one in self.sets]
        return {
            "set": ", ".join(names), "tasks": names, "digest": self._suite.digest,
            "title": ", ".join(names) if len(names) < 4 else f"{len(names)} tasks",
            "cases_each": max(len(one.pairs) for one in self.sets),
            "over": ", ".join(one.name for one in self.over),
        }  # fmt: skip


class _Tap:
    """A change of [row, unit, place…] on a site's own axes: [row, position, unit, …]."""

    def __init__(self, change: Put) -> None:
        self._change = change

    def __call__(self, values: Tensor) -> Tensor:
        return self._change(values.movedim(2, 1)).movedim(1, 2)


def _layer(site: Site) -> str:
    return f"{site.name}.{site.layer}"


def _site(layer: str) -> Site:
    return Site.parse(layer)


def _ids(group: Sequence[Asked]) -> Tensor:
    return torch.from_numpy(np.stack([one.tokens.ids for one in group]))


def _said(logits: Float[np.ndarray, "prompt vocabulary"], group: Sequence[Asked]) -> np.ndarray:
    """Which column each answer is in."""
    best = logits.argmax(-1)
    answers = np.array([one.answer for one in group])
    wrongs = np.array([-1 if one.wrong is None else one.wrong for one in group])
    return np.select([best == answers, best == wrongs], [0, 1], 2)


def _keep(held: list[Tensor], values: Tensor) -> Tensor:
    held.append(values.detach().clone())  # the model may go on to write into the same memory
    raise SeenError


def _go_on(stream: Tensor, times: int, values: Tensor) -> Tensor:
    return stream.repeat(times, 1, 1).to(values)


def _expect_sets(sets: Sequence[PromptSet]) -> None:
    if not sets:
        raise InputError(
            "There are no tasks to try the lesion on.", "Give prompt sets, by name or file."
        )
