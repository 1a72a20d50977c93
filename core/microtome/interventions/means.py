"""Means of a site over prompts, taken one prompt after another: memory is that of one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from microtome.sites import Site


def by_position(how: str, site: Site) -> bool:
    """Whether values put in for an ablation belong to a prompt of one length.

    Of scores and patterns every mean does: a row over 12 keys says nothing about 9.
    """
    return how in ("position mean", "resample") or (
        how == "mean" and bool({"query", "source_query"} & set(site.kind.axes))
    )


def drawn(seed: int, count: int) -> int:
    """The prompt that a resampling takes its values from."""
    return int(np.random.default_rng(seed).integers(count))


@dataclass(slots=True, eq=False)
class Means:
    """Sums of a site's values, layer by layer.

    ``axis`` counts the positions that are summed over; it stays, with a length of 1. Without it
    each position and each entry has a mean of its own.
    """

    axis: int | None
    _sums: dict[int | None, NDArray[np.float64]] = field(default_factory=dict)
    _rows: int = 0

    def add(self, values: Mapping[int | None, NDArray[np.floating]]) -> None:
        """Take in one prompt's values of all layers."""
        for layer, held in values.items():
            wide = np.asarray(held, dtype=np.float64)
            own = wide if self.axis is None else wide.sum(self.axis, keepdims=True)
            before = self._sums.get(layer)
            self._sums[layer] = own if before is None else before + own
        any_layer = next(iter(values.values()))
        self._rows += 1 if self.axis is None else any_layer.shape[self.axis]

    def taken(self) -> dict[int | None, NDArray[np.float64]]:
        """The means, float64."""
        return {layer: np.asarray(total / self._rows) for layer, total in self._sums.items()}
