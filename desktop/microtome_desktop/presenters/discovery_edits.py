"""A discovered circuit as edits of the run: everything that it leaves out is ablated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool

from microtome.records.edges import INPUT
from microtome.records.edits import EditSpec
from microtome.records.session import Session
from microtome_desktop.presenters.discovery_dial import Ranked
from microtome_desktop.state.edit_places import corrupt_prompt

_NOTHING = "The circuit of this size holds every head and every MLP: turn the dial down."
_NO_CORRUPT = (
    "The circuit was found by resampling, and the run on screen has no corrupt prompt: run a pair."
)
_NO_MEAN = "The circuit was found with a mean, but the prompts that it is over are not known."
_NO_WAY = "No way leads from the input to the logits at this size: turn the dial up."


def edits_outside(
    ranked: Ranked,
    kept: Bool[np.ndarray, " edge"],
    session: Session,
    ablation: str,
    over: Sequence[Any] = (),
) -> tuple[EditSpec, ...] | str:
    """An edit for each head and MLP without a kept edge; or, as text, why there is none.

    They get what a removed edge brought when the circuit was found: the corrupt prompt's values,
    zero, or the mean over the same prompts, which are those of ``over``.
    """
    if not kept.any():
        return _NO_WAY
    inside = {ranked.edges.writer_names[row] for row in np.unique(ranked.writer[kept])}
    outside = [n for n in ranked.edges.writer_names if n not in inside and n != INPUT]
    if not outside:
        return _NOTHING
    action, prompts = ablation, tuple(tuple(p) if isinstance(p, list) else p for p in over)
    if ablation == "resample":
        if session.corrupt is None:
            return _NO_CORRUPT
        action, prompts = "patch", (corrupt_prompt(session),)
    elif ablation != "zero" and not prompts:
        return _NO_MEAN
    if ablation == "zero":
        prompts = ()
    return tuple(EditSpec(_site(name), action, prompts=prompts) for name in outside)


def _site(name: str) -> str:
    """``a2.h1`` as a site: ``z.2.1``; ``m3`` is ``mlp_out.3``."""
    if name.startswith("m"):
        return f"mlp_out.{name[1:]}"
    layer, _, head = name[1:].partition(".h")
    return f"z.{layer}.{head}"
