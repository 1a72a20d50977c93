"""From a changed site to the residual stream that the next layer is given.

Every cell comes down to rows of the stream: a head's new output is written through its columns
of the output matrix, a middle stream goes through its MLP, and so on. The walk through the layers
(``packed``) then knows one kind of change only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from microtome.interventions.sweeping import layers
from microtome.interventions.sweeping.base import Base
from microtome.interventions.sweeping.head_changes import HEAD_SITES, Changed, HeadChange
from microtome.interventions.sweeping.scratch import Scratch
from microtome.models.anatomy import Mlp

# What a sweep over a site needs of the base besides stream, queries, keys and values.
NEEDS = {
    "resid_pre": (),
    "resid_post": (),
    "resid_mid": (),
    "attn_out": (),
    "mlp_out": ("resid_mid",),
    "z": ("z", "attn_raw"),
    "q": ("z", "attn_raw"),
    "k": ("z", "attn_raw"),
    "v": ("z", "attn_raw"),
    "pattern": ("z", "attn_raw"),
    "mlp_post": ("mlp_post", "mlp_raw", "resid_mid"),
}


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """Rows of the stream before layer ``layer`` that differ from the base."""

    run: Int[Tensor, " changed"]
    row: Int[Tensor, " changed"]
    stream: Float[Tensor, "changed d_model"]


@dataclass(frozen=True, slots=True, eq=False)
class Entrances:
    """How cells of one site enter the stream.

    ``new`` gives the values that are put into a layer, rows of the base first.
    """

    site: str
    base: Base
    new: Callable[[int], Tensor]
    scratch: Scratch
    together: int  # runs whose new keys or values are looked at together

    def joins(self, layer: int) -> int:
        """The layer whose input differs first when ``layer`` is changed."""
        return layer if self.site == "resid_pre" else layer + 1

    def enter(self, changed: Changed) -> Entry:
        """The rows of the stream that the changed cells of a layer give."""
        new = self.new(changed.layer)
        if self.site in ("resid_pre", "resid_post"):
            return Entry(changed.run, changed.row, new[changed.row])
        if self.site in HEAD_SITES:
            run, row, raw = self._heads(changed, new).outputs()
            block = self.base.anatomy.blocks[changed.layer]
            written = layers.normed(block.attention_norm, raw)
            return Entry(run, row, self._from_attention(changed.layer, row, written))
        block, row = self.base.anatomy.blocks[changed.layer], changed.row
        kept = self.base.layers[changed.layer].kept
        if self.site == "mlp_out":
            stream = layers.behind_mlp(block, kept["resid_mid"][row], new[row])
        elif self.site == "mlp_post":
            stream = self._from_neurons(changed, new)
        elif self.site == "attn_out":
            stream = self._from_attention(changed.layer, row, new[row])
        else:
            stream = self._from_middle(changed.layer, new[row])
        return Entry(changed.run, row, stream)

    def _heads(self, changed: Changed, new: Tensor) -> HeadChange:
        return HeadChange(self.site, self.base, changed, new, self.together, self.scratch.check)

    def _from_neurons(self, changed: Changed, new: Tensor) -> Float[Tensor, "changed d_model"]:
        block, kept = (
            self.base.anatomy.blocks[changed.layer],
            self.base.layers[changed.layer].kept,
        )
        assert isinstance(block.mlp, Mlp)  # noqa: S101
        row, neuron = changed.row, changed.neuron
        if bool((neuron >= 0).all()):
            change = new[row, neuron] - kept["mlp_post"][row, neuron]
            raw = kept["mlp_raw"][row] + change[:, None] * block.mlp.w_out.T[neuron]
        else:
            parts = [layers.mlp_writes(block, new[part]) for part in row.split(layers.MLP_ROWS)]
            raw = torch.cat(parts)
        written = layers.normed(block.mlp_norm, raw)
        return layers.behind_mlp(block, kept["resid_mid"][row], written)

    def _from_attention(
        self, layer: int, row: Tensor, written: Float[Tensor, "changed d_model"]
    ) -> Float[Tensor, "changed d_model"]:
        block, base = self.base.anatomy.blocks[layer], self.base.layers[layer]
        middle = layers.behind_attention(block, base.pre[row], written)
        if block.parallel:
            return layers.behind_mlp(block, middle, base.kept["mlp_out"][row])
        return self._from_middle(layer, middle)

    def _from_middle(
        self, layer: int, middle: Float[Tensor, "changed d_model"]
    ) -> Float[Tensor, "changed d_model"]:
        block = self.base.anatomy.blocks[layer]
        return layers.behind_mlp(block, middle, layers.mlp_output(block, middle, self.scratch))
