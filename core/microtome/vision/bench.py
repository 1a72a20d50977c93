"""What a lesion is tried on: cases in groups, units in layers, and what comes of changes.

A bench of images and one of prompts give the same, so that nothing above knows which it has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int

from microtome.jobs import Job
from microtome.records.lesion import Treatment
from microtome.records.units import Unit


@dataclass(frozen=True, slots=True)
class Cases:
    """What a bench has: the class of each case, and the domain of each class.

    ``word`` is what a class is called: class or task. ``domains`` are empty where classes have
    none.
    """

    labels: Int[np.ndarray, " case"]
    classes: tuple[str, ...]
    domains: tuple[str, ...]
    word: str

    def inside(self, name: str) -> Bool[np.ndarray, " case"]:
        """Which cases are of a class or a domain."""
        named = [name in {kind, *self.domains[at : at + 1]} for at, kind in enumerate(self.classes)]
        return np.asarray(np.array(named)[self.labels])

    @property
    def names(self) -> tuple[str, ...]:
        """Domains and classes, each once."""
        return tuple(dict.fromkeys((*self.domains, *self.classes)))


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What the model says with each lesion: whether it is right, what it said, and by how much.

    ``said`` are columns of the bench's ``said``; ``margin`` is the logit of the right answer
    minus that of the wrong one, or of the best other.
    """

    right: Bool[np.ndarray, "lesion measure case"]
    said: Int[np.ndarray, "lesion case"]
    margin: Float[np.ndarray, "lesion case"]


@runtime_checkable
class Bench(Protocol):
    """Cases that a model answers, and units that can be changed meanwhile."""

    @property
    def cases(self) -> Cases:
        """The cases and their groups."""
        ...

    @property
    def measures(self) -> tuple[str, ...]:
        """What counts as right."""
        ...

    @property
    def said(self) -> tuple[str, ...]:
        """What the model can have said."""
        ...

    @property
    def layers(self) -> Mapping[str, int]:
        """The layers, and how many units each has."""
        ...

    def activity(self, layers: Sequence[str], job: Job) -> Mapping[str, np.ndarray]:
        """What the units of layers do on each case: [case, unit]."""
        ...

    def run(
        self,
        lesions: Sequence[frozenset[Unit]],
        treatment: Treatment,
        job: Job,
        progress: tuple[int, int] = (0, 0),
    ) -> Outcome:
        """What comes of each lesion; ``progress`` are lesions that are done, and all of them."""
        ...

    def told(self) -> dict[str, Any]:
        """What the cases and the reference are, as plain JSON."""
        ...


def masks(
    lesions: Sequence[frozenset[Unit]], layers: Mapping[str, int]
) -> dict[str, Bool[np.ndarray, "lesion unit"]]:
    """Of each layer that some lesion changes, which units each changes."""
    found: dict[str, Bool[np.ndarray, "lesion unit"]] = {}
    for row, units in enumerate(lesions):
        for unit in units:
            if unit.layer not in found:
                found[unit.layer] = np.zeros((len(lesions), layers[unit.layer]), dtype=np.bool_)
            found[unit.layer][row, unit.index] = True
    return found
