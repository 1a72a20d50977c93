"""Where transcoders read a model and write it, and what each feature reads.

A row of each table is all that there is to know of a site and of a rule of sparsity: an active
feature must be a weighted sum of what it reads, plus a constant.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from jaxtyping import Float, Int
from torch import Tensor

from microtome.errors import DictionaryError, DictionaryMismatch, expect
from microtome.features.dictionary import Dictionary
from microtome.features.fitting import expect_fit
from microtome.features.rules import Weights
from microtome.features.transcoders import Transcoders
from microtome.models.anatomy import Block, Norm
from microtome.models.arithmetic import BlockRun
from microtome.models.model import Model
from microtome.models.operations import NormRun, scaled
from microtome.sites import Site

_WRITES = "mlp_out"


@dataclass(frozen=True, slots=True)
class Place:
    """A site that a transcoder may read: what the MLP reads of the stream, or what a layer reads.

    ``normed`` is behind the norm before the MLP.
    """

    normed: bool
    before_attention: bool = False

    def is_before(self, block: Block) -> bool:
        """Whether what it reads is there before the layer's attention has written."""
        return self.before_attention or block.parallel

    def norm(self, block: Block) -> Norm | None:
        """The norm in between, if there is one."""
        return block.norm2 if self.normed else None

    def norm_run(self, ran: BlockRun) -> NormRun | None:
        """What that norm did."""
        return ran.mlp.norm if self.normed else None

    def value(self, block: Block, ran: BlockRun) -> Float[Tensor, "position d_in"]:
        """What stood at the site in a run."""
        stream = ran.resid_pre if self.before_attention else ran.mlp_from
        return scaled(self.norm(block), self.norm_run(ran), stream)


PLACES: Mapping[str, Place] = MappingProxyType(
    {
        "mlp_in": Place(normed=True),
        "norm2": Place(normed=True),
        "resid_mid": Place(normed=False),
        "resid_pre": Place(normed=False, before_attention=True),
    }
)

# What chosen features read of the site, a row each, and the constant that is added.
Read = Callable[[Weights, Tensor], tuple[Tensor, Tensor]]


def _plain(weights: Weights, features: Tensor) -> tuple[Tensor, Tensor]:
    return weights.encoder[features], weights.need("b_enc")[features]


def _gated(weights: Weights, features: Tensor) -> tuple[Tensor, Tensor]:
    """Where the gate is open, the magnitude alone tells how much."""
    scale = weights.need("r_mag")[features].exp()
    return weights.encoder[features] * scale[:, None], weights.need("b_mag")[features]


_READS: Mapping[str, Read] = MappingProxyType(
    {"relu": _plain, "topk": _plain, "jumprelu": _plain, "gated": _gated}
)


def what_features_read(
    one: Dictionary, features: Int[Tensor, " feature"]
) -> tuple[Float[Tensor, "feature d_in"], Float[Tensor, " feature"]]:
    """The direction and the constant whose sum is the code of each active feature."""
    direction, constant = _READS[one.settings.rule](one.weights, features)
    if one.settings.centred:
        constant = constant - direction @ one.weights.b_dec
    return direction, constant


def place_of(one: Dictionary) -> Place:
    """Where a transcoder reads."""
    return PLACES[Site.of(one.identity.reads).name]


def expect_transcoders(model: Model, transcoders: Transcoders) -> None:
    """Raise for transcoders that cannot stand for the MLPs of a model.

    DictionaryMismatch for another model, width, site or number of layers, DictionaryError for an
    architecture whose features are no weighted sums of what they read; both by name.
    """
    way_out = "Load a set with load_transcoders."
    expect(transcoders, Transcoders, "transcoders", "a Transcoders", way_out)
    named = transcoders.name or "The set of transcoders"
    if transcoders.n_layers != model.identity.n_layers:
        raise DictionaryMismatch(
            f"{named} has {transcoders.n_layers} layers, but {model.identity.name} has "
            f"{model.identity.n_layers}.",
            "Each MLP needs its transcoder.",
        )
    for layer, one in enumerate(transcoders.layers):
        expect_fit(one.identity, model)
        _expect_place(model, layer, one)
        _expect_weighted_sum(layer, one)


def _expect_place(model: Model, layer: int, one: Dictionary) -> None:
    identity = one.identity
    reads, writes = Site.of(identity.reads), Site.of(identity.writes)
    allowed = [name for name in PLACES if name in model.ports and _is_there(model, layer, name)]
    if reads.name not in allowed or (writes.name, writes.layer) != (_WRITES, layer):
        raise DictionaryMismatch(
            f"The transcoder of layer {layer} reads {reads} and writes {writes}, but a graph of "
            f"{model.identity.name} needs one that writes {_WRITES}.{layer} and reads one of "
            f"{', '.join(f'{name}.{layer}' for name in allowed)}."
        )
    if reads.layer != layer:
        raise DictionaryMismatch(f"The transcoder of layer {layer} reads {reads}.")


def _is_there(model: Model, layer: int, name: str) -> bool:
    """A norm before the MLP; where it stands behind the branch the name means something else."""
    return name != "norm2" or model.anatomy.blocks[layer].norm2 is not None


def _expect_weighted_sum(layer: int, one: Dictionary) -> None:
    settings = one.settings
    if settings.rule not in _READS or settings.normalise != "none":
        why = f"its {settings.rule} codes" if settings.rule not in _READS else "its input, rescaled"
        raise DictionaryError(
            f"The transcoder of layer {layer} is a {one.architecture}: {why} by the row, "
            "are no weighted sum of what it reads, which a graph of features needs.",
            f"Rules that can be used: {', '.join(_READS)}, without normalisation.",
        )


def in_float32(one: Dictionary, device: torch.device) -> Dictionary:
    """The dictionary as a graph computes with it; the same one where it is so already."""
    same = all(
        t.dtype == torch.float32 and t.device == device for t in one.weights.tensors().values()
    )
    return one if same else one.to(torch.float32, device)
