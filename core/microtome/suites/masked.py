"""Runs with parts taken out, many choices of parts at once: one batch, a mask a row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from microtome.activations.batches import padded
from microtome.analysis.answering import ROWS, Asked
from microtome.errors import MemoryExceeded
from microtome.interventions.measured import mean_of
from microtome.jobs import Job
from microtome.models.devices import memory_ran_out
from microtome.models.hooks import Tap, tapping
from microtome.models.model import Model
from microtome.prompts import Prompt
from microtome.records.removal import HEADS, LAYERS, MLPS, Part
from microtome.sites import Site
from microtome.suites.running import measured

_RUNS = 96  # runs of prompts that go together, at most
_LOGITS = 256 << 20  # bytes of the logits of one batch

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

    def measured(self, removals: Sequence[Parts]) -> Float[np.ndarray, "removal case 4"]:
        """Of each choice of parts and each case: top, above, probability, difference."""
        found = np.full((len(removals), self.count, 4), np.nan)
        for group in self._groups:
            numbers = [one.number for one in group]
            most = max(1, self._most(group) // len(group))
            for start in range(0, len(removals), most):
                some = removals[start : start + most]
                logits = self._logits(group, some)  # [removal, prompt, vocabulary]
                for at, own in enumerate(logits):
                    found[start + at, numbers] = measured(own, group)
        return found

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

    def _logits(self, group: Sequence[Asked], removals: Sequence[Parts]) -> np.ndarray:
        model = self.model
        ids, options = padded(model, [asked.tokens for asked in group])
        ids = ids.repeat(len(removals), 1)  # [removal * prompt, position]
        options = {name: mask.repeat(len(removals), 1) for name, mask in options.items()}
        lengths = [len(asked.tokens) for asked in group]
        places = torch.tensor([
            model.read_at(asked.tokens.ids) % length
            for asked, length in zip(group, lengths, strict=True)
        ])  # fmt: skip
        try:
            with tapping(model, self._taps(removals, len(group)), self.job.check):
                whole = model.forward(ids, **options)
        except (MemoryError, RuntimeError) as error:
            if not memory_ran_out(error):
                raise
            raise MemoryExceeded(
                f"Memory ran out while {model.identity.name} ran on {len(ids)} prompts.",
                "Choose a smaller model, or a suite of shorter prompts.",
            ) from error
        read = whole[torch.arange(len(ids)), places.repeat(len(removals))]
        found: np.ndarray = read.to("cpu", torch.float64).numpy()
        return found.reshape(len(removals), len(group), -1)

    def _taps(self, removals: Sequence[Parts], prompts: int) -> dict[Site, list[Tap]]:
        """A tap at each site where some row has a part taken out."""
        taps: dict[Site, list[Tap]] = {}
        for site, gone in self._gone(removals):
            mask = torch.from_numpy(gone).repeat_interleave(prompts, 0)[:, None]  # beside positions
            value = self._in_place(site)
            taps[site] = [partial(_replace, mask[..., None].to(self.model.device), value)]
        return taps

    def _gone(self, removals: Sequence[Parts]) -> Iterator[tuple[Site, np.ndarray]]:
        """Sites with what is taken out there, removal by removal: [removal], z: [removal, head]."""
        heads = self.model.identity.n_heads
        for layer in range(self.model.identity.n_layers):
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
