"""What the superposition lab says and draws: toy models, phases, and a real layer beside them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Float, Int

from microtome.records.analysis import Analysis
from microtome.records.dictionary import DictionaryIdentity
from microtome.records.model import ModelIdentity
from microtome.records.session import Session
from microtome.records.superposition import (
    PHASES,
    REPRESENTED,
    SHARING,
    TOY,
    Geometry,
    PhaseDiagram,
    ToyModels,
    geometry_of,
    phases_of,
    toys_of,
)
from microtome_desktop.state.exports import Table
from microtome_desktop.state.superpositions import SharingWish, newest

NO_TOY = "Choose how many features share how many dimensions, and press Train."
NO_PHASES = "Trains a model in every square, all at once: press Find phases."
NO_SHARING = "Choose neurons or a dictionary, and press Measure."
LOST, ALONE, SHARED = STATES = (0, 1, 2)
STATE_NAMES = ("not represented", "a dimension of its own", "in superposition")
STATE_COLOURS = ("RAISED_MORE", "ACCENT", "WARM")
# What others put on a feature's direction, beside its own squared length, from which it shares.
_SHARES = 0.25

_T = TypeVar("_T")


def states(phases: PhaseDiagram) -> Int[np.ndarray, "importance density"]:
    """Which of the three states each square is in."""
    own = np.square(phases.norm)
    shared = phases.interference > _SHARES * own
    return np.where(phases.norm < REPRESENTED, LOST, np.where(shared, SHARED, ALONE))


@dataclass(frozen=True, slots=True, eq=False)
class ToyPicture:
    """One toy model: its title, directions [feature, dimension] and their measures."""

    title: str
    directions: Float[np.ndarray, "feature dimension"]
    measured: Geometry
    limit: float  # of the axes, which all models share

    @property
    def is_flat(self) -> bool:
        """Whether its directions can be drawn as arrows."""
        return bool(self.directions.shape[1] == 2)

    @property
    def products(self) -> Float[np.ndarray, "feature feature"]:
        """WᵀW: what each feature puts on each other."""
        held: Float[np.ndarray, "feature feature"] = self.directions @ self.directions.T
        return held


def pictures(toys: ToyModels) -> tuple[ToyPicture, ...]:
    """A picture of each model."""
    limit = max(1.2, 1.1 * float(np.linalg.norm(toys.weights, axis=1).max(initial=0)))
    found = []
    for number, sparsity in enumerate(toys.plan.sparsity):
        measured = toys.geometry(number)
        title = f"zeros {sparsity:.2g}: {_kept(measured)}/{toys.plan.features}"
        found.append(ToyPicture(title, toys.weights[number].T, measured, limit))
    return tuple(found)


def _kept(measured: Geometry) -> int:
    return int((measured.norm > REPRESENTED).sum())


def toy_text(toys: ToyModels, drawn: Sequence[ToyPicture]) -> str:
    """Where the toy models stand, in a line."""
    if not len(toys.step):
        return ""
    shares = ", ".join(f"{each.measured.dimensions_per_feature:.2f}" for each in drawn)
    best = f" \N{MIDDLE DOT} best of {toys.plan.starts} starts" if toys.plan.starts > 1 else ""
    return (
        f"step {int(toys.step[-1]):,} of {toys.plan.steps:,} \N{MIDDLE DOT} "
        f"{toys.plan.features} features in {toys.plan.dimensions} dimensions \N{MIDDLE DOT} "
        f"dimensions per feature {shares}{best} \N{MIDDLE DOT} seed {toys.plan.seed}"
    )


def phase_text(phases: PhaseDiagram | None) -> str:
    """How many squares are in each state, in a line."""
    if phases is None:
        return ""
    held = states(phases)
    shares = ", ".join(
        f"{name} {(held == state).mean():.0%}"
        for state, name in zip(STATES, STATE_NAMES, strict=True)
    )
    after = (
        "" if phases.done >= phases.steps else f"after {phases.done:,} of {phases.steps:,} steps: "
    )
    return (
        f"{after}{phases.features} features in {phases.dimensions} "
        f"dimension{'s' * (phases.dimensions != 1)}: {shares} \N{MIDDLE DOT} seed {phases.seed}"
    )


def square_text(phases: PhaseDiagram, row: int, column: int) -> str:
    """What one square is."""
    state = STATE_NAMES[int(states(phases)[row, column])]
    return (
        f"density {phases.density[column]:.3g}, importance {phases.importance[row]:.3g}: {state} "
        f"(length {phases.norm[row, column]:.2f}, interference "
        f"{phases.interference[row, column]:.2f})"
    )


def sharing_text(found: Geometry | None, of: str) -> str:
    """How directions share a space, in a line."""
    if found is None:
        return ""
    median, shared = np.median(found.dimensionality), np.median(found.interference)
    return (
        f"{of}: {len(found.norm):,} directions in {found.width:,} dimensions \N{MIDDLE DOT} "
        f"median {median:.2f} of a dimension \N{MIDDLE DOT} median interference {shared:.2g}"
    )


def measurable(
    model: ModelIdentity | None, opened: tuple[DictionaryIdentity, ...]
) -> tuple[SharingWish, ...]:
    """What can be measured: the neurons of each layer, and every open dictionary."""
    if model is None:
        return ()
    neurons = (SharingWish(f"neurons of layer {n}", n) for n in range(model.n_layers))
    decoders = (
        SharingWish(f"features of {one.name or one.reads}", None, one.fingerprint) for one in opened
    )
    return (*neurons, *decoders)


# records of a session; None for none, and for one of another version


def _read(session: Session | None, kind: str, reader: Callable[[Analysis], _T]) -> _T | None:
    held = newest(session, kind)
    if held is None:
        return None
    try:
        return reader(held)
    except (LookupError, TypeError, ValueError, AttributeError):
        return None


def toys_in(session: Session | None) -> ToyModels | None:
    """The toy models of a session."""
    return _read(session, TOY, toys_of)


def phases_in(session: Session | None) -> PhaseDiagram | None:
    """The phase diagram of a session."""
    return _read(session, PHASES, phases_of)


def sharing_in(session: Session | None) -> tuple[str, Geometry] | None:
    """What was measured last, and of what."""
    return _read(session, SHARING, lambda one: (str(one.params["of"]), geometry_of(one)))


# tables


def toy_table(toys: ToyModels) -> Table:
    """A row for each feature of each model."""
    headers = ("model", "sparsity", "feature", "importance", "norm", "interference",
               "dimensionality", *(f"w{n}" for n in range(toys.plan.dimensions)))  # fmt: skip
    rows: list[tuple[Any, ...]] = []
    for number, sparsity in enumerate(toys.plan.sparsity):
        found = toys.geometry(number)
        rows.extend(
            (number, sparsity, feature, toys.plan.importance**feature, found.norm[feature],
             found.interference[feature], found.dimensionality[feature],
             *toys.weights[number, :, feature])
            for feature in range(toys.plan.features)
        )  # fmt: skip
    return Table(headers, rows)


def phase_table(phases: PhaseDiagram) -> Table:
    """A row for each square."""
    held = states(phases)
    rows = [
        (density, importance, phases.norm[row, column], phases.interference[row, column],
         STATE_NAMES[int(held[row, column])])
        for row, importance in enumerate(phases.importance)
        for column, density in enumerate(phases.density)
    ]  # fmt: skip
    return Table(("density", "importance", "norm", "interference", "state"), rows)


def sharing_table(found: Geometry) -> Table:
    """A row for each direction."""
    numbers = zip(found.norm, found.interference, found.dimensionality, strict=True)
    rows = [(number, *each) for number, each in enumerate(numbers)]
    return Table(("direction", "norm", "interference", "dimensionality"), rows)
