"""Results of analyses as labelled arrays: one shape for panels, session file and exports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from microtome.errors import SiteMissing
from microtome.records.made import Made
from microtome.records.trace import ArraySource


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """An array whose axes have names; ``units`` is "1" for a plain number.

    ``values`` may be text: a numpy array of fixed-length unicode (``<U``).
    """

    dims: tuple[str, ...]
    values: ArraySource
    units: str = "1"
    long_name: str = ""

    def __post_init__(self) -> None:
        if len(self.dims) != len(self.values.shape):
            raise ValueError(f"{len(self.dims)} axis names for an array of {self.values.shape}")


@dataclass(frozen=True, slots=True, eq=False)
class Analysis:
    """One result: its kind, the settings that produced it, and its arrays.

    ``kind`` says who can read it back (``logit-lens``, ``direct-attribution``, ``projection``,
    ``head-scores``, ``site-statistics`` …). ``params`` holds plain JSON values and always says
    which method, metric and seed were used. ``made`` is the stamp of the model that it was computed
    on; None until it is part of a session.
    """

    id: str
    kind: str
    title: str
    arrays: Mapping[str, Labelled]
    params: dict[str, Any] = field(default_factory=dict)
    created: str = ""  # ISO 8601, UTC
    made: Made | None = None

    @property
    def whole(self) -> bool:
        """Whether all of it was computed; what was stopped says so in its params."""
        return bool(self.params.get("complete", True)) and not self.params.get("partial", False)

    def array(self, name: str) -> NDArray[Any]:
        """The values of one array.

        Raises SiteMissing when the analysis has no such array.
        """
        if name not in self.arrays:
            held = ", ".join(self.arrays)
            raise SiteMissing(f"The analysis {self.id} has no {name}; it has {held}.")
        return self.arrays[name].values[...]
