"""Neurons of a layer seen as a dictionary: what they read, how active they are, what they write."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from microtome.errors import DictionaryMismatch
from microtome.models.anatomy import Mlp
from microtome.models.given import expect_model
from microtome.models.model import Model
from microtome.records.dictionary import DictionaryIdentity
from microtome.records.neuron_prints import neurons_fingerprint
from microtome.sites import Site


@runtime_checkable
class Coder(Protocol):
    """What has codes at a site: a ``Dictionary``, or the neurons of a layer."""

    @property
    def identity(self) -> DictionaryIdentity:
        """What it is and where it belongs."""
        ...

    def encode(self, x: Float[Tensor, "*n d_in"]) -> Float[Tensor, "*n feature"]:
        """How active each feature is."""
        ...

    @property
    def directions(self) -> Float[Tensor, "feature d_out"]:
        """What each feature writes for an activation of 1."""
        ...


class Neurons:
    """The neurons of one MLP; their activity is the positive part of ``mlp_post``.

    What is negative is small for all non-linearities in use, and would be another meaning.
    Raises DictionaryMismatch for a layer without neurons of its own (experts).
    """

    def __init__(self, model: Model, layer: int) -> None:
        expect_model(model)
        site = Site("mlp_post", layer)
        if not 0 <= layer < model.identity.n_layers or "mlp_post" not in model.ports:
            raise DictionaryMismatch(f"{model.identity.name} has no neurons in layer {layer}.")
        mlp = model.anatomy.blocks[layer].mlp
        if not isinstance(mlp, Mlp):
            raise DictionaryMismatch(f"Layer {layer} of {model.identity.name} has experts.")
        self.directions: Float[Tensor, "feature d_out"] = mlp.w_out.T.detach().float()
        count, width = self.directions.shape
        self.identity = DictionaryIdentity(
            name=f"neurons of layer {layer}",
            architecture="neurons",
            d_in=count,
            d_sae=count,
            d_out=width,
            reads=str(site),
            writes=str(Site("mlp_out", layer)),
            model=model.identity.name,
            model_fingerprint=model.identity.fingerprint,
            fingerprint=neurons_fingerprint(layer, model.identity.fingerprint),
        )

    def encode(self, x: Float[Tensor, "*n d_in"]) -> Float[Tensor, "*n feature"]:
        """The positive part of their activations."""
        return x.clamp_min(torch.zeros((), dtype=x.dtype))
