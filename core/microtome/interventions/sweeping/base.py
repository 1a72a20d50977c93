"""The run that a sweep starts from: every layer's stream, queries, keys and values, kept once."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor

from microtome.interventions.sweeping import layers
from microtome.interventions.sweeping.attending import Group, Looking
from microtome.interventions.sweeping.scratch import Scratch
from microtome.models.anatomy import Anatomy, Block
from microtome.models.operations import embedded, project


@dataclass(frozen=True, slots=True, eq=False)
class BaseLayer:
    """One layer of the base run. A row is ``example * length + position``.

    ``kept`` holds further sites by name, rows first, as far as they were asked for.
    """

    pre: Float[Tensor, "row d_model"]
    q: Float[Tensor, "head row d_head"]  # as multiplied
    k: Float[Tensor, "kv_head row d_head"]  # as multiplied
    v: Float[Tensor, "kv_head row d_head"]
    kept: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Base:
    """A forward pass over examples of one length."""

    anatomy: Anatomy
    ids: Int[Tensor, "example position"]
    layers: tuple[BaseLayer, ...]
    final: Float[Tensor, "row d_model"]  # before the final norm

    @property
    def length(self) -> int:
        """Number of positions."""
        return int(self.ids.shape[1])

    @property
    def examples(self) -> int:
        """Number of examples."""
        return int(self.ids.shape[0])

    def values(self, site: str, layer: int) -> Float[Tensor, "row *axes"]:
        """What a site held in a layer, as far as it was kept."""
        if site == "resid_pre":
            return self.layers[layer].pre
        if site == "resid_post":
            after = layer + 1
            return self.final if after == len(self.layers) else self.layers[after].pre
        return self.layers[layer].kept[site]


def run_base(
    anatomy: Anatomy,
    ids: Int[Tensor, "example position"],
    keep: Collection[str] = (),
    *,
    added: Float[Tensor, "example position d_model"] | None = None,
    scratch: Scratch,
) -> Base:
    """The forward pass over examples of one length; ``added`` is put onto the embeddings.

    ``keep`` names further sites to keep in every layer: z, pattern, attn_raw, attn_out,
    resid_mid, mlp_raw, mlp_out, mlp_post, q, k, v (the last three before norm and rotation),
    resid_post.
    """
    count, length = ids.shape
    stream = _embedding(anatomy, ids, added)
    places = torch.arange(length, device=stream.device)
    held = []
    for block in anatomy.blocks:
        scratch.check()
        layer, stream = _run_layer(block, stream, (count, length), places, keep, scratch)
        held.append(layer)
    return Base(anatomy, ids, tuple(held), stream)


def _embedding(
    anatomy: Anatomy, ids: Int[Tensor, "example position"], added: Tensor | None
) -> Float[Tensor, "row d_model"]:
    rows = embedded(anatomy, ids.flatten())
    if added is not None:
        rows = rows + added.flatten(0, 1)
    if anatomy.positions is not None:
        rows = rows + anatomy.positions[: ids.shape[1]].repeat(len(ids), 1)
    if anatomy.token_type is not None:
        rows = rows + anatomy.token_type
    return layers.normed(anatomy.stream_norm, rows)


def _run_layer(
    block: Block,
    stream: Tensor,
    shape: tuple[int, int],
    places: Tensor,
    keep: Collection[str],
    scratch: Scratch,
) -> tuple[BaseLayer, Tensor]:
    weights = block.attention
    count, length = shape
    read, at = layers.normed(block.norm1, stream), places.repeat(count)
    angles = layers.angles_of(weights.rotary, length)
    q = layers.queries(weights, read, angles, at).contiguous()
    k = layers.keys(weights, read, angles, at).contiguous()
    v = layers.values(weights, read).contiguous()
    looking = Looking(weights, length)
    z = looking.attend([Group(0, count, places, None)], q, k, v)
    raw = layers.attention_output(weights, z)
    written = layers.normed(block.attention_norm, raw)
    middle = layers.behind_attention(block, stream, written)
    mlp_from = stream if block.parallel else middle
    found = {"z": z, "attn_raw": raw, "attn_out": written, "resid_mid": middle}
    if {"mlp_post", "mlp_raw"} & set(keep):
        found["mlp_post"] = layers.neurons(block, mlp_from)
        found["mlp_raw"] = layers.mlp_writes(block, found["mlp_post"])
    found["mlp_out"] = layers.mlp_output(block, mlp_from, scratch)
    after = found["resid_post"] = layers.behind_mlp(block, middle, found["mlp_out"])
    wanted = {name: found[name] for name in keep if name in found}
    for name, weight, bias in (
        ("q", weights.w_q, weights.b_q),
        ("k", weights.w_k, weights.b_k),
        ("v", weights.w_v, weights.b_v),
    ):
        if name in keep:
            wanted[name] = project(read, weight, bias).transpose(0, 1)
    if "pattern" in keep:
        wanted["pattern"] = looking.patterns(q, k, count)
    if block.parallel:
        wanted["mlp_out"] = found["mlp_out"]
    return BaseLayer(stream, q, k, v, wanted), after
