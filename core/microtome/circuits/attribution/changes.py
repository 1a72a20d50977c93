"""Changes of features: ablated, scaled, set or steered, and the edit that does it in a run."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType

import torch
from jaxtyping import Float
from torch import Tensor

from microtome.errors import EditError, InputError, expect
from microtome.features.transcoders import Transcoders
from microtome.interventions.regions import counted, frozen_positions
from microtome.jobs import Job
from microtome.models.hooks import Tap
from microtome.models.model import Model
from microtome.records.circuit import FEATURE, Circuit
from microtome.sites import Site

# What an activation becomes, by a number.
ACTIONS: Mapping[str, Callable[[Tensor, float], Tensor]] = MappingProxyType(
    {
        "ablate": lambda activation, _: torch.zeros_like(activation),
        "scale": lambda activation, factor: factor * activation,
        "set": torch.full_like,
        "steer": lambda activation, amount: activation + amount,
    }
)


@dataclass(frozen=True, slots=True)
class FeatureChange:
    """One feature of a layer's transcoder, and what its activation becomes at some positions.

    ``action`` is ``ablate`` (0), ``scale`` (times ``amount``), ``set`` (to ``amount``) or
    ``steer`` (plus ``amount``). Without ``positions`` it acts wherever transcoders are not silent.
    Raises EditError for an action of another name and an amount that is not finite.
    """

    layer: int
    feature: int
    action: str = "ablate"
    amount: float = 0.0
    positions: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        for name in ("layer", "feature"):
            expect(getattr(self, name), int, name, "a whole number", "Count from 0.")
        expect(self.amount, (int, float), "amount", "a number", "Write for example 2.0.")
        if self.action not in ACTIONS or not math.isfinite(self.amount):
            raise EditError(
                f"A feature cannot be changed by {self.action!r} and {self.amount}.",
                f"Known are {', '.join(ACTIONS)}, with a finite number.",
            )
        object.__setattr__(self, "positions", frozen_positions(self.positions))

    def __str__(self) -> str:
        amount = "" if self.action == "ablate" else f" {self.amount:g}"
        at = "" if self.positions is None else f" at {', '.join(map(str, self.positions))}"
        return f"{self.action}{amount} L{self.layer} F{self.feature}{at}"

    def new(
        self, activation: Float[Tensor, " position"], silent: int
    ) -> Float[Tensor, " position"]:
        """Activations of all positions after the change; those of others stay."""
        changed, acting = activation.clone(), ACTIONS[self.action]
        where = self.acts_at(len(activation), silent)
        changed[where] = acting(activation[where], self.amount)
        return changed

    def acts_at(self, length: int, silent: int) -> slice | list[int]:
        """Where it acts in a prompt of so many tokens. Raises EditError for positions beyond."""
        if self.positions is None:
            return slice(silent, None)
        return list(counted(_site(self.layer), self.positions, length))


def _site(layer: int) -> Site:
    return Site("mlp_out", layer)


def changes_of(
    circuit: Circuit, nodes: Iterable[str], action: str = "ablate", amount: float = 0.0
) -> tuple[FeatureChange, ...]:
    """The same change of all features among some nodes of a graph, such as those of a supernode.

    Raises InputError for a node that the graph does not have, or that is no feature.
    """
    expect(circuit, Circuit, "circuit", "a Circuit", "Make one with attribution_graph.")
    if isinstance(nodes, str):
        nodes = (nodes,)
    rows = {name: row for row, name in enumerate(circuit.node_id)}
    found = []
    for node in nodes:
        if node not in rows or circuit.node_kind[rows[node]] != FEATURE:
            raise InputError(
                f"{node!r} is no feature of the graph.", "Give node ids such as '3_1207_5'."
            )
        row = rows[node]
        layer, feature, at = (
            int(column[row])
            for column in (circuit.node_layer, circuit.node_feature, circuit.node_position)
        )
        found.append(FeatureChange(layer, feature, action, amount, (at,)))
    return tuple(found)


def expect_changes(transcoders: Transcoders, changes: Sequence[FeatureChange]) -> None:
    """Raise EditError for features that the transcoders do not have, or that change twice."""
    example = "Write for example [FeatureChange(2, 17)]."
    expect(changes, Sequence, "changes", "a list of FeatureChange", example)
    taken: set[tuple[int, int, int | None]] = set()
    for change in changes:
        expect(change, FeatureChange, "A change", "a FeatureChange", example)
        _expect_feature(transcoders, change)
        places = {(change.layer, change.feature, at) for at in change.positions or (None,)}
        if taken & places:
            raise _twice(change)
        taken |= places


def _twice(change: FeatureChange) -> EditError:
    return EditError(
        f"Feature {change.feature} of layer {change.layer} changes twice at one position.",
        "Change it once, or at other positions.",
    )


def _expect_feature(transcoders: Transcoders, change: FeatureChange) -> None:
    if not 0 <= change.layer < transcoders.n_layers:
        raise EditError(
            f"There is no transcoder of layer {change.layer}.",
            f"Layers are 0 to {transcoders.n_layers - 1}.",
        )
    count = transcoders.layers[change.layer].d_sae
    if not 0 <= change.feature < count:
        raise EditError(
            f"The transcoder of layer {change.layer} has no feature {change.feature}.",
            f"Features are 0 to {count - 1}.",
        )


def differences(
    changes: Sequence[FeatureChange], codes: Float[Tensor, "position feature"], silent: int
) -> dict[int, Float[Tensor, " position"]]:
    """What changes of one layer add to the codes, by feature.

    Raises EditError where two act on a feature at the same position: -1 may be another name of 11,
    and a change without positions acts at all.
    """
    new = {change.feature: codes[:, change.feature] for change in changes}
    taken = {feature: torch.zeros(len(codes), dtype=torch.bool) for feature in new}
    for change in changes:
        where = change.acts_at(len(codes), silent)
        if bool(taken[change.feature][where].any()):
            raise _twice(change)
        taken[change.feature][where] = True
        own = change.new(codes[:, change.feature], silent) - codes[:, change.feature]
        new[change.feature] = new[change.feature] + own
    return {feature: changed - codes[:, feature] for feature, changed in new.items()}


def written_by(
    transcoders: Transcoders, layer: int, to: int, added: Mapping[int, Tensor]
) -> Float[Tensor, "position d_model"]:
    """What a change of codes of a layer adds to the MLP output of a layer."""
    features = torch.tensor(list(added))
    slot = to - layer
    if slot and transcoders.onward is not None:
        rows = transcoders.onward[layer][features, slot - 1]
    else:
        rows = transcoders.layers[layer].weights.w_dec[features]
    amounts = torch.stack(list(added.values()), dim=1)
    return amounts @ rows.to(amounts)


@dataclass(frozen=True, slots=True, eq=False)
class FeatureEdit:
    """Changes of features as an edit of a run: ``trace`` and ``generate`` take it like any other.

    What a feature reads is looked at in the run itself; the difference between its new and its
    present activation, times its decoder, is added to the MLP outputs that it writes. Everything
    behind is computed anew.
    Raises EditError for features that the transcoders do not have.
    """

    transcoders: Transcoders
    changes: tuple[FeatureChange, ...]

    def __post_init__(self) -> None:
        way_out = "Load a set with load_transcoders."
        expect(self.transcoders, Transcoders, "transcoders", "a Transcoders", way_out)
        expect_changes(self.transcoders, self.changes)
        object.__setattr__(self, "changes", tuple(self.changes))

    def __str__(self) -> str:
        return "; ".join(map(str, self.changes))

    @property
    def everywhere(self) -> bool:
        """Whether it acts on positions that a text grows by: named ones stay where they are."""
        return True

    def taps(self, model: Model, positions: int, job: Job, source: int = 0) -> Mapping[Site, Tap]:
        """What to do at each place in a run over so many tokens."""
        del model, positions, job, source
        live = _Live(self.transcoders, self.changes)
        layers = sorted({change.layer for change in self.changes})
        taps: dict[Site, Tap] = {}
        for layer in layers:
            taps[Site.of(self.transcoders.layers[layer].identity.reads)] = partial(live.read, layer)
            end = self.transcoders.n_layers if self.transcoders.crosses else layer + 1
            taps |= {_site(to): partial(live.write, to) for to in range(layer, end)}
        return taps


@dataclass(frozen=True, slots=True, eq=False)
class _Live:
    """One run under changes: what was added to codes, by layer, for each prompt of a batch."""

    transcoders: Transcoders
    changes: tuple[FeatureChange, ...]
    added: dict[int, list[dict[int, Tensor]]] = field(default_factory=dict)

    def read(self, layer: int, values: Tensor) -> Tensor:
        """Look at what the transcoder reads."""
        own = [change for change in self.changes if change.layer == layer]
        self.added[layer] = [
            differences(own, self._codes(layer, prompt), self.transcoders.silent)
            for prompt in values
        ]
        return values

    def _codes(self, layer: int, values: Tensor) -> Tensor:
        one = self.transcoders.layers[layer].weights.w_dec
        return self.transcoders.encode(layer, values.to(one.device, one.dtype))

    def write(self, to: int, values: Tensor) -> Tensor:
        """Add what changed features write."""
        total = values.float()
        for layer in range(to + 1) if self.transcoders.crosses else (to,):
            for row, added in enumerate(self.added.get(layer, ())):
                written = written_by(self.transcoders, layer, to, added)
                total[row] += written.to(total)
        return total.to(values.dtype)
