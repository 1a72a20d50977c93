"""Edits as the user wrote them down: plain values that are kept, undone and sent to a model."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from microtome.errors import InputError
from microtome.prompts import Prompt, as_prompt
from microtome.sites import Site

ABLATIONS = ("zero", "mean", "position mean", "resample")
STEERS = ("add", "project out")
ACTIONS = (*ABLATIONS, "patch", *STEERS)
DIRECTIONS = ("difference", "component", "unembedding", "values")


@dataclass(frozen=True, slots=True)
class DirectionSpec:
    """A direction in a site's space, by how it is found.

    ``difference``: the mean over ``prompts`` minus the mean over ``others``; ``component``: that
    principal component over ``prompts``; ``unembedding``: the row of ``token``, minus that of
    ``other`` if there is one; ``values``: as given. ``unit`` makes its length 1. ``positions`` are
    those of the prompts that are looked at, None for all.
    """

    kind: str
    prompts: tuple[Prompt, ...] = ()
    others: tuple[Prompt, ...] = ()
    component: int = 0
    token: int | None = None
    other: int | None = None
    values: tuple[float, ...] = ()
    unit: bool = True
    positions: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        _known(self.kind, DIRECTIONS, "direction")
        _freeze(self, "prompts", "others")
        object.__setattr__(self, "values", tuple(float(value) for value in self.values))
        if self.positions is not None:
            object.__setattr__(self, "positions", tuple(int(at) for at in self.positions))


@dataclass(frozen=True, slots=True)
class EditSpec:
    """One edit: where (``site`` as ``z.2.1``, ``positions`` or all), what, and how much.

    ``prompts`` are what a mean is taken over or samples come from; for a patch the one prompt
    that gives the value, at ``from_positions`` and ``from_layer`` where they differ. ``strength``
    and ``direction`` are for steering. ``on`` is False for an edit that waits. ``neuron`` leaves
    all others of the site's last axis as they are.
    """

    site: str
    action: str
    positions: tuple[int, ...] | None = None
    prompts: tuple[Prompt, ...] = ()
    from_positions: tuple[int, ...] | None = None
    from_layer: int | None = None
    strength: float = 1.0
    direction: DirectionSpec | None = None
    seed: int = 0
    on: bool = True
    neuron: int | None = None

    def __post_init__(self) -> None:
        _known(self.action, ACTIONS, "action")
        _freeze(self, "prompts")
        for name in ("positions", "from_positions"):
            given = getattr(self, name)
            if given is not None:
                object.__setattr__(self, name, tuple(int(at) for at in given))

    @property
    def of_one_length(self) -> bool:
        """Whether the prompts that it is taken over must have as many tokens as the run.

        Their values belong to positions: position means, resampling, every mean of a pattern.
        """
        rows = {"query", "source_query"} & set(Site.parse(self.site).kind.axes)
        return self.action in ("position mean", "resample") or (
            self.action == "mean" and bool(rows)
        )

    def as_json(self) -> dict[str, Any]:
        """The edit as plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, held: dict[str, Any]) -> EditSpec:
        """The edit that ``as_json`` gave; InputError for what is none."""
        try:
            direction = held.get("direction")
            return cls(**held | {"direction": direction and DirectionSpec(**direction)})
        except (TypeError, ValueError) as error:
            raise InputError(f"This is no edit: {error}.") from error


@dataclass(frozen=True, slots=True)
class EditSet:
    """Edits under a name."""

    name: str
    edits: tuple[EditSpec, ...]


def _known(given: str, known: tuple[str, ...], what: str) -> None:
    if given not in known:
        raise InputError(f"There is no {what} {given!r}.", f"Known: {', '.join(known)}.")


def _freeze(spec: Any, *names: str) -> None:
    for name in names:
        frozen = tuple(as_prompt(prompt) for prompt in getattr(spec, name))
        object.__setattr__(spec, name, frozen)
