"""What there is to attribute to: active features, what transcoders miss, and tokens."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from microtome.circuits.attribution.linear import Frozen, freeze
from microtome.circuits.attribution.reading import (
    Place,
    in_float32,
    place_of,
    what_features_read,
)
from microtome.features.dictionary import Dictionary
from microtome.features.transcoders import Transcoders
from microtome.jobs import Job
from microtome.models.arithmetic import Run
from microtome.models.operations import scaled


@dataclass(frozen=True, slots=True, eq=False)
class LayerFeatures:
    """The active features of one layer, by position; ``given`` are those that were set."""

    position: Int[Tensor, " feature"]
    number: Int[Tensor, " feature"]
    activation: Float[Tensor, " feature"]
    given: Bool[Tensor, " feature"]

    def __len__(self) -> int:
        return len(self.number)


@dataclass(frozen=True, slots=True, eq=False)
class Reads:
    """What one site is written by, sorted by position: sources and where each position begins."""

    vectors: Float[Tensor, "source d_model"]
    columns: Int[Tensor, " source"]
    starts: tuple[int, ...]  # one more than there are positions


@dataclass(frozen=True, slots=True, eq=False)
class Replaced:
    """One prompt with transcoders in the place of its MLPs.

    Columns are numbered in the order in which they write: tokens, then layer by layer features
    and errors. Errors of positions at which the transcoders are silent are constants of the
    frozen model: there is nothing that they would be an error of.
    """

    run: Run
    frozen: Frozen
    transcoders: Transcoders
    dictionaries: tuple[Dictionary, ...]  # in float32
    features: tuple[LayerFeatures, ...]
    errors: tuple[Float[Tensor, "heard d_model"], ...]  # from the first position that is not silent

    @property
    def n_positions(self) -> int:
        """How many tokens there are."""
        return self.run.n_positions

    @property
    def n_layers(self) -> int:
        """How many layers there are."""
        return len(self.features)

    @property
    def silent(self) -> int:
        """How many positions have neither features nor errors."""
        return min(self.transcoders.silent, self.n_positions)

    @property
    def n_features(self) -> int:
        """How many features are active."""
        return sum(map(len, self.features))

    def first(self, layer: int) -> int:
        """The first column of a layer; all before it may be read by the layer's transcoder."""
        errors = self.n_positions - self.silent
        return self.n_positions + sum(len(one) + errors for one in self.features[:layer])

    def first_error(self, layer: int) -> int:
        """The column of a layer's first error."""
        return self.first(layer) + len(self.features[layer])

    @property
    def n_columns(self) -> int:
        """How many nodes anything can come from."""
        return self.first(self.n_layers)

    def reading(
        self, layer: int, rows: Tensor | slice = slice(None)
    ) -> tuple[Float[Tensor, "feature d_in"], Float[Tensor, " feature"]]:
        """What some of a layer's features read, and their constants."""
        return what_features_read(self.dictionaries[layer], self.features[layer].number[rows])

    def written(self, layer: int, to: int) -> Float[Tensor, "feature d_model"]:
        """What the features of a layer write to the MLP output of a layer."""
        held, transcoders = self.features[layer], self.transcoders
        if to == layer:
            rows = self.dictionaries[layer].weights.w_dec[held.number]
        else:
            assert transcoders.onward is not None  # noqa: S101
            rows = transcoders.onward[layer][held.number, to - layer - 1]
        return rows.to(held.activation) * held.activation[:, None]

    def writers(self, to: int) -> range:
        """The layers whose features write to the MLP output of a layer."""
        return range(0 if self.transcoders.crosses else to, to + 1)

    def reads(self, to: int) -> Reads:
        """All that writes to the MLP output of a layer."""
        layers, held = self.writers(to), self.features
        heard = torch.arange(self.silent, self.n_positions, device=self.errors[to].device)
        vectors = torch.cat([*(self.written(layer, to) for layer in layers), self.errors[to]])
        position = torch.cat([*(held[layer].position for layer in layers), heard])
        numbers = [torch.arange(len(held[layer])) + self.first(layer) for layer in layers]
        columns = torch.cat([*numbers, torch.arange(len(heard)) + self.first_error(to)])
        order = position.argsort(stable=True)
        counts = torch.bincount(position, minlength=self.n_positions)
        starts = (0, *counts.cumsum(0).tolist())
        return Reads(vectors[order], columns.to(order.device)[order], starts)


def replaced(run: Run, transcoders: Transcoders, position: int, job: Job) -> Replaced:
    """The run with transcoders in the place of its MLPs, all in float32."""
    device = run.embedding.device
    places = tuple(map(place_of, transcoders.layers))
    layers = tuple(in_float32(one, device) for one in transcoders.layers)
    frozen = freeze(run, places, layers, position)
    found = []
    for layer, place in enumerate(places):
        job.progress("Encoding features", layer, len(places))
        found.append(_active(run, transcoders, layers, place, layer))
    held = Replaced(run, frozen, transcoders, layers, tuple(found), ())
    missed = [_missed(held, place, layer) for layer, place in enumerate(places)]
    silent = held.silent
    quiet = [
        replace(one, constant=one.constant + _first(miss, silent))
        for one, miss in zip(frozen.layers, missed, strict=True)
    ]
    return replace(
        held,
        frozen=replace(frozen, layers=tuple(quiet)),
        errors=tuple(miss[silent:] for miss in missed),
    )


def _first(values: Tensor, count: int) -> Tensor:
    """The first rows; zeros in the place of all others."""
    kept = torch.zeros_like(values)
    kept[:count] = values[:count]
    return kept


def _active(
    run: Run, transcoders: Transcoders, layers: tuple[Dictionary, ...], place: Place, layer: int
) -> LayerFeatures:
    codes = layers[layer].encode(place.value(run.anatomy.blocks[layer], run.blocks[layer]))
    codes[: transcoders.silent] = 0
    position, number = codes.nonzero(as_tuple=True)
    given = torch.zeros_like(position, dtype=torch.bool)
    return LayerFeatures(position, number, codes[position, number], given)


def _missed(held: Replaced, place: Place, layer: int) -> Float[Tensor, "position d_model"]:
    """What stands at the MLP's output beside what its transcoder and earlier ones write."""
    block, ran = held.run.anatomy.blocks[layer], held.run.blocks[layer]
    one = held.dictionaries[layer]
    left = scaled(block.mlp_norm, ran.mlp.out_norm, ran.mlp.out) - one.weights.b_dec
    if one.weights.w_skip is not None:
        left = left - place.value(block, ran) @ one.weights.w_skip.T
    for writer in held.writers(layer):
        left.index_add_(0, held.features[writer].position, held.written(writer, layer), alpha=-1)
    return left
