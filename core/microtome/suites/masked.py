"""Runs with parts taken out, many choices of parts at once: one batch, a mask a row.

Choices that share most of what is out differ from some layer on. What stands below is run once and
kept: the stream before each layer, as far as a budget goes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from microtome.activations.batches import padded
from microtome.analysis.answering import ROWS, Asked
from microtome.full_memory import telling_of_memory
from microtome.interventions.measured import mean_of
from microtome.jobs import Job
from microtome.models.hooks import SeenError, Tap, tapping
from microtome.models.memory import pass_bytes
from microtome.models.model import Model
from microtome.models.resuming import Forms
from microtome.prompts import Prompt
from microtome.records.removal import HEADS, LAYERS, MLPS, Part
from microtome.sites import Site
from microtome.suites.running import measured

_RUNS = 128  # as many as four choices of a whole group: runs of prompts that go together, at most
_LOGITS = 256 << 20  # bytes of the logits of one batch
_STREAMS, _NUMBER = 192 << 20, 4  # bytes of all streams that are kept, and of a number

Parts = frozenset[Part]


class Masked:
    """A model on some prompts, ready to run without any of its parts.

    ``how`` is zero, or mean: what a part gives on average over all positions of ``over``.
    """

    def __init__(
        self,
        model: Model,
        asked: Sequence[Asked],
        how: str,
        over: Sequence[Prompt],
        job: Job,
    ) -> None:
        self.model, self.job = model, job
        self.count = len(asked)
        # Of about one length: what pads the shorter ones is hidden, or stands behind them.
        ordered = sorted(asked, key=lambda one: len(one.tokens))
        self._groups = list(self._grouped(ordered))
        self._how, self._over = how, tuple(over)
        self._forms = Forms(model)
        # Of the groups that have room: what is out in their runs, and the streams before layers.
        self._kept = {place: (Parts(), dict[int, Tensor]()) for place in self._that_fit()}

    def measured(
        self, removals: Sequence[Parts], shared: Parts = frozenset()
    ) -> Float[np.ndarray, "removal case 4"]:
        """Of each choice of parts and each case: top, above, probability, difference.

        ``shared`` are parts that are out in all of them: layers below the lowest other part of a
        choice are run once for all choices, and not again as long as nothing in them changes.
        """
        found = np.full((len(removals), self.count, 4), np.nan)
        for place, group in enumerate(self._groups):
            numbers = [one.number for one in group]
            most = max(1, self._most(group) // len(group))
            for first, rows in self._by_layer(place, removals, shared):
                stream = self._stream(place, shared, first)
                for start in range(0, len(rows), most):
                    some = rows[start : start + most]
                    logits = self._logits(group, [removals[row] for row in some], first, stream)
                    for row, own in zip(some, logits, strict=True):  # [prompt, vocabulary]
                        found[row, numbers] = measured(own, group)
        return found

    def _by_layer(
        self, place: int, removals: Sequence[Parts], shared: Parts
    ) -> list[tuple[int, list[int]]]:
        """Choices by the first layer that they do not have in common, the highest layer first."""
        rows: dict[int, list[int]] = {}
        for row, parts in enumerate(removals):
            own = [part.layer for part in parts - shared]
            first = min(own, default=0) if place in self._kept and self._forms.known else 0
            rows.setdefault(first, []).append(row)
        return sorted(rows.items(), reverse=True)

    def _stream(self, place: int, shared: Parts, layer: int) -> Tensor | None:
        """What a group's runs without the shared parts have before a layer; None before the first.

        Kept streams stand for as long as no part below them comes or goes.
        """
        if not layer:
            return None
        parts, held = self._kept[place]
        changed = min((part.layer for part in parts ^ shared), default=layer)
        held = {number: stream for number, stream in held.items() if number <= changed}
        if layer not in held:
            below = max((number for number in held if number < layer), default=0)
            held |= self._streams(self._groups[place], shared, below, held.get(below), layer)
        self._kept[place] = shared, held
        return held[layer]

    def _streams(
        self, group: Sequence[Asked], shared: Parts, below: int, stream: Tensor | None, layer: int
    ) -> dict[int, Tensor]:
        """What stands before each layer from behind ``below`` to this one, where the pass ends."""
        held: dict[int, Tensor] = {}
        taps = self._taps([shared], len(group), below)
        for number in range(below + 1, layer + 1):
            taps[Site("resid_pre", number)] = [partial(_keep, held, number, number == layer)]
        with suppress(SeenError):
            self._forward(group, 1, taps, below, stream)
        return held

    def _forward(
        self,
        group: Sequence[Asked],
        times: int,
        taps: dict[Site, list[Tap]],
        first: int,
        stream: Tensor | None,
    ) -> Tensor:
        """The logits of a group so many times, from a layer on with the stream that is given."""
        ids, options = padded(self.model, [asked.tokens for asked in group])
        ids = ids.repeat(times, 1)  # [removal * prompt, position]
        options = {name: mask.repeat(times, 1) for name, mask in options.items()}
        if stream is not None:
            taps[Site("resid_pre", first)] = [partial(_go_on, stream, times)]
        seen = self._forms.passed_over(first) if first else self._forms.watched()
        told = telling_of_memory(
            f"Memory ran out while {self.model.identity.name} ran on {len(ids)} prompts",
            "Choose a smaller model, or a suite of shorter prompts.",
            partial(pass_bytes, self.model, *ids.shape),
        )
        with told, seen, tapping(self.model, taps, self.job.check):
            return self.model.forward(ids, **options)

    def _that_fit(self) -> Iterator[int]:
        """The groups whose streams before all layers have room beside each other."""
        identity, held = self.model.identity, 0
        for place, group in enumerate(self._groups):
            row = max(len(asked.tokens) for asked in group) * identity.d_model * _NUMBER
            held += (identity.n_layers - 1) * len(group) * row
            if held > _STREAMS:
                return
            yield place

    def _grouped(self, ordered: Sequence[Asked]) -> Iterator[Sequence[Asked]]:
        at = 0
        while at < len(ordered):
            group = ordered[at : at + ROWS]
            group = group[: self._most(group)]
            yield group
            at += len(group)

    def _most(self, group: Sequence[Asked]) -> int:
        """How many runs of prompts as long go together: each has logits at all positions."""
        longest = max(len(asked.tokens) for asked in group)
        row = 4 * longest * self.model.identity.vocabulary
        return min(_RUNS, max(1, _LOGITS // row))

    def _logits(
        self, group: Sequence[Asked], removals: Sequence[Parts], first: int, stream: Tensor | None
    ) -> np.ndarray:
        taps = self._taps(removals, len(group), first)
        whole = self._forward(group, len(removals), taps, first, stream)
        places = torch.tensor([
            self.model.read_at(asked.tokens.ids) % len(asked.tokens) for asked in group
        ])  # fmt: skip
        read = whole[torch.arange(len(whole)), places.repeat(len(removals))]
        found: np.ndarray = read.to("cpu", torch.float64).numpy()
        return found.reshape(len(removals), len(group), -1)

    def _taps(self, removals: Sequence[Parts], prompts: int, first: int) -> dict[Site, list[Tap]]:
        """A tap at each site, from a layer on, where some row has a part taken out."""
        taps: dict[Site, list[Tap]] = {}
        for site, gone in self._gone(removals, first):
            mask = torch.from_numpy(gone).repeat_interleave(prompts, 0)[:, None]  # beside positions
            value = self._in_place(site)
            taps[site] = [partial(_replace, mask[..., None].to(self.model.device), value)]
        return taps

    def _gone(self, removals: Sequence[Parts], first: int) -> Iterator[tuple[Site, np.ndarray]]:
        """Sites with what is taken out there, removal by removal: [removal], z: [removal, head]."""
        heads = self.model.identity.n_heads
        for layer in range(first, self.model.identity.n_layers):
            own = np.array([
                [Part(HEADS, layer, head) in each for head in range(heads)] for each in removals
            ])  # fmt: skip
            whole = np.array([Part(LAYERS, layer) in each for each in removals])
            mlp = np.array([Part(MLPS, layer) in each for each in removals]) | whole
            for name, gone in (("z", own), ("attn_out", whole), ("mlp_out", mlp)):
                if gone.any():
                    yield Site(name, layer), gone

    def _in_place(self, site: Site) -> Tensor:
        """What a site gets where it is taken out, to be spread over rows and positions."""
        if self._how == "zero":
            return torch.zeros(())
        means = mean_of(self.model, site, self._over, self.job)
        return torch.from_numpy(means[site.layer])


def _replace(mask: Tensor, value: Tensor, values: Tensor) -> Tensor:
    return torch.where(mask, value.to(values), values)


def _keep(held: dict[int, Tensor], number: int, last: bool, values: Tensor) -> Tensor:
    held[number] = values.detach().clone()  # the model may go on to write into the same memory
    if last:
        raise SeenError
    return values


def _go_on(stream: Tensor, times: int, values: Tensor) -> Tensor:
    return stream.repeat(times, 1, 1).to(values)
