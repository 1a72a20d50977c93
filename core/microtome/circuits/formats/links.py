"""Links of a graph file as they come: columns of numbers, ids told apart by first use."""

from __future__ import annotations

from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from microtome.errors import GraphError

Extra = tuple[int, dict[str, Any]]  # row of a link, and its keys beyond the known ones
_KNOWN = ("source", "target", "weight")
_SOURCE, _TARGET, _WEIGHT = (itemgetter(key) for key in _KNOWN)
_ANEW = "Export the graph anew: each link needs source, target and a finite weight."


class Numbering(dict[str, int]):
    """Texts numbered in the order in which they are first asked for."""

    def __missing__(self, key: str) -> int:
        self[key] = number = len(self)
        return number


@dataclass(slots=True, eq=False)
class Links:
    """Columns of links in the making; ``add`` takes them as parsed objects."""

    numbers: Numbering = field(default_factory=Numbering)
    extras: list[Extra] = field(default_factory=list)
    count: int = 0
    _sources: list[Int[np.ndarray, " some"]] = field(default_factory=list)
    _targets: list[Int[np.ndarray, " some"]] = field(default_factory=list)
    _weights: list[Float[np.ndarray, " some"]] = field(default_factory=list)

    def add(self, batch: list[Any]) -> None:
        """Take some links. Raises GraphError that names the first that is none."""
        try:
            ends = [list(map(get, batch)) for get in (_SOURCE, _TARGET)]
            weights = list(map(_WEIGHT, batch))
            longest = max(map(len, batch), default=0)
        except (KeyError, TypeError, IndexError):
            raise self._no_link(batch) from None
        kinds = {*map(type, ends[0]), *map(type, ends[1])}
        if kinds - {str} or {*map(type, weights)} - {int, float}:
            raise self._no_link(batch)
        number = self.numbers.__getitem__
        try:
            values = np.array(weights, np.float64)
        except OverflowError:
            raise self._no_link(batch) from None
        if not np.isfinite(values).all():
            raise self._no_link(batch)
        self._sources.append(np.fromiter(map(number, ends[0]), np.int32, len(batch)))
        self._targets.append(np.fromiter(map(number, ends[1]), np.int32, len(batch)))
        self._weights.append(values)
        if longest > len(_KNOWN):
            self._keep_extras(batch)
        self.count += len(batch)

    def _keep_extras(self, batch: list[dict[str, Any]]) -> None:
        for row, link in enumerate(batch, self.count):
            if len(link) > len(_KNOWN):
                self.extras.append((row, {k: v for k, v in link.items() if k not in _KNOWN}))

    def _no_link(self, batch: list[Any]) -> GraphError:
        for row, link in enumerate(batch, self.count):
            if not _is_link(link):
                return GraphError(f"Link {row} of the file is {str(link)[:120]}.", _ANEW)
        return GraphError("A link of the file has a weight that is too large.", _ANEW)

    @property
    def source(self) -> Int[np.ndarray, " link"]:
        """Numbers of the ids that links start at."""
        return np.concatenate(self._sources) if self._sources else np.zeros(0, np.int32)

    @property
    def target(self) -> Int[np.ndarray, " link"]:
        """Numbers of the ids that links end at."""
        return np.concatenate(self._targets) if self._targets else np.zeros(0, np.int32)

    @property
    def weight(self) -> Float[np.ndarray, " link"]:
        """Weights in double precision."""
        return np.concatenate(self._weights) if self._weights else np.zeros(0)


def _is_link(link: Any) -> bool:
    if not isinstance(link, dict) or not all(key in link for key in _KNOWN):
        return False
    weight = link["weight"]
    ends = isinstance(link["source"], str) and isinstance(link["target"], str)
    return ends and type(weight) in (int, float) and abs(weight) < float("inf")
