"""Sites: the places in a model where an activation can be read or edited.

A site has a name of ours (``resid_pre``) and, for a layer, the TransformerLens name
(``blocks.3.hook_resid_pre``); both parse. One table holds all of them, with their axes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
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
    def per_layer(self) -> bool:
        """Whether the site exists once a layer."""
        return "{}" in self.lens_name


_POS, _HEAD = ("position", "d_model"), ("position", "head", "d_head")
_KV = ("position", "kv_head", "d_head")
_ATTENTION = ("head", "query", "key")
_NEURON = ("position", "d_mlp")

_TABLE = (
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

SITES: dict[str, SiteKind] = {row.name: row for row in _TABLE}
_ALIASES = {alias: row.name for row in _TABLE for alias in row.aliases}
_BY_LENS_NAME = {row.lens_name: row.name for row in _TABLE}
_BLOCK = re.compile(r"^blocks\.(\d+)\.(.+)$")
_OWN = re.compile(r"^([a-z_0-9]+?)(?:\.(\d+))?(?:\.(\d+))?$")


def kind_of(name: str) -> SiteKind:
    """The table's row for a site name or alias.

    Raises InputError that lists the known names.
    """
    try:
        return SITES[_ALIASES.get(name, name)]
    except KeyError:
        known = ", ".join(SITES)
        raise InputError(f"There is no site named {name!r}.", f"Known sites: {known}.") from None


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
        template = f"blocks.{{}}.{block[2]}" if block else text
        if template in _BY_LENS_NAME:
            return cls(_BY_LENS_NAME[template], int(block[1]) if block else None)
        own = _OWN.match(text)
        if not own:
            raise InputError(
                f"{text!r} is not a site.", "Write for example z.3.5 or blocks.3.attn.hook_z."
            )
        numbers = [int(part) if part is not None else None for part in (own[2], own[3])]
        return cls(own[1], *numbers)
