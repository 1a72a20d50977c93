"""Which of the three ways a sweep takes, and whether the fast one tells the truth."""

from __future__ import annotations

from typing import Literal
from weakref import WeakKeyDictionary

import numpy as np
import torch

from microtome.errors import InputError
from microtome.interventions.sweeping.base import run_base
from microtome.interventions.sweeping.blocks import sweep_by_modules
from microtome.interventions.sweeping.entries import NEEDS
from microtome.interventions.sweeping.exact import sweep_exactly
from microtome.interventions.sweeping.layers import normed
from microtome.interventions.sweeping.scratch import Scratch
from microtome.interventions.sweeping.task import Found, Task, Told
from microtome.jobs import Job, job_or_default
from microtome.models.anatomy import Mlp
from microtome.models.model import Model
from microtome.models.operations import soft_cap, transformed
from microtome.models.tokens import Tokens

Path = Literal["packed", "blocks", "hooks"]
PATHS: tuple[Path, ...] = ("packed", "blocks", "hooks")
_WIDE = (torch.float32, torch.float64)
# Of the largest logit: two float32 passes of one model differ by some 1e-6 of it.
_AGREE = 1e-4

# Whether the arithmetic of a model gives the model's own logits, asked once for each.
_trusted: WeakKeyDictionary[Model, bool] = WeakKeyDictionary()


def path_of(
    model: Model, kind: str, wanted: str | None, tokens: Tokens | None, job: Job | None
) -> Path:
    """The fastest way that is valid, or the one wanted.

    With ``tokens`` the fast way is compared with the model's own run of them, once for a model.

    Raises InputError for a way that there is not, or that this model or site cannot take.
    """
    if wanted is not None and wanted not in PATHS:
        raise InputError(f"There is no path {wanted!r}.", f"Choose one of {', '.join(PATHS)}.")
    reasons = {"packed": _not_packed(model, kind, tokens, job), "blocks": _not_blocks(model, kind)}
    if wanted is not None and reasons.get(wanted):
        raise InputError(
            f"The sweep cannot take the path {wanted!r}: {reasons[wanted]}.",
            "Leave the path out; the fastest that is valid is taken.",
        )
    if wanted is not None:
        return next(path for path in PATHS if path == wanted)
    return next(path for path in PATHS if not reasons.get(path))


def _not_packed(model: Model, kind: str, tokens: Tokens | None, job: Job | None) -> str:
    if not model.whole:
        return "not all that the logits are made of is known"
    if model.dtype not in _WIDE:
        return f"the weights are {str(model.dtype).removeprefix('torch.')}"
    if kind not in NEEDS:
        return f"it does not know the site {kind}"
    anatomy = model.anatomy
    if not all(isinstance(block.mlp, Mlp) for block in anatomy.blocks):
        return "a router chooses experts anew in every run"
    norms = [
        norm
        for block in anatomy.blocks
        for norm in (block.attention.q_norm, block.attention.k_norm)
    ]
    if kind in ("q", "k") and any(norm is not None and norm.joint for norm in norms):
        return "one norm over all heads mixes them"
    if model not in _trusted and tokens is not None:
        _trusted[model] = _agrees(model, tokens, job_or_default(job))
    return (
        ""
        if _trusted.get(model, True)
        else "its arithmetic does not agree with the model's own run"
    )


def _not_blocks(model: Model, kind: str) -> str:
    if model.has_encoder or kind.startswith("enc_"):
        return "an encoder stands beside the decoder"
    if "resid_pre" not in model.ports:
        return "where its blocks begin is not known"
    return ""


def _agrees(model: Model, tokens: Tokens, job: Job) -> bool:
    """Whether the packed base run gives the last logits that the model itself gives."""
    anatomy = model.anatomy
    with torch.inference_mode():
        ids = torch.from_numpy(tokens.ids)[None].to(model.device).long()
        base = run_base(anatomy, ids, scratch=Scratch(job))
        read = transformed(anatomy.transform, normed(anatomy.final_norm, base.final[-1:]))
        ours = torch.nn.functional.linear(read, anatomy.unembedding, anatomy.unembedding_bias)
        ours = soft_cap(ours, anatomy.soft_cap)[0].double().cpu()
        theirs = model.run(tokens)[-1].double().cpu()
    scale = max(1.0, float(theirs.abs().max()))
    return (
        bool(np.isfinite(float(ours.sum()))) and float((ours - theirs).abs().max()) < _AGREE * scale
    )


def compute(path: Path, task: Task, job: Job, told: Told) -> Found:
    """The task by one of the ways; without gradients, the model as it was afterwards."""
    with torch.inference_mode():
        if path == "packed":
            return sweep_exactly(task, job, told)
        return sweep_by_modules(task, job, told, enter=path == "blocks")
