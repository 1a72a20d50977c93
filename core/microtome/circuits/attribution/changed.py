"""The arithmetic of a run in which features are changed, and the features as they then are."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float
from torch import Tensor

from microtome.circuits.attribution.changes import (
    FeatureChange,
    differences,
    written_by,
)
from microtome.circuits.attribution.linear import plus
from microtome.circuits.attribution.reading import in_float32, place_of
from microtome.circuits.attribution.replaced import LayerFeatures, Replaced
from microtome.features.transcoders import Transcoders
from microtome.jobs import Job
from microtome.models.anatomy import Anatomy
from microtome.models.arithmetic import Run, run
from microtome.models.operations import normalise


def changed_run(
    anatomy: Anatomy,
    ids: Tensor,
    transcoders: Transcoders,
    changes: tuple[FeatureChange, ...],
    job: Job,
) -> Run:
    """The forward pass with changed features written to the MLP outputs, all behind them anew."""
    if not changes:
        return run(anatomy, ids, job=job)
    return run(anatomy, ids, edit=_Changing(anatomy, transcoders, changes), job=job)


@dataclass(slots=True, eq=False)
class _Changing:
    """Follows the stream of a run, so that it knows what each transcoder would read."""

    anatomy: Anatomy
    transcoders: Transcoders
    changes: tuple[FeatureChange, ...]
    stream: Tensor = field(default_factory=lambda: torch.zeros(0))
    middle: Tensor = field(default_factory=lambda: torch.zeros(0))
    added: dict[int, dict[int, Tensor]] = field(default_factory=dict)

    def __call__(self, site: str, layer: int, value: Tensor) -> Tensor:
        """The value that the run goes on with."""
        if site == "embed":
            self.stream = value
        elif site == "pos_embed":
            self.stream = self.stream + value
        elif site == "attn_out":
            self._attended(layer, value)
        elif site == "mlp_out":
            return self._written(layer, value)
        elif site == "resid_post":
            self.stream = value
        return value

    def _attended(self, layer: int, value: Tensor) -> None:
        if layer == 0:
            whole = plus(self.stream, self.anatomy.token_type)
            self.stream = normalise(self.anatomy.stream_norm, whole)
        self.middle = normalise(self.anatomy.blocks[layer].sum_norm1, self.stream + value)

    def _written(self, layer: int, value: Tensor) -> Tensor:
        own = [change for change in self.changes if change.layer == layer]
        if own:
            codes = self._codes(layer)
            self.added[layer] = differences(own, codes, self.transcoders.silent)
        for writer in range(layer + 1) if self.transcoders.crosses else (layer,):
            if writer in self.added:
                value = value + written_by(self.transcoders, writer, layer, self.added[writer])
        return value

    def _codes(self, layer: int) -> Float[Tensor, "position feature"]:
        block, one = self.anatomy.blocks[layer], self.transcoders.layers[layer]
        place = place_of(one)
        stream = self.stream if place.is_before(block) else self.middle
        codes = in_float32(one, stream.device).encode(normalise(place.norm(block), stream))
        codes[: self.transcoders.silent] = 0
        return codes


def with_changes(held: Replaced, changes: tuple[FeatureChange, ...]) -> Replaced:
    """The same with new activations in the place of those that changed.

    What transcoders miss is that of the model's own MLPs, before the changes.
    """
    if not changes:
        return held
    features = list(held.features)
    for layer in {change.layer for change in changes}:
        own = [change for change in changes if change.layer == layer]
        features[layer] = _changed(held, layer, own)
    return replace(held, features=tuple(features))


def _changed(held: Replaced, layer: int, changes: list[FeatureChange]) -> LayerFeatures:
    one, silent = held.features[layer], held.silent
    codes = held.run.embedding.new_zeros(held.n_positions, held.dictionaries[layer].d_sae)
    codes[one.position, one.number] = one.activation
    given = torch.zeros_like(codes, dtype=torch.bool)
    for change in changes:
        where = slice(silent, None) if change.positions is None else list(change.positions)
        given[where, change.feature] = True
    for feature, amount in differences(changes, codes, held.transcoders.silent).items():
        codes[:, feature] += amount
    position, number = codes.nonzero(as_tuple=True)
    return LayerFeatures(position, number, codes[position, number], given[position, number])
