"""The strongest of many, kept group by group while they stream by."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from microtome.records.feature_index import NONE


class Strongest:
    """For each group the ``size`` entries with the largest keys so far, strongest first.

    Each entry has a key and further columns. ``entries`` of a batch may be of any number; an
    entry that is weaker than all that are kept of its group costs a comparison.
    """

    def __init__(self, groups: int, size: int, columns: Mapping[str, NDArray[np.generic]]) -> None:
        self.size = size
        self.keys = np.full((groups, size), -np.inf, np.float32)
        self.columns = {
            name: np.full((groups, size, *like.shape[1:]), NONE, like.dtype)
            for name, like in columns.items()
        }

    def worth(self, groups: NDArray[np.int64], keys: NDArray[np.float32]) -> NDArray[np.int64]:
        """Which of some entries would be kept: their columns need not be made for the others."""
        able = np.flatnonzero(keys > self.keys[groups, -1])
        order = able[np.lexsort((able, -keys[able], groups[able]))]
        sorted_groups = groups[order]
        first = np.searchsorted(sorted_groups, sorted_groups)
        return np.sort(order[np.arange(len(order)) - first < self.size])

    def add(
        self,
        groups: NDArray[np.int64],
        keys: NDArray[np.float32],
        columns: Mapping[str, NDArray[np.generic]],
    ) -> None:
        """Take in entries; of equal ones the earlier stays."""
        if not len(groups):
            return
        touched, own = np.unique(groups, return_inverse=True)
        held = self.keys[touched]
        rows = np.concatenate([np.repeat(np.arange(len(touched)), self.size), own])
        every = np.concatenate([held.reshape(-1), keys])
        order = np.lexsort((np.arange(len(every)), -every, rows))
        sorted_rows = rows[order]
        first = np.searchsorted(sorted_rows, np.arange(len(touched)))
        rank = np.arange(len(order)) - first[sorted_rows]
        kept = order[rank < self.size]  # each group has at least as many as it held
        shape = (len(touched), self.size)
        self.keys[touched] = every[kept].reshape(shape)
        for name, values in self.columns.items():
            old = values[touched].reshape(-1, *values.shape[2:])
            both = np.concatenate([old, columns[name].astype(values.dtype)])
            values[touched] = both[kept].reshape(*shape, *values.shape[2:])
