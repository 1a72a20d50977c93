"""Ablation: put zero, a mean, or values of another prompt in place of a site's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import index

import torch

from microtome.errors import EditError
from microtome.interventions.means import by_position, drawn
from microtome.interventions.measured import (
    Measured,
    expect_lengths,
    mean_of,
    position_means_of,
    values_of,
)
from microtome.interventions.regions import Region, frozen_positions
from microtome.jobs import Job
from microtome.models.hooks import Tap
from microtome.models.model import Model
from microtome.prompts import Prompt, as_prompt
from microtome.records.edit_texts import ablation_text, where_text
from microtome.records.edits import ABLATIONS
from microtome.sites import Site

_PURPOSES = {
    "mean": "to take the mean over",
    "position mean": "to take the means over",
    "resample": "to draw from",
}


@dataclass(frozen=True, slots=True, init=False)
class Ablate:
    """Put zero, a mean over prompts, or values of another prompt in place of a site's.

    ``zero``: 0. ``mean``: the mean over all positions of all prompts in ``over``. ``position
    mean``: the mean at each position over prompts of the run's length. ``resample``: one prompt
    of ``over``, which are of the run's length, is drawn by ``seed``, and each position gets the
    value that this prompt has there; all layers and heads of one edit get the same prompt.
    Scores and patterns have no meaning at another length, so that their mean is a position mean,
    entry by entry. A site of a layer without a number means every layer; ``positions`` are those
    of the queries in a pattern. Nothing but zero goes without prompts: EditError.
    """

    site: Site
    kind: str
    over: tuple[Prompt, ...]
    positions: tuple[int, ...] | None
    seed: int

    def __init__(
        self,
        site: Site | str,
        kind: str = "zero",
        over: Sequence[Prompt | Sequence[int]] | None = None,
        positions: Sequence[int] | None = None,
        seed: int = 0,
    ) -> None:
        if kind not in ABLATIONS:
            raise EditError(
                f"There is no ablation {kind!r}.",
                f"Choose {', '.join(ABLATIONS[:-1])} or {ABLATIONS[-1]}.",
            )
        if kind in _PURPOSES and not over:
            raise EditError(
                f"A {kind} ablation needs prompts {_PURPOSES[kind]}.", "Give them as over=[…]."
            )
        if index(seed) < 0:
            raise EditError(f"The seed is {seed}.", "Give 0 or more.")
        object.__setattr__(self, "site", Site.of(site))
        object.__setattr__(self, "kind", kind)
        object.__setattr__(self, "over", tuple(as_prompt(prompt) for prompt in over or ()))
        object.__setattr__(self, "positions", frozen_positions(positions))
        object.__setattr__(self, "seed", index(seed))

    def __str__(self) -> str:
        where = where_text(self.site, self.positions)
        return ablation_text(self.kind, where, len(self.over), self.seed)

    @property
    def everywhere(self) -> bool:
        """Whether it does the same at every position, also at those that a text grows by."""
        return not by_position(self.kind, self.site)

    def taps(self, model: Model, positions: int, job: Job, source: int = 0) -> Mapping[Site, Tap]:
        """What to do at each place in a run over so many tokens, ``source`` in an encoder."""
        region = Region.of(model, self.site, self.positions, positions, source)
        if self.kind == "zero":
            return region.taps(lambda _layer: torch.zeros(()))
        values = self._values(model, (positions, source), job)
        return region.taps(lambda layer: region.rows(torch.from_numpy(values[layer])))

    def _values(self, model: Model, lengths: tuple[int, int], job: Job) -> Measured:
        if self.everywhere:
            return mean_of(model, self.site, self.over, job)
        expect_lengths(model, self.site, self.over, self.kind, lengths)
        if self.kind == "resample":
            chosen = self.over[drawn(self.seed, len(self.over))]
            return values_of(model, self.site, chosen, job)
        return position_means_of(model, self.site, self.over, job)
