"""Checks that parts sum to the whole: the residual stream, the logits, heads and neurons."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from microtome.analysis.direct import attribute
from microtome.metrics import LinearMetric
from microtome.models.anatomy import Block, Norm
from microtome.models.arithmetic import anatomy_in, run_mlp
from microtome.models.model import Model
from microtome.models.operations import embedded, normalise, per_head, project
from microtome.selfcheck.subject import DoesNotApply, Measurement, Subject, relative


@torch.inference_mode()
def residual_sum(subject: Subject) -> Iterator[Measurement]:
    """1. Embeddings and captured branch outputs sum to the final residual stream."""
    stream = _embeddings(subject)
    last = len(subject.anatomy.blocks) - 1
    for layer, block in enumerate(subject.anatomy.blocks):
        # In the model's own order of adding, so that float32 gives no difference at all.
        stream = _normed(subject, block.sum_norm1, stream + subject.values("attn_out", layer))
        if "cross_out" in subject.model.ports:
            stream = stream + subject.values("cross_out", layer)
        stream = _normed(subject, block.sum_norm2, stream + subject.values("mlp_out", layer))
    found = relative(stream, subject.values("resid_post", last))
    yield Measurement(found, subject.goal(1e-6, 2e-2), "relative difference")


def _embeddings(subject: Subject) -> Tensor:
    """What the first layer reads, from the tables of embeddings alone."""
    anatomy = subject.anatomy
    ids = torch.tensor(subject.ids, device=subject.model.device)
    rows = replace(
        anatomy, embedding=anatomy.embedding[ids], unembedding=anatomy.unembedding[:0],
        unembedding_bias=None, blocks=(), positions=None, transform=None,
    )  # fmt: skip
    stream = embedded(anatomy_in(rows, subject.wide), torch.arange(len(ids), device=ids.device))
    if anatomy.token_type is not None:
        stream = stream + anatomy.token_type.to(subject.wide)
    if anatomy.positions is not None:
        stream = stream + anatomy.positions[: len(ids)].to(subject.wide)
    return _normed(subject, anatomy.stream_norm, stream)


def _normed(subject: Subject, norm: Norm | None, stream: Tensor) -> Tensor:
    return normalise(anatomy_in(norm, subject.wide), stream)


@dataclass(frozen=True, slots=True)
class _Logit(LinearMetric):
    """One logit by itself."""

    def coefficients(self, size: int) -> Float[np.ndarray, " vocabulary"]:
        weights = np.zeros(size)
        weights[int(self.answer)] = 1.0
        return weights


@torch.inference_mode()
def contributions(subject: Subject) -> Iterator[Measurement]:
    """2. Direct contributions sum to the most probable logit, before and after the soft cap."""
    subject.need_whole()
    transform = subject.anatomy.transform
    if transform is not None and transform.activation is not None:
        raise DoesNotApply(
            "the language head has a non-linearity of its own, so that nothing adds to a logit "
            "directly; shares of its secant are shown instead"
        )
    top = int(subject.logits[-1].argmax())
    uncapped = replace(subject.anatomy, soft_cap=None)
    raw = _before_the_cap(subject.model, subject.ids)[-1]
    yield _sum_against(subject, uncapped, top, float(raw[top]), "before a soft cap")
    logit = float(subject.logits[-1, top])
    yield _sum_against(subject, subject.anatomy, top, logit, "after the soft cap, if any")


def _sum_against(
    subject: Subject, anatomy: Any, token: int, logit: float, what: str
) -> Measurement:
    total = attribute(subject.run, anatomy, _Logit(token)).total
    size = abs(logit)
    allowed = subject.goal(1e-5 * max(1.0, size), 5e-2 * max(1.0, size / 4))
    return Measurement(abs(total - logit), allowed, f"sum against a logit of {logit:.3g}, {what}")


def _before_the_cap(model: Model, ids: tuple[int, ...]) -> Float[Tensor, "position vocabulary"]:
    """What the unembedding itself gives, caught at the module."""
    found: list[Tensor] = []
    hook = model.unembedding.register_forward_hook(lambda _m, _i, output: found.append(output))
    try:
        model.forward(torch.tensor([ids]))
    finally:
        hook.remove()
    return found[0][0]


@torch.inference_mode()
def branches(subject: Subject) -> Iterator[Measurement]:
    """3. Heads and neurons, rebuilt from the weights, sum to the outputs of their branches."""
    goal = subject.goal(1e-5, 2e-2)
    for layer, stored in enumerate(subject.anatomy.blocks):
        subject.job.check()
        block = anatomy_in(stored, subject.wide)
        heads = relative(_attention(subject, block, layer), subject.values("attn_out", layer))
        yield Measurement(heads, goal, f"heads of layer {layer}, relative")
        neurons = relative(_mlp(subject, block, layer), subject.values("mlp_out", layer))
        yield Measurement(neurons, goal, f"neurons of layer {layer}, relative")


def _attention(subject: Subject, block: Block, layer: int) -> Tensor:
    """The attention output from the captured pattern and the value and output weights."""
    weights = block.attention
    read = normalise(block.norm1, subject.values("resid_pre", layer))
    values = per_head(project(read, weights.w_v, weights.b_v), weights)
    z = subject.values("pattern", layer) @ values  # [head, position, d_head]
    out = torch.einsum("hqe,hde->qd", z, weights.w_o)
    return normalise(block.attention_norm, out if weights.b_o is None else out + weights.b_o)


def _mlp(subject: Subject, block: Block, layer: int) -> Tensor:
    """The MLP's output from the residual stream that it reads."""
    stream = subject.values("resid_pre", layer)
    if not block.parallel:
        stream = normalise(block.sum_norm1, stream + subject.values("attn_out", layer))
    if "cross_out" in subject.model.ports:
        stream = stream + subject.values("cross_out", layer)
    routed = None
    if subject.anatomy.routed and subject.half:
        routed = subject.values("router", layer)  # in float32 rounding may choose others
    return normalise(block.mlp_norm, run_mlp(block, stream, routed).out)
