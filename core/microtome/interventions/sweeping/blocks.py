"""A sweep through the model's own modules, for models whose arithmetic is not known.

Cells of one layer run together as one batch. With ``enter`` the blocks before the changed layer
are stepped over: they would give what they gave in the base run, since nothing before the change
differs. Everything around the blocks stays the model's own code.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from microtome.activations.finite import NotFinite, first_not_finite
from microtome.errors import EditError
from microtome.interventions.means import Means, by_position
from microtome.interventions.regions import HEAD_AXES, PLACES, position_axis_of
from microtome.interventions.sweeping.cells import NotFiniteError
from microtome.interventions.sweeping.passes import Plan
from microtome.interventions.sweeping.puts import expect_length
from microtome.interventions.sweeping.readout import measured
from microtome.interventions.sweeping.room import batch_of
from microtome.interventions.sweeping.stepping import Steps
from microtome.interventions.sweeping.task import Ends, Example, Found, Task, Told
from microtome.jobs import Job
from microtome.metrics import reads_everywhere
from microtome.models.hooks import Tap, tapping
from microtome.models.model import Model
from microtome.models.tokens import Tokens
from microtome.sites import SITES, Site


def sweep_by_modules(task: Task, job: Job, told: Told, *, enter: bool) -> Found:
    """The metric of every cell of every example, one example after another."""
    values = np.full((len(task.examples), len(task.cells)), np.nan)
    ends = [Ends(float("nan"), None)] * len(task.examples)
    skipped = 0
    for number, example in enumerate(task.examples):
        run = _Example(task, example, job, enter=enter)
        ends[number] = run.ends
        skipped += run.fill(values[number], partial(told, values, ends))
    return Found(values, tuple(ends), skipped)


def where_not_finite(task: Task, found: NotFiniteError, job: Job) -> EditError:
    """The error of a cell whose metric is not a number: the cell is run once more by hooks.

    It says where the first value that is not finite stood.
    """
    example = task.examples[found.example]
    one = replace(task, examples=(example,), budget=sys.maxsize)
    first = _Example(one, example, job, enter=False).not_finite(found.cell)
    where = (
        "All that the model computes is finite, so that the metric makes it"
        if first is None
        else f"NaN or infinity is first at {first}"
    )
    return EditError(
        f"With {task.cells.text(found.cell)}, the metric is {found.value}, not a number. {where}.",
        "Look at the values put in and at the metric; half-precision models overflow sooner than "
        "float32.",
    )


class _Example:
    """One example: its base run, what is put into it, and its cells."""

    def __init__(self, task: Task, example: Example, job: Job, *, enter: bool) -> None:
        self.task, self.example, self.job, self.enter = task, example, job, enter
        self.model, self.site = task.model, task.cells.site
        places = example.read_at(example.base)
        self.causal = not self.model.in_place
        self.length = int(places.max()) + 1 if self.causal else len(example.base)
        self.places = places
        read = len(places) if _keeps_logits(self.model) else self.length
        self.batch = batch_of(task, read, self.length, enter=enter)  # refuses before a run
        self.steps = Steps(self.model)
        with (
            self.steps.noting() if enter else nullcontext(),
            tapping(self.model, self._noise(), job.check),
        ):
            base = self._metric(_read(self.model, example.base, self._ids(1), places))[0]
        self.new, source = self._new()
        self.ends = Ends(base, source)

    def _ids(self, count: int) -> Int[Tensor, "run position"]:
        return torch.from_numpy(self.example.base.ids[: self.length])[None].expand(count, -1)

    def _noise(self) -> dict[Site, list[Tap]]:
        """What disturbs the embeddings of the base, where it is disturbed."""
        if self.example.noise is None:
            return {}
        noise = torch.from_numpy(self.example.noise[: self.length])
        return {Site("embed"): [partial(_add, noise)]}

    def _metric(self, logits: Float[Tensor, "run place vocabulary"]) -> list[float]:
        wide = logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits
        read = wide if reads_everywhere(self.example.metric) else wide[:, 0]
        return [float(value) for value in measured(self.example.metric, read)]

    def _new(self) -> tuple[dict[int, Tensor], float | None]:
        """What is put into each layer, in the positions of the base; the source's metric."""
        layers = sorted(set(self.task.cells.layer.tolist()))
        if self.task.put.how == "zero":
            return {layer: torch.zeros(()) for layer in layers}, None
        places = {layer: Site(self.site, layer) for layer in layers}
        if self.task.put.how != "patch":
            return self._means(places), None
        source = self.example.source
        assert source is not None  # noqa: S101
        ids = torch.from_numpy(source.ids)[None].to(self.model.device)
        held: dict[int, Tensor] = {}
        taps = {
            place: [partial(_keep, held, layer, self._moved)] for layer, place in places.items()
        }
        with tapping(self.model, taps, self.job.check):
            logits = _read(self.model, source, ids, self.example.read_at(source))
        return held, self._metric(logits)[0]

    def _moved(self, values: Tensor) -> Tensor:
        """The source's values in the positions of the base."""
        axis = self._place_axis
        at = torch.from_numpy(np.maximum(self.example.places[: self.length], 0)).to(values.device)
        moved = values.index_select(axis, at) if values.shape[axis] else values
        if "key" in SITES[self.site].axes:
            moved = moved[..., : self.length]
        return moved

    @property
    def _place_axis(self) -> int:
        return position_axis_of(Site(self.site))

    def _means(self, places: Mapping[int, Site]) -> dict[int, Tensor]:
        put = self.task.put
        whole = by_position(put.how, Site(self.site))
        if whole:
            expect_length(put, self.site, len(self.example.base))
        means = Means(None if whole else self._place_axis)
        change = self._cut if whole else _itself
        for tokens in put.used:
            held: dict[int, Tensor] = {}
            taps = {place: [partial(_keep, held, layer, change)] for layer, place in places.items()}
            ids = torch.from_numpy(tokens.ids)[None].to(self.model.device)
            with tapping(self.model, taps, self.job.check):
                _read(self.model, tokens, ids, np.array([len(tokens) - 1]))
            means.add({layer: values.cpu().double().numpy() for layer, values in held.items()})
        dtype = next(iter(held.values())).dtype
        return {at or 0: torch.from_numpy(mean).to(dtype) for at, mean in means.taken().items()}

    def _cut(self, values: Tensor) -> Tensor:
        """The positions that matter, of a prompt as long as the base."""
        cut = values.narrow(self._place_axis, 0, self.length)
        return cut[..., : self.length] if "key" in SITES[self.site].axes else cut

    def fill(self, values: Float[np.ndarray, " cell"], told: Any) -> int:
        """Put the metric of each cell into ``values``; returns how many change nothing."""
        cells, plan = self.task.cells, self._plan()
        idle = plan.idle[0]
        values[idle] = self.ends.base
        for layer in dict.fromkeys(cells.layer[cells.coarse_first()].tolist()):
            chosen = np.flatnonzero((cells.layer == layer) & ~idle)
            for begin in range(0, len(chosen), self.batch):
                some = chosen[begin : begin + self.batch]
                done = int(np.isfinite(values).sum())
                self.job.progress("Sweeping", done, len(values))
                values[some] = self._run(layer, some, plan)
                cells.expect_finite(self._number * len(cells) + some, values[some])
                told()
        values[self.example.unmatched(cells)] = np.nan
        return int(idle.sum())

    @property
    def _number(self) -> int:
        return self.task.examples.index(self.example)

    def _plan(self) -> Plan:
        return Plan.of(
            self.task.cells,
            self._differs()[None],
            self.places,
            n_layers=self.model.identity.n_layers,
            causal=self.causal,
            skip=self.task.skip,
            embeds=self.task.put.how == "patch",
        )

    def not_finite(self, cell: int) -> NotFinite | None:
        """Where the first value that is not finite stands when a cell is changed."""
        base, layer = self.example.base, int(self.task.cells.layer[cell])
        cut = replace(base, ids=base.ids[: self.length], texts=base.texts[: self.length])
        taps = self._taps(layer, np.array([cell]), self._plan())
        return first_not_finite(self.model, cut, taps)

    def _taps(self, layer: int, chosen: np.ndarray, plan: Plan) -> dict[Site, list[Tap]]:
        """What disturbs the base, and what puts new values into the cells of a layer."""
        tap = partial(self._put, self.new[layer], chosen, plan)
        taps = self._noise()
        own = Site(self.site, layer)
        return {**taps, own: [*taps.get(own, ()), tap]}

    def _differs(self) -> np.ndarray:
        differs = self.example.differs[: self.length]
        return differs if self.task.put.how == "patch" else np.ones_like(differs)

    def _run(self, layer: int, chosen: np.ndarray, plan: Plan) -> list[float]:
        ids = self._ids(len(chosen))
        stepped = self.steps.to(layer) if self.enter else nullcontext()
        with stepped, tapping(self.model, self._taps(layer, chosen, plan), self.job.check):
            logits = _read(self.model, self.example.base, ids, self.places)
        return self._metric(logits)

    def _put(self, new: Tensor, chosen: np.ndarray, plan: Plan, values: Tensor) -> Tensor:
        changed = values.clone()
        for run, cell in enumerate(chosen.tolist()):
            for span in self._spans(int(plan.first[0, cell]), int(plan.stop[0, cell])):
                index = self._index(cell, span)
                into = changed[run][index]
                given = new.to(values.device, values.dtype)
                into.copy_(given if given.ndim == 0 else self._part(given, index))
        return changed

    def _spans(self, first: int, stop: int) -> list[slice]:
        """The stretches of positions that get a value: for a patch those with a partner."""
        if self.task.put.how != "patch":
            return [slice(first, stop)]
        there = np.flatnonzero(self.example.places[first:stop] >= 0) + first
        parts = np.split(there, np.flatnonzero(np.diff(there) > 1) + 1)
        return [slice(int(part[0]), int(part[-1]) + 1) for part in parts if len(part)]

    def _part(self, given: Tensor, index: tuple[Any, ...]) -> Tensor:
        """The cell's part of new values; a mean over positions has one row for all of them."""
        axis = self._place_axis
        if given.shape[axis] == 1 and self.length > 1:
            index = (*index[:axis], slice(None), *index[axis + 1 :])
        return given[index]

    def _index(self, cell: int, span: slice) -> tuple[Any, ...]:
        cells, index = self.task.cells, []
        for axis in SITES[self.site].axes:
            named = {"d_mlp": cells.neuron, **dict.fromkeys(HEAD_AXES, cells.head)}.get(axis)
            one = -1 if named is None else int(named[cell])
            at = slice(None) if one < 0 else slice(one, one + 1)
            index.append(span if axis in PLACES else at)
        return tuple(index)


def _encoder_ids(tokens: Tokens, count: int) -> Tensor | None:
    if tokens.source is None:
        return None
    return torch.from_numpy(tokens.source.ids)[None].expand(count, -1)


def _read(
    model: Model, tokens: Tokens, ids: Int[Tensor, "run position"], places: np.ndarray
) -> Float[Tensor, "run place vocabulary"]:
    """The logits at the places that are read; no others are made where the model can do without."""
    source, at = _encoder_ids(tokens, len(ids)), torch.from_numpy(places)
    if _keeps_logits(model):
        return model.forward(ids, source, logits_to_keep=at.to(model.device))
    return model.forward(ids, source)[:, at]


def _add(noise: Tensor, values: Tensor) -> Tensor:
    return values + noise.to(values.device, values.dtype)


def _keep(
    held: dict[int, Tensor], layer: int, change: Callable[[Tensor], Tensor], values: Tensor
) -> Tensor:
    held[layer] = change(values.detach()[0]).clone()
    return values


def _itself(values: Tensor) -> Tensor:
    return values


def _keeps_logits(model: Model) -> bool:
    return "logits_to_keep" in inspect.signature(type(model.module).forward).parameters
