"""A decoder that is no row of the table of families: what could be found out by running it.

The record holds where its layers lie, how each site is tapped, and the reason for everything that
was not found. It takes the place of a family's row wherever a model is run, read or edited; it
has no anatomy, so that nothing can be computed from the weights of single heads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import linear

from microtome.models.operations import soft_cap
from microtome.models.ports import Port
from microtome.models.resolve import Shape


@dataclass(frozen=True, slots=True)
class Widths:
    """Counts and widths, 0 for what the model does not show."""

    d_model: int = 0
    n_heads: int = 0
    n_kv_heads: int = 0
    d_head: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Ending:
    """The way from the last residual stream to the logits, through the model's own modules.

    ``factor`` and ``cap`` are what the model does to its logits afterwards.
    """

    norm: nn.Module | None
    unembedding: nn.Module
    factor: float = 1.0
    cap: float | None = None

    @property
    def weight(self) -> Float[Tensor, "vocabulary d"]:
        """The unembedding."""
        weight: Any = self.unembedding.weight
        held: Tensor = weight.detach()
        return held

    def normed(self, residual: Float[Tensor, "*rows d"]) -> Float[Tensor, "*rows d"]:
        """What the unembedding reads, in the type that was given."""
        if self.norm is None:
            return residual
        made: Tensor = self.norm(residual.to(self.weight.dtype))
        return made.to(residual.dtype)

    def raw_logits(
        self, normed: Float[Tensor, "*rows d"], words: slice | Tensor
    ) -> Float[Tensor, "*rows word"]:
        """Logits of some words before the cap."""
        bias: Any = getattr(self.unembedding, "bias", None)
        added = None if bias is None else bias.detach()[words].to(normed)
        return linear(normed, self.weight[words].to(normed), added) * self.factor

    def capped(self, raw: Tensor) -> Tensor:
        """Logits as the model gives them out."""
        return soft_cap(raw, self.cap)

    @torch.inference_mode()
    def logits(self, residual: Float[Tensor, "*rows d"]) -> Float[Tensor, "*rows vocabulary"]:
        """The logits of some rows of the residual stream."""
        return self.capped(self.raw_logits(self.normed(residual), slice(None)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """One decoder. ``absent`` gives the reason for each site, and for ``lens``, that it lacks."""

    model_type: str
    class_name: str
    blocks: str = ""
    n_layers: int = 0
    widths: Widths = field(default_factory=Widths)
    ports: Mapping[str, Port] = field(default_factory=lambda: MappingProxyType({}))
    ending: Ending | None = None
    exchanged: bool = False  # whether its attention calls Microtome's function
    absent: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    notes: tuple[str, ...] = ()

    # What a row of the table says and a decoder like this never has.
    inline: None = None
    experts: None = None
    labelled: bool = False
    context_key: str = "max_position_embeddings"
    row_positions: bool = False
    position_offset: int = 0

    @property
    def title(self) -> str:
        """What it is called in messages: the name of its class without what all have."""
        return self.class_name.removesuffix("ForCausalLM").removesuffix("LMHeadModel")

    def shape(self, module: nn.Module) -> Shape:
        """The counts and widths that a session remembers; 0 for what could not be found."""
        config: Any = module.config
        text = config.get_text_config(decoder=True)
        context = getattr(text, self.context_key, None)
        return Shape(
            n_layers=self.n_layers,
            n_heads=self.widths.n_heads,
            n_kv_heads=self.widths.n_kv_heads,
            d_model=self.widths.d_model,
            d_head=self.widths.d_head,
            d_mlp=0,
            vocabulary=int(text.vocab_size),
            inputs=int(text.vocab_size),
            context=int(context) if context else None,
        )

    def of(self, config: Any) -> Outline:
        """Itself: an outline is that of one configuration."""
        del config
        return self
