"""Which runs a sweep needs, which of its cells change nothing, and what is computed together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

from microtome.interventions.sweeping.cells import Cells
from microtome.interventions.sweeping.packed import Runs

# Behind these sites the layer mixes no positions any more.
_LATE = {"z", "q", "pattern", "attn_out", "resid_mid", "mlp_out", "mlp_post", "resid_post"}


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """The runs of a sweep, one a cell and example.

    ``first`` and ``stop`` bound the rows of a cell that can differ at all; where they are equal
    the cell changes nothing. What is known is decided on token ids, never on float values.
    """

    cells: Cells
    first: Int[np.ndarray, "example cell"]
    stop: Int[np.ndarray, "example cell"]
    length: int
    n_layers: int
    causal: bool

    @classmethod
    def of(
        cls,
        cells: Cells,
        differs: Bool[np.ndarray, "example position"],
        places: Int[np.ndarray, " place"],
        *,
        n_layers: int,
        causal: bool,
        skip: bool,
        embeds: bool,
    ) -> Plan:
        """The plan for examples whose values differ from the base's at ``differs``.

        ``embeds`` says that the stream before the first layer differs only there, too. Without
        ``skip`` every cell is computed, even one that is known to change nothing.
        """
        length = differs.shape[1]
        count = len(differs)
        first = np.tile(np.minimum(cells.start, length), (count, 1))
        stop = np.tile(np.minimum(cells.stop, length), (count, 1))
        plan = cls(cells, first, stop, length, n_layers, causal)
        if len(places) == 1 and cells.site in _LATE:
            plan._read_only_at(int(places[0]), skip=skip)
        if skip:
            plan._leave_out_equal(differs, embeds=embeds)
        return plan

    def _read_only_at(self, place: int, *, skip: bool) -> None:
        """In the last layer, behind attention, nothing but the row that is read matters."""
        last = self.cells.layer == self.n_layers - 1
        inside = (self.first <= place) & (place < self.stop) & last
        np.copyto(self.first, place, where=inside)
        np.copyto(self.stop, place + 1, where=inside)
        if skip:
            np.copyto(self.stop, self.first, where=last & ~inside)

    def _leave_out_equal(self, differs: np.ndarray, *, embeds: bool) -> None:
        if self.causal:
            begins = np.where(differs.any(1), differs.argmax(1), self.length)[:, None]
            np.copyto(self.first, np.maximum(self.first, begins))
        if embeds and self.cells.site == "resid_pre":
            here = self.cells.layer == 0
            sums = np.pad(differs.cumsum(1), ((0, 0), (1, 0)))
            rows = np.arange(len(differs))[:, None]
            stop = np.maximum(self.first, self.stop)
            none = sums[rows, stop] == sums[rows, np.minimum(self.first, self.length)]
            np.copyto(self.stop, self.first, where=here & none)

    @property
    def idle(self) -> Bool[np.ndarray, "example cell"]:
        """Cells that are known to change nothing."""
        return self.first >= self.stop

    @property
    def rows(self) -> Int[np.ndarray, "example cell"]:
        """Rows that each run has once it is under way; 0 for idle ones."""
        start = self.first if self.causal else np.zeros_like(self.first)
        return np.where(self.idle, 0, self.length - start)

    def passes(
        self, limit: int, *, least: int = 1
    ) -> Iterator[tuple[Int[np.ndarray, " run"], Runs]]:
        """Runs of at most ``limit`` rows together, coarse cells first.

        A run counts as ``least`` rows or more: so many are read of it at the end.
        With each pass the flat number ``example * cells + cell`` of its runs.
        """
        order = self.cells.coarse_first()
        numbers = (order[:, None] + np.arange(len(self.first))[None] * len(self.cells)).ravel()
        numbers = numbers[~self.idle.ravel()[numbers]]
        filled = np.cumsum(np.maximum(self.rows.ravel()[numbers], least))
        begun = 0
        while begun < len(numbers):
            before = filled[begun - 1] if begun else 0
            end = max(begun + 1, int(np.searchsorted(filled, before + limit, side="right")))
            yield self._runs(numbers[begun:end])
            begun = end

    def _runs(self, numbers: np.ndarray) -> tuple[np.ndarray, Runs]:
        example, cell = np.divmod(numbers, len(self.cells))
        first = self.first[example, cell]
        start = first if self.causal else np.zeros_like(first)
        order = np.lexsort((self.cells.layer[cell], example, start))
        numbers, example, cell = numbers[order], example[order], cell[order]
        layer = self.cells.layer[cell]
        return numbers, Runs(
            example=example,
            start=start[order],
            first=first[order],
            stop=self.stop[example, cell],
            layer=layer,
            join=layer if self.cells.site == "resid_pre" else layer + 1,
            head=self.cells.head[cell],
            neuron=self.cells.neuron[cell],
        )

    def row_layers(self) -> float:
        """Rows times layers of the whole sweep: what its time is made of."""
        join = self.cells.layer + (self.cells.site != "resid_pre")
        return float((self.rows * (self.n_layers - join)[None]).sum())
