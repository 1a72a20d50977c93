"""An edit of one neuron: all others of its site keep their values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from torch import Tensor

from microtome.activations.budget import axis_lengths
from microtome.activations.capture import Edit
from microtome.errors import EditError
from microtome.jobs import Job
from microtome.models.hooks import Tap
from microtome.models.model import Model
from microtome.sites import Site


@dataclass(frozen=True, slots=True)
class OneUnit:
    """What ``edit`` does to one number of a site's last axis; the others stay as they were.

    Raises EditError, when a run starts, for a number that the site does not have.
    """

    edit: Edit
    unit: int

    def __str__(self) -> str:
        return f"{self.edit}, neuron {self.unit}"

    @property
    def everywhere(self) -> bool:
        """Whether it does the same at every position, also at those that a text grows by."""
        return bool(getattr(self.edit, "everywhere", True))

    @property
    def positions(self) -> tuple[int, ...] | None:
        """The positions that it names, None for all."""
        named: tuple[int, ...] | None = getattr(self.edit, "positions", None)
        return named

    def taps(self, model: Model, positions: int, job: Job, source: int = 0) -> Mapping[Site, Tap]:
        """What to do at each place in a run over so many tokens, ``source`` in an encoder."""
        lengths = axis_lengths(model, positions, source)
        found: dict[Site, Tap] = {}
        for site, tap in self.edit.taps(model, positions, job, source).items():
            count = lengths[site.kind.axes[-1]]
            if not 0 <= self.unit < count:
                raise EditError(
                    f"The site {site} has no neuron {self.unit}.", f"They are 0 to {count - 1}."
                )
            found[site] = partial(self._alone, tap)
        return found

    def _alone(self, tap: Tap, values: Tensor) -> Tensor:
        changed = values.clone()
        changed[..., self.unit] = tap(values)[..., self.unit]
        return changed
