"""Sites: the places in a model where an activation can be read or edited.

A site has a name of ours (``resid_pre``) and, for a layer, the TransformerLens name
(``blocks.3.hook_resid_pre``); both parse. One table holds all of them, with their axes.

A model with an encoder and a decoder has the decoder's sites under the same names as any other
model, those of cross-attention under ``cross_…``, and the encoder's under ``enc_…``. Positions
of the text that the encoder reads are the axis ``source``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import SupportsIndex

from microtome.errors import InputError, WrongKind, described, expect


@dataclass(frozen=True, slots=True)
class SiteKind:
    """A row of the site table: axes of one prompt's activation, without the layer axis."""

    name: str
    axes: tuple[str, ...]
    lens_name: str
    title: str
    aliases: tuple[str, ...] = ()

    @property
    def in_encoder(self) -> bool:
        """Whether its layers are those of an encoder beside the decoder."""
        return self.name.startswith(_ENCODER)

    @property
    def of_pair(self) -> bool:
        """Whether only a decoder that looks at an encoder has it."""
        return self.in_encoder or "cross" in self.name

    @property
    def per_layer(self) -> bool:
        """Whether the site exists once a layer."""
        return "{}" in self.lens_name


_ENCODER = "enc_"
_POS, _HEAD = ("position", "d_model"), ("position", "head", "d_head")
_KV = ("position", "kv_head", "d_head")
_ATTENTION = ("head", "query", "key")
_NEURON = ("position", "d_mlp")

_DECODER = (
    SiteKind("embed", _POS, "hook_embed", "token embedding"),
    SiteKind("pos_embed", _POS, "hook_pos_embed", "position embedding"),
    SiteKind("resid_pre", _POS, "blocks.{}.hook_resid_pre", "residual stream before the layer"),
    SiteKind("norm1", _POS, "blocks.{}.ln1.hook_normalized", "what the attention reads"),
    SiteKind("norm1_scale", ("position",), "blocks.{}.ln1.hook_scale", "first norm's scale"),
    SiteKind("q", _HEAD, "blocks.{}.attn.hook_q", "queries before rotation"),
    SiteKind("k", _KV, "blocks.{}.attn.hook_k", "keys before rotation"),
    SiteKind("v", _KV, "blocks.{}.attn.hook_v", "values"),
    SiteKind("rot_q", _HEAD, "blocks.{}.attn.hook_rot_q", "queries as multiplied"),
    SiteKind("rot_k", _KV, "blocks.{}.attn.hook_rot_k", "keys as multiplied"),
    SiteKind("scores", _ATTENTION, "blocks.{}.attn.hook_attn_scores", "attention scores"),
    SiteKind("pattern", _ATTENTION, "blocks.{}.attn.hook_pattern", "attention pattern"),
    SiteKind("z", _HEAD, "blocks.{}.attn.hook_z", "head outputs before the output matrix"),
    SiteKind("attn_out", _POS, "blocks.{}.hook_attn_out", "attention output"),
    SiteKind("resid_mid", _POS, "blocks.{}.hook_resid_mid", "residual stream between"),
    SiteKind("norm2", _POS, "blocks.{}.ln2.hook_normalized", "second norm's output"),
    SiteKind("norm2_scale", ("position",), "blocks.{}.ln2.hook_scale", "second norm's scale"),
    SiteKind("mlp_in", _POS, "blocks.{}.mlp.hook_in", "what the MLP reads"),
    SiteKind("mlp_pre", _NEURON, "blocks.{}.mlp.hook_pre", "neurons before the non-linearity"),
    SiteKind("mlp_post", _NEURON, "blocks.{}.mlp.hook_post", "neurons", ("neurons",)),
    SiteKind(
        "router",
        ("position", "expert"),
        "blocks.{}.mlp.hook_expert_weights",
        "weights of the experts, 0 where not chosen",
    ),
    SiteKind("mlp_out", _POS, "blocks.{}.hook_mlp_out", "MLP output"),
    SiteKind("resid_post", _POS, "blocks.{}.hook_resid_post", "residual stream after the layer"),
    SiteKind("final_norm", _POS, "ln_final.hook_normalized", "final norm's output"),
    SiteKind("final_norm_scale", ("position",), "ln_final.hook_scale", "final norm's scale"),
)

_SOURCE_KV = ("source", "kv_head", "d_head")
_LOOK = ("head", "query", "source")
_CROSS = (
    SiteKind("cross_norm", _POS, "decoder.{}.ln_cross.hook_normalized",
             "what the queries of cross-attention read"),
    SiteKind("cross_norm_scale", ("position",), "decoder.{}.ln_cross.hook_scale",
             "scale of cross-attention's norm"),
    SiteKind("cross_q", _HEAD, "decoder.{}.cross_attn.hook_q", "queries of cross-attention"),
    SiteKind("cross_k", _SOURCE_KV, "decoder.{}.cross_attn.hook_k", "keys of cross-attention"),
    SiteKind("cross_v", _SOURCE_KV, "decoder.{}.cross_attn.hook_v", "values of cross-attention"),
    SiteKind("cross_scores", _LOOK, "decoder.{}.cross_attn.hook_attn_scores",
             "cross-attention scores"),
    SiteKind("cross_pattern", _LOOK, "decoder.{}.cross_attn.hook_pattern",
             "cross-attention pattern"),
    SiteKind("cross_z", _HEAD, "decoder.{}.cross_attn.hook_z",
             "head outputs of cross-attention"),
    SiteKind("cross_out", _POS, "decoder.{}.hook_cross_attn_out", "cross-attention output"),
    SiteKind("resid_mid_cross", _POS, "decoder.{}.hook_resid_mid_cross",
             "residual stream after cross-attention"),
)  # fmt: skip

# What an encoder has of the table above: everything but what no encoder here has.
_NOT_ENCODED = {"pos_embed", "rot_q", "rot_k", "router"}
_SOURCE = {"position": "source", "query": "source_query", "key": "source"}


def _encoded(row: SiteKind) -> SiteKind:
    """The same site of an encoder."""
    axes = tuple(_SOURCE.get(axis, axis) for axis in row.axes)
    lens = row.lens_name.replace("blocks.", "encoder.")
    lens = lens if row.per_layer else f"encoder.{lens}"
    return replace(
        row, name=_ENCODER + row.name, axes=axes, lens_name=lens,
        title=f"encoder: {row.title}", aliases=(),
    )  # fmt: skip


_TABLE = (
    *(_encoded(row) for row in _DECODER if row.name not in _NOT_ENCODED),
    *_DECODER,
    *_CROSS,
)

SITES: dict[str, SiteKind] = {row.name: row for row in _TABLE}
_ALIASES = {alias: row.name for row in _TABLE for alias in row.aliases}
_BY_LENS_NAME = {row.lens_name: row.name for row in _TABLE}
# TransformerLens calls the layers of a decoder beside an encoder so.
_BLOCK = re.compile(r"^(blocks|encoder|decoder)\.(\d+)\.(.+)$")
_WRITTEN = "Sites look like resid_pre.3 (layer 3), z.2.1 (layer 2, head 1) or embed."
_OWN = re.compile(r"^([a-z_0-9]+?)(?:\.(\d+))?(?:\.(\d+))?$")


def kind_of(name: str) -> SiteKind:
    """The table's row for a site name or alias.

    Raises InputError that names those that are nearly the same, and how a site is written.
    """
    try:
        return SITES[_ALIASES.get(name, name)]
    except KeyError:
        near = get_close_matches(name, (*SITES, *_ALIASES), n=3, cutoff=0.55)
        named = " or ".join(filter(None, (", ".join(near[:-1]), *near[-1:])))
        meant = f"Did you mean {named}? " if near else ""
        raise InputError(f"There is no site named {name!r}.", f"{meant}{_WRITTEN}") from None


def expect_names(given: object, name: str) -> None:
    """Raise WrongKind for what is no list of sites; a single name is most often meant as one."""
    if isinstance(given, str) or not isinstance(given, Iterable):
        example = given if isinstance(given, str) else "resid_post"
        raise WrongKind(
            f"{name} is {described(given)}, but a list was expected.",
            f"Write {name}=[{example!r}].",
        )


@dataclass(frozen=True, slots=True)
class Site:
    """One place in a model: a name, and a layer and a head where the site has them."""

    name: str
    layer: int | None = None
    head: int | None = None

    def __post_init__(self) -> None:
        expect(self.name, str, "The site's name", "a text", "Write for example Site('z', 2, 1).")
        for name in ("layer", "head"):
            number = getattr(self, name)
            if number is not None:
                expect(number, (int, SupportsIndex), name, "a whole number", "Count from 0.")
        row = kind_of(self.name)
        object.__setattr__(self, "name", row.name)
        if self.layer is not None and not row.per_layer:
            raise InputError(f"The site {self.name} exists once, not in layer {self.layer}.")
        if self.head is not None and not {"head", "kv_head"} & set(row.axes):
            raise InputError(f"The site {self.name} has no heads, but head {self.head} was given.")

    @property
    def kind(self) -> SiteKind:
        """The row of the site table."""
        return SITES[self.name]

    @property
    def lens_name(self) -> str:
        """The TransformerLens name, for example ``blocks.3.attn.hook_z``."""
        template = self.kind.lens_name
        if self.kind.per_layer and self.layer is None:
            raise InputError(f"The site {self.name} needs a layer to have a TransformerLens name.")
        return template.format(self.layer)

    def __str__(self) -> str:
        parts = [self.name, self.layer, self.head]
        return ".".join(str(part) for part in parts if part is not None)

    @classmethod
    def of(cls, given: object) -> Site:
        """The site given as itself or by name.

        Raises InputError when it is neither, or names no site.
        """
        if isinstance(given, Site):
            return given
        example = "Write for example 'z.3.5' or Site('z', 3, 5)."
        expect(given, str, "The site", "a Site or its name", example)
        return cls.parse(str(given))

    @classmethod
    def parse(cls, text: str) -> Site:
        """The site of a TransformerLens name, or of ours: ``z``, ``z.3``, ``z.3.5``.

        Raises InputError when the text names no site.
        """
        block = _BLOCK.match(text)
        templates = [f"{block[1]}.{{}}.{block[3]}"] if block else [text]
        if block and block[1] == "decoder":
            templates.append(f"blocks.{{}}.{block[3]}")
        for template in templates:
            if template in _BY_LENS_NAME:
                return cls(_BY_LENS_NAME[template], int(block[2]) if block else None)
        own = _OWN.match(text)
        if not own:
            raise InputError(
                f"{text!r} is not a site.", "Write for example z.3.5 or blocks.3.attn.hook_z."
            )
        numbers = [int(part) if part is not None else None for part in (own[2], own[3])]
        return cls(own[1], *numbers)
