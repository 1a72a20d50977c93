"""Ports: at which module, and how, each site of a model is read and replaced.

The table is made from a family's row, so that hooks know no family. A value always comes with a
batch axis in front of the site's own axes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from microtome.models.family import Family, head_width
from microtome.models.resolve import is_parallel, norm_of, split_heads, split_qkv

# Given a module, its input and its output: the values of a site.
Read = Callable[[nn.Module, Tensor, Any], Tensor]
# Given the same and new values: what takes the place of that input or output.
Write = Callable[[nn.Module, Tensor, Any, Tensor], Any]


@dataclass(frozen=True, slots=True)
class Port:
    """Where a site is tapped: before or after a module, or within the attention function."""

    path: str  # from the block for a site of a layer, else from the model
    when: Literal["before", "after", "within"]
    read: Read
    write: Write
    flat: bool = False  # the module sees the positions of all prompts in one axis
    whole: bool = False  # the tap concerns all that the module gives, not only its first part
    blocks: str | None = None  # where its layers are, if not where the family's row says
    step: str = ""  # of the attention function, where it is not called like the site


def ports_of(family: Family, config: Any) -> dict[str, Port]:
    """The port of every site that the model has."""
    family = family.of(config)
    ports = {
        **_outside(family),
        **_stream(family, config),
        **_attention(family, config),
        **_mlp(family),
    }
    for site in ("norm1", "norm2", "final_norm"):
        path = getattr(family, site)
        # A norm that both branches share is one site.
        if path is not None and not (site == "norm2" and path == family.norm1):
            read, write = partial(_read_scale, family), partial(_write_scale, family)
            ports[site] = _after(path)
            ports[f"{site}_scale"] = Port(path, "after", read, write)
    # A norm on the stream itself gives resid_mid or resid_post; only its scale is a further site.
    for site, path in (("norm1", family.sum_norm1), ("norm2", family.sum_norm2)):
        if path is not None:
            read, write = partial(_read_scale, family), partial(_write_scale, family)
            ports[f"{site}_scale"] = Port(path, "after", read, write)
    if family.cross is not None:
        ports |= _crossing(family.cross, config, ports["resid_mid"])
    if family.encoder is not None:
        ports |= _encoding(family.encoder, config)
    return {
        name: replace(port, flat=True) if port.path in family.flat else port
        for name, port in ports.items()
    }


# Sites of a cross-attention -> what they are called in an attention layer by itself.
_CROSS = {
    **{f"cross_{site}": site for site in ("q", "k", "v", "scores", "pattern", "z")},
    "cross_norm": "norm1",
    "cross_norm_scale": "norm1_scale",
    "cross_out": "attn_out",
}


def _crossing(row: Family, config: Any, mid: Port) -> dict[str, Port]:
    """The cross-attention of a decoder, between self-attention and ``mid``."""
    own = ports_of(row, config)
    crossing = {site: replace(own[name], step=name) for site, name in _CROSS.items()}
    before = Port(str(row.norm1), "before", _input, _into_input)
    return {**crossing, "resid_mid": before, "resid_mid_cross": mid}


def _encoding(row: Family, config: Any) -> dict[str, Port]:
    """An encoder: the sites of a stack of blocks, under other names."""
    return {
        f"enc_{site}": replace(port, blocks=row.blocks, step=site)
        for site, port in ports_of(row, config).items()
    }


def _outside(family: Family) -> dict[str, Port]:
    path = family.embedding_norm or family.embedding_map or family.embedding
    ports = {"embed": _after(path)}
    if family.positions is not None:
        ports["pos_embed"] = _after(family.positions)
    return ports


def _stream(family: Family, config: Any) -> dict[str, Port]:
    """The residual stream; the block itself has the empty path."""
    ports = {"resid_pre": _before(""), "resid_post": _after("")}
    if family.sum_norm1 is not None:
        ports["resid_mid"] = _after(family.sum_norm1)
    elif not is_parallel(family, config):
        # The block keeps this tensor to add to it later, so only a change in place reaches both
        # the second norm and that sum.
        ports["resid_mid"] = Port(family.norm2 or family.mlp, "before", _input, _into_input)
    return ports


def _attention(family: Family, config: Any) -> dict[str, Port]:
    within = ("rot_q", "rot_k", "scores", "pattern", "z")
    ports = {site: Port(family.attention, "within", _output, _replacement) for site in within}
    ports["attn_out"] = _after(family.attention_factor or family.attention_norm or family.o)
    for index, site in enumerate(("q", "k", "v")):
        if family.qkv is None:
            split: Split = partial(_heads, width=head_width(config))
            path = str(getattr(family, site))
        else:
            split = partial(_packed, index=index, family=family, config=config)
            path = family.qkv
        ports[site] = Port(path, "after", partial(_read_part, split), partial(_write_part, split))
    return ports


def _mlp(family: Family) -> dict[str, Port]:
    if family.router is not None:
        path = family.router
        return {
            "mlp_in": _before(family.mlp),
            "router": Port(path, "after", _read_router, _write_router, flat=True, whole=True),
            "mlp_out": _after(family.mlp_norm or family.mlp),
        }
    return {
        "mlp_in": _before(family.mlp),
        "mlp_pre": _before(family.act),
        "mlp_post": _before(family.w_out),
        "mlp_out": _after(family.mlp_factor or family.mlp_norm or family.w_out),
    }


# ---------------------------------------------------------------------- plain ports


def _input(_module: nn.Module, given: Tensor, _made: Tensor) -> Tensor:
    return given


def _output(_module: nn.Module, _given: Tensor, made: Tensor) -> Tensor:
    return made


def _replacement(_module: nn.Module, _given: Tensor, made: Tensor, new: Tensor) -> Tensor:
    return new.expand_as(made)


def _into_input(_module: nn.Module, given: Tensor, _made: Tensor, new: Tensor) -> Tensor:
    return given.copy_(new)


def _before(path: str) -> Port:
    return Port(path, "before", _input, _replacement)


def _after(path: str) -> Port:
    return Port(path, "after", _output, _replacement)


def plain_port(path: str, when: Literal["before", "after", "within"]) -> Port:
    """The port of a whole value: what a module is given, what it makes, or a step of attention."""
    return Port(path, when, _input if when == "before" else _output, _replacement)


# ---------------------------------------------------------------------- parts of a projection

# The view of a projection's output that is one site.
Split = Callable[[Tensor], Tensor]


def _heads(made: Tensor, *, width: int) -> Tensor:
    return split_heads(made, -1, width)


def _packed(made: Tensor, *, index: int, family: Family, config: Any) -> Tensor:
    return split_qkv(made, -1, family, config)[index]


def _read_part(split: Split, _module: nn.Module, _given: Tensor, made: Tensor) -> Tensor:
    return split(made)


def _write_part(
    split: Split, _module: nn.Module, _given: Tensor, made: Tensor, new: Tensor
) -> Tensor:
    changed = made.clone()
    changed[..., split(torch.arange(made.shape[-1], device=made.device))] = new
    return changed


# ---------------------------------------------------------------------- choices of a router


def _read_router(_module: nn.Module, _given: Tensor, made: Any) -> Tensor:
    """The weight of each expert, 0 where it is not chosen, from logits, weights and choices."""
    logits, weights, chosen = made
    return weights.new_zeros(logits.shape).scatter(-1, chosen, weights)  # type: ignore[no-any-return]


def _write_router(_module: nn.Module, _given: Tensor, made: Any, new: Tensor) -> Any:
    logits, weights, chosen = made
    count = max(chosen.shape[-1], int((new != 0).sum(-1).max()))
    indices = new.abs().topk(count, dim=-1).indices
    return logits, new.gather(-1, indices).to(weights.dtype), indices


# ---------------------------------------------------------------------- scales of norms


def _read_scale(family: Family, module: nn.Module, given: Tensor, _made: Tensor) -> Tensor:
    """What the norm divides by: sqrt(mean square + epsilon), centred where the norm centres."""
    if isinstance(module, nn.Identity):  # a layer without the norm that the others have
        return given.new_ones(given.shape[:-1])
    norm = norm_of(module, family)
    wide = given.to(torch.promote_types(given.dtype, torch.float32))
    if norm.centred:
        wide = wide - wide.mean(-1, keepdim=True)
    return (wide.square().mean(-1) + norm.eps).sqrt()


def _write_scale(
    family: Family, module: nn.Module, given: Tensor, made: Tensor, new: Tensor
) -> Tensor:
    ratio = (_read_scale(family, module, given, made) / new)[..., None]
    bias = None if isinstance(module, nn.Identity) else norm_of(module, family).bias
    shift = 0 if bias is None else bias
    changed = ((made - shift) * ratio + shift).to(made.dtype)
    # Where the scale stays, so does the output, to the last bit.
    return torch.where(ratio == 1, made, changed)
