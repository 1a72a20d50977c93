"""Which of the three ways a sweep takes, and whether the fast one tells the truth."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal
from weakref import WeakKeyDictionary

import numpy as np
import torch

from microtome.errors import InputError
from microtome.interventions.sweeping.base import run_base
from microtome.interventions.sweeping.blocks import sweep_by_modules, where_not_finite
from microtome.interventions.sweeping.cells import NotFiniteError
from microtome.interventions.sweeping.entries import NEEDS
from microtome.interventions.sweeping.exact import sweep_exactly
from microtome.interventions.sweeping.layers import normed
from microtome.interventions.sweeping.scratch import Scratch
from microtome.interventions.sweeping.stepping import stepping_agrees
from microtome.interventions.sweeping.task import Found, Task, Told
from microtome.jobs import Job, job_or_default
from microtome.models.anatomy import Mlp
from microtome.models.hooks import tapping
from microtome.models.model import Model
from microtome.models.operations import soft_cap, transformed
from microtome.models.tokens import Tokens

Path = Literal["packed", "blocks", "hooks"]
PATHS: tuple[Path, ...] = ("packed", "blocks", "hooks")
_WIDE = (torch.float32, torch.float64)
# Of the largest logit: two float32 passes of one model differ by some 1e-6 of it.
_AGREE = 1e-4

_TELLING = 4  # tokens

# Whether the arithmetic of a model gives the model's own logits, and whether stepping over its
# blocks does: asked once for each.
_trusted: WeakKeyDictionary[Model, bool] = WeakKeyDictionary()
_stepped: WeakKeyDictionary[Model, bool] = WeakKeyDictionary()


def path_of(model: Model, kind: str, wanted: str | None, tokens: Tokens, job: Job | None) -> Path:
    """The fastest way that is valid, or the one wanted.

    The fast way is compared with the model's own run of ``tokens``, once for a model.

    Raises InputError for a way that there is not, or that this model or site cannot take.
    """
    if wanted is not None and wanted not in PATHS:
        raise InputError(f"There is no path {wanted!r}.", f"Choose one of {', '.join(PATHS)}.")
    for path in PATHS:
        if wanted is not None and path != wanted:
            continue
        reason = _not_valid(path, model, kind, tokens, job)
        if not reason:
            return path
        if wanted is not None:
            raise InputError(
                f"The sweep cannot take the path {wanted!r}: {reason}.",
                "Leave the path out; the fastest that is valid is taken.",
            )
    return "hooks"


def _not_valid(path: Path, model: Model, kind: str, tokens: Tokens, job: Job | None) -> str:
    """Why a model or site cannot take a path; empty when it can."""
    if path == "packed":
        return _not_packed(model, kind, tokens, job)
    return _not_blocks(model, kind, tokens, job) if path == "blocks" else ""


def _not_packed(model: Model, kind: str, tokens: Tokens, job: Job | None) -> str:
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
    agrees = _asked_once(_trusted, _agrees, model, tokens, job)
    return "" if agrees else "its arithmetic does not agree with the model's own run"


def _not_blocks(model: Model, kind: str, tokens: Tokens, job: Job | None) -> str:
    if model.has_encoder or kind.startswith("enc_"):
        return "an encoder stands beside the decoder"
    if "resid_pre" not in model.ports:
        return "where its blocks begin is not known"
    agrees = _asked_once(_stepped, stepping_agrees, model, tokens, job)
    return "" if agrees else "its blocks hand on more than the residual stream"


def _asked_once(
    known: WeakKeyDictionary[Model, bool],
    ask: Callable[[Model, Tokens, Job], bool],
    model: Model,
    tokens: Tokens,
    job: Job | None,
) -> bool:
    """Whether a way agrees with the model's own run.

    What a very short prompt says is not remembered: attention has no part in it.
    """
    if model in known:
        return known[model]
    agrees = ask(model, tokens, job_or_default(job))
    if len(tokens) >= _TELLING or not agrees:
        known[model] = agrees
    return agrees


def _agrees(model: Model, tokens: Tokens, job: Job) -> bool:
    """Whether the packed base run gives the last logits that the model itself gives."""
    anatomy = model.anatomy
    with torch.inference_mode():
        ids = torch.from_numpy(tokens.ids)[None].to(model.device).long()
        base = run_base(anatomy, ids, scratch=Scratch(job))
        read = transformed(anatomy.transform, normed(anatomy.final_norm, base.final[-1:]))
        ours = torch.nn.functional.linear(read, anatomy.unembedding, anatomy.unembedding_bias)
        ours = soft_cap(ours, anatomy.soft_cap)[0].cpu().double()  # MPS has no float64
        job.check()
        with tapping(model, {}, job.check):
            theirs = model.run(tokens)[-1].cpu().double()
        job.check()
    scale = max(1.0, float(theirs.abs().max()))
    return (
        bool(np.isfinite(float(ours.sum()))) and float((ours - theirs).abs().max()) < _AGREE * scale
    )


def compute(path: Path, task: Task, job: Job, told: Told) -> Found:
    """The task by one of the ways; without gradients, the model as it was afterwards.

    Raises EditError for a cell whose metric is not a number.
    """
    with torch.inference_mode():
        try:
            if path == "packed":
                return sweep_exactly(task, job, told)
            return sweep_by_modules(task, job, told, enter=path == "blocks")
        except NotFiniteError as found:
            raise where_not_finite(task, found, job) from None
