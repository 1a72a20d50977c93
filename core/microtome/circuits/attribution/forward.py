"""A change of the stream carried through the frozen model from the bottom up.

The walk down (``walk``) asks each target where it comes from; this asks what becomes of something
that was added. Both use the same frozen layers, and neither the other's code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from microtome.circuits.attribution.linear import Frozen, FrozenLayer, plus
from microtome.circuits.attribution.replaced import Replaced


@dataclass(frozen=True, slots=True, eq=False)
class Carried:
    """What arrives at every transcoder, and at the last stream, of what was put in."""

    reads: tuple[Float[Tensor, "position d_in"], ...]
    final: Float[Tensor, "position d_model"]


def carried(
    frozen: Frozen,
    start: Float[Tensor, "position d_model"],
    written: Mapping[int, Float[Tensor, "position d_model"]],
    *,
    constants: bool = False,
) -> Carried:
    """What a stream that begins with ``start`` becomes when MLPs add ``written``, by layer.

    Features hold what they are: only attention and linear skips carry on. With ``constants`` all
    biases of the model and of its transcoders are added on the way.
    """
    reads, stream = [], start
    for number, layer in enumerate(frozen.layers):
        read, stream = _through(layer, stream, written.get(number), constants=constants)
        reads.append(read)
    return Carried(tuple(reads), stream)


def _through(
    layer: FrozenLayer, stream: Tensor, written: Tensor | None, *, constants: bool
) -> tuple[Tensor, Tensor]:
    middle = stream + layer.attention.added(stream)
    middle = middle + layer.attention.constant if constants else middle
    middle = layer.sum_norm1.apply(middle)
    middle = plus(middle, layer.sum_bias1 if constants else None)
    source = layer.read.apply(stream if layer.reads_before else middle)
    after = middle if written is None else middle + written
    if layer.skip is not None:
        after = after + source @ layer.skip.T
    after = after + layer.constant if constants else after
    after = plus(layer.sum_norm2.apply(after), layer.sum_bias2 if constants else None)
    # The bias of a norm before a skip is in the layer's constant already.
    return plus(source, layer.read_bias if constants else None), after


@dataclass(frozen=True, slots=True, eq=False)
class Constants:
    """What biases alone explain of every active feature, and of directions at the unembedding."""

    features: tuple[Float[Tensor, " feature"], ...]
    logits: Float[Tensor, " row"]


def constants_of(held: Replaced, words: Float[Tensor, "row d_read"]) -> Constants:
    """The part of each target that no node explains; ``words`` without biases of the logits."""
    frozen = held.frozen
    found = carried(frozen, frozen.start, {}, constants=True)
    features = []
    for layer, read in enumerate(found.reads):
        direction, constant = held.reading(layer)
        own = read[held.features[layer].position]
        features.append(torch.einsum("fd,fd->f", direction, own) + constant)
    ends = frozen.direction(words) @ found.final[frozen.position]
    return Constants(tuple(features), ends + frozen.constants(words))
