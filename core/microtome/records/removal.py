"""Parts of a model that can be taken out: their names, and the edits that do it.

``a1.h2`` is a head, ``m3`` an MLP, ``l2`` a whole layer: its attention and its MLP.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from microtome.errors import InputError, expect
from microtome.prompts import Prompt
from microtome.records.edits import EditSpec

HEADS, MLPS, LAYERS = "heads", "mlps", "layers"
KINDS = (HEADS, MLPS, LAYERS)
REMOVALS = ("zero", "mean")  # what is put in the place of what a part writes

_NAME = re.compile(r"a(?P<of>\d+)\.h(?P<head>\d+)|m(?P<mlp>\d+)|l(?P<layer>\d+)")


@dataclass(frozen=True, slots=True, order=True)
class Part:
    """One part. ``head`` is -1 for an MLP or a whole layer."""

    kind: str
    layer: int
    head: int = -1

    @property
    def name(self) -> str:
        """How it is written."""
        return {
            HEADS: f"a{self.layer}.h{self.head}",
            MLPS: f"m{self.layer}",
            LAYERS: f"l{self.layer}",
        }[self.kind]

    @property
    def sites(self) -> tuple[str, ...]:
        """The sites that are ablated."""
        return {
            HEADS: (f"z.{self.layer}.{self.head}",),
            MLPS: (f"mlp_out.{self.layer}",),
            LAYERS: (f"attn_out.{self.layer}", f"mlp_out.{self.layer}"),
        }[self.kind]


def part_of(name: str) -> Part:
    """The part of a name. Raises InputError for what is none."""
    expect(name, str, "part", "a name", "Write a1.h2 for a head, m3 for an MLP, l2 for a layer.")
    found = _NAME.fullmatch(name.strip())
    if found is None:
        raise InputError(
            f"{name!r} is no part of a model.",
            "Write a1.h2 for a head, m3 for an MLP, l2 for a layer.",
        )
    if found["of"] is not None:
        return Part(HEADS, int(found["of"]), int(found["head"]))
    if found["mlp"] is not None:
        return Part(MLPS, int(found["mlp"]))
    return Part(LAYERS, int(found["layer"]))


def removal_specs(
    parts: Iterable[str], how: str = "zero", prompts: Sequence[Prompt] = ()
) -> tuple[EditSpec, ...]:
    """The edits that take parts out: zero, or the mean over ``prompts``, in their place.

    Raises InputError for a name that is none, or a mean without prompts.
    """
    expect_removal(how, prompts)
    over = tuple(prompts) if how == "mean" else ()
    sites = [site for part in parts for site in part_of(part).sites]
    return tuple(EditSpec(site, how, prompts=over) for site in dict.fromkeys(sites))


def expect_removal(how: str, prompts: Sequence[Prompt] = (" ",)) -> None:
    """Raise InputError for another way of removing, or a mean without prompts."""
    if how not in REMOVALS:
        raise InputError(f"There is no removal {how!r}.", f"Choose {' or '.join(REMOVALS)}.")
    if how == "mean" and not prompts:
        raise InputError("The mean needs prompts to be taken over.", "Give some, or take zero.")
