"""What a card says of its way between neurons and features: who goes with whom, and by how much."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from microtome.records.analysis import Analysis
from microtome.records.dictionary import DictionaryIdentity
from microtome.records.neuron_prints import layer_of_neurons, neurons_fingerprint
from microtome.records.session import Session
from microtome.records.shared_features import SHARED_FEATURES, shared_of
from microtome.records.shared_neurons import SHARED_NEURONS, neurons_of_analysis
from microtome_desktop.presenters.tokens import shown_token
from microtome_desktop.state.features import index_with, labels_in

SHOWN = 8
_TOKENS, _LEAST = 3, 0.1  # that name a feature without a label: how many, and their least share


@dataclass(frozen=True, slots=True)
class Sharer:
    """A feature or a neuron that goes with the one on the card: where it is, name, correlation."""

    dictionary: str  # its fingerprint
    feature: int
    name: str
    correlation: float
    share: float

    @property
    def title(self) -> str:
        """What it is called."""
        return f"{self.feature}  {self.name}".strip()


@dataclass(frozen=True, slots=True)
class Coder:
    """A dictionary whose features may share a neuron: open, or built in and to be opened."""

    name: str
    fingerprint: str = ""  # empty where it is not open


def coders(
    held: Iterable[DictionaryIdentity], built_in: Iterable[str], layer: int
) -> tuple[Coder, ...]:
    """What a neuron of a layer can be compared with; what stands for its own layer comes first."""
    opened = tuple(held)
    own = [one for one in opened if one.writes == f"mlp_out.{layer}"]
    others = [one for one in opened if one not in own]
    # One of a set is called after the set and its layer.
    names = {one.name.partition(", ")[0] for one in opened}
    closed = [Coder(name) for name in built_in if name not in names]
    sets = [one for one in closed if one.name.endswith("/transcoders")]
    single = [one for one in closed if one not in sets]
    first = [Coder(one.name, one.fingerprint) for one in own] or sets
    rest = [Coder(one.name, one.fingerprint) for one in others]
    return (*first, *rest, *single)


def sharing_of(session: Session | None, fingerprint: str, feature: int) -> Analysis | None:
    """What is known of a neuron's features, or of a feature's neurons; the newest."""
    layer = layer_of_neurons(fingerprint)
    kind = SHARED_NEURONS if layer is None else SHARED_FEATURES
    wanted = (fingerprint, feature) if layer is None else (layer, feature)
    keys = ("fingerprint", "feature") if layer is None else ("layer", "neuron")
    held = () if session is None else tuple(session.analyses.values())
    found = (one for one in reversed(held) if one.kind == kind)
    return next((one for one in found if tuple(map(one.params.get, keys)) == wanted), None)


def sharers(session: Session, held: Analysis) -> tuple[Sharer, ...]:
    """The strongest of them; none where a file would have to be read for it."""
    if not all(isinstance(one.values, np.ndarray) for one in held.arrays.values()):
        return ()
    if held.kind == SHARED_NEURONS:
        return _neurons(held, session.model.fingerprint)
    shared, print_ = shared_of(held), str(held.params.get("fingerprint", ""))
    labels, index = labels_in(session, print_), index_with(session, print_)
    return tuple(
        Sharer(
            print_, feature, labels.get(feature) or _tokens(index, feature),
            float(shared.correlation[feature]), float(shared.share[feature]),
        )
        for feature in shared.strongest(SHOWN)
    )  # fmt: skip


def _neurons(held: Analysis, model: str) -> tuple[Sharer, ...]:
    shared = neurons_of_analysis(held)
    return tuple(
        Sharer(
            neurons_fingerprint(layer, model), neuron, f"layer {layer}",
            shared.correlation_of(layer, neuron),
            float(shared.share[shared.layers.index(layer), neuron]),
        )
        for layer, neuron in shared.strongest(SHOWN)
    )  # fmt: skip


def _tokens(index: Analysis | None, feature: int) -> str:
    """The tokens that a feature is on at; empty where a file would have to be read."""
    if index is None:
        return ""
    held = [index.arrays[name].values for name in ("token", "token_share", "vocabulary")]
    if not all(isinstance(one, np.ndarray) for one in held):
        return ""
    token, share, words = held
    told = [
        shown_token(str(words[at]), 16)
        for at, part in zip(token[feature, :_TOKENS], share[feature, :_TOKENS], strict=True)
        if at >= 0 and part >= _LEAST
    ]
    return "  ".join(told)
