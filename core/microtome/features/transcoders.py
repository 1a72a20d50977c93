"""Transcoders for all layers: what stands for the MLPs of a model, layer by layer or across.

A set has one transcoder a layer, each of which writes its own layer's MLP output. Features of a
cross-layer transcoder write that of their layer and of all later ones (Ameisen et al., "Circuit
Tracing", 2025). Both are seen through one form: ``decoder(layer)`` has one slot a written layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from microtome.errors import DictionaryError, InputError
from microtome.features.dictionary import Dictionary
from microtome.features.neurons import Coder
from microtome.records.dictionary import DictionaryIdentity


@dataclass(frozen=True, slots=True, eq=False)
class Transcoders:
    """A transcoder for every layer, from the first.

    ``onward`` holds what features of each layer write to the layers behind it, [feature,
    layers behind, d_out], where they write across; the dictionary's own decoder writes its own
    layer. Codes of the first ``silent`` positions are 0, as they were when it was trained.
    Raises DictionaryError when layers do not fit one another.
    """

    layers: tuple[Dictionary, ...]
    onward: tuple[Float[Tensor, "feature behind d_out"], ...] | None = None
    silent: int = 1
    name: str = ""

    def __post_init__(self) -> None:
        if not self.layers:
            raise DictionaryError("A set of transcoders needs at least one layer.")
        widths = {(one.d_in, one.d_out) for one in self.layers}
        if len(widths) > 1:
            raise DictionaryError(f"The transcoders of a set have several widths: {widths}.")
        for layer, behind in enumerate(self.onward or ()):
            wanted = (self.layers[layer].d_sae, self.n_layers - layer - 1, self.layers[0].d_out)
            if tuple(behind.shape) != wanted:
                raise DictionaryError(
                    f"What layer {layer} writes onward has shape {list(behind.shape)}, "
                    f"but {list(wanted)} was expected."
                )
        if self.onward is not None and len(self.onward) != self.n_layers:
            raise DictionaryError("A cross-layer transcoder needs decoders of all its layers.")

    @property
    def n_layers(self) -> int:
        """How many layers it covers."""
        return len(self.layers)

    @property
    def crosses(self) -> bool:
        """Whether features write later layers too."""
        return self.onward is not None

    def decoder(self, layer: int) -> Float[Tensor, "feature target d_out"]:
        """What features of a layer write; slot j is layer + j."""
        own = self.layers[layer].weights.w_dec[:, None]
        return own if self.onward is None else torch.cat([own, self.onward[layer]], dim=1)

    def coder(self, layer: int) -> Coder:
        """The features of a layer as a dictionary of their own, for cards and indexes.

        The direction of a cross-layer feature is the sum of what it writes to all layers, which is
        what reaches the logits directly. Raises InputError for a layer that there is none of.
        """
        self._expect_layer(layer)
        one = self.layers[layer]
        return one if self.onward is None else AcrossLayers(one, self.decoder(layer).sum(dim=1))

    def encode(
        self, layer: int, x: Float[Tensor, "position d_in"]
    ) -> Float[Tensor, "position feature"]:
        """Codes of one prompt at a layer. Raises InputError for a layer that there is none of."""
        self._expect_layer(layer)
        codes = self.layers[layer].encode(x)
        codes[: self.silent] = 0
        return codes

    def _expect_layer(self, layer: int) -> None:
        if not 0 <= layer < self.n_layers:
            raise InputError(
                f"There are no transcoders of layer {layer}.",
                f"Their layers are 0 to {self.n_layers - 1}.",
            )

    def outputs(
        self,
        inputs: Sequence[Float[Tensor, "position d_in"]],
        codes: Sequence[Float[Tensor, "position feature"]],
    ) -> list[Float[Tensor, "position d_out"]]:
        """What stands for the output of each layer's MLP, from what they read and their codes."""
        return [self.output(layer, inputs, codes) for layer in range(self.n_layers)]

    def output(
        self,
        layer: int,
        inputs: Sequence[Float[Tensor, "position d_in"]],
        codes: Sequence[Float[Tensor, "position feature"]],
    ) -> Float[Tensor, "position d_out"]:
        """What stands for the output of one layer's MLP; only layers up to it need to be given."""
        one = self.layers[layer]
        output = one.decode(codes[layer])
        if one.weights.w_skip is not None:
            output = output + inputs[layer] @ one.weights.w_skip.T
        for before, behind in enumerate((self.onward or ())[:layer]):
            output = output + codes[before] @ behind[:, layer - before - 1]
        return output


@dataclass(frozen=True, slots=True, eq=False)
class AcrossLayers:
    """A layer's features of a cross-layer transcoder: a ``Coder``.

    ``directions`` [feature, d_out] are what they write to all layers, added up.
    """

    layer: Dictionary
    directions: Float[Tensor, "feature d_out"]

    @property
    def identity(self) -> DictionaryIdentity:
        """That of the layer."""
        return self.layer.identity

    def encode(self, x: Float[Tensor, "*n d_in"]) -> Float[Tensor, "*n feature"]:
        """How active each feature is."""
        return self.layer.encode(x)
