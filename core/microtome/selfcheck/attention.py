"""Checks of attention: patterns, padding, and other implementations of the same arithmetic."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from microtome.models.anatomy import Block
from microtome.models.arithmetic import MASKED, anatomy_in
from microtome.models.operations import normalise, per_head, project, rotate, soft_cap, visible_keys
from microtome.selfcheck.subject import PADDING, DoesNotApply, Measurement, Subject, typical


def _visible(subject: Subject, window: int | None, *, causal: bool) -> Tensor:
    return visible_keys(len(subject.ids), window, subject.model.device, causal=causal)


def _sight(subject: Subject) -> list[tuple[int | None, bool]]:
    """Window and direction of each layer; of no known family the whole past may be seen."""
    if not subject.model.known:
        return [(None, True)] * subject.model.identity.n_layers
    attentions = [block.attention for block in subject.anatomy.blocks]
    return [(attention.window, attention.causal) for attention in attentions]


@torch.inference_mode()
def patterns(subject: Subject) -> Iterator[Measurement]:
    """6. Rows of attention patterns sum to 1, and fall on what their query may see."""
    subject.need("pattern")
    for layer, (window, causal) in enumerate(_sight(subject)):
        pattern = subject.values("pattern", layer)
        seen = _visible(subject, window, causal=causal)
        off = float((pattern.sum(-1) - 1).abs().max())
        yield Measurement(off, subject.goal(1e-5, 1e-2), f"row sums of layer {layer} against 1")
        ahead = float(pattern.masked_fill(seen, 0.0).abs().max())
        yield Measurement(ahead, 0.0, f"attention of layer {layer} to what is out of sight")
        if window is not None and window < len(subject.ids):
            for side in (-1,) if causal else (-1, 1):
                edge = pattern.diagonal(side * (window - 1), dim1=-2, dim2=-1)
                unused = float(not edge.any())
                yield Measurement(unused, 0.0, f"layer {layer} ignores the last key of its window")
        elif not causal and len(subject.ids) > 1:
            blind = float(not pattern.triu(1).any())
            yield Measurement(blind, 0.0, f"layer {layer} sees nothing behind a query")
    yield from _open_patterns(subject)


def _open_patterns(subject: Subject) -> Iterator[Measurement]:
    """Patterns that see the whole source: those of an encoder, and of what looks at it."""
    for name in ("cross_pattern", "enc_pattern"):
        if name in subject.model.ports:
            off = float((subject.values(name).sum(-1) - 1).abs().max())
            yield Measurement(off, subject.goal(1e-5, 1e-2), f"row sums of {name} against 1")


@torch.inference_mode()
def rebuilt_patterns(subject: Subject) -> Iterator[Measurement]:
    """9. Patterns recomputed from the query and key weights are those that the model used."""
    # Large scores are rounded too, in half precision by more than a tenth: hence the mean square.
    goal = subject.goal(1e-5, 5e-2)
    for layer, stored in enumerate(subject.anatomy.blocks):
        subject.job.check()
        block: Block = anatomy_in(stored, subject.wide)
        weights = block.attention
        read = normalise(block.norm1, subject.values("resid_pre", layer))
        raw_q, raw_k = (
            project(read, weights.w_q, weights.b_q),
            project(read, weights.w_k, weights.b_k),
        )
        q = rotate(normalise(weights.q_norm, raw_q), weights.rotary)
        k = rotate(normalise(weights.k_norm, raw_k), weights.rotary)
        scores = weights.scale * (q @ per_head(k, weights).mT)
        if weights.bias is not None:
            scores = scores + weights.bias.at(len(subject.ids))
        capped = soft_cap(scores, weights.soft_cap)
        seen = _visible(subject, weights.window, causal=weights.causal)
        pattern = capped.masked_fill(~seen, MASKED).softmax(-1)
        found = typical(pattern.cpu(), subject.values("pattern", layer).cpu())
        yield Measurement(found, goal, f"weights of layer {layer}, root mean square")


def padding(subject: Subject) -> Iterator[Measurement]:
    """7. A padded prompt with its own positions gives the logits of the prompt alone."""
    subject.leave_out_turning_routers()
    subject.need_positions()
    if subject.source:
        yield from _padded_source(subject)
        return
    count, ids = len(subject.ids), subject.ids
    context = subject.model.identity.context
    if context is not None and count + PADDING > context:
        raise DoesNotApply(f"the context of {context} tokens has no room for padding")
    pad = (0,) * PADDING
    places = torch.arange(count)
    goal = subject.logit_goal(1e-4, 1e-1)
    mask, unpadded = torch.ones(count, dtype=torch.long), torch.zeros(PADDING, dtype=torch.long)
    left = _padded_run(subject, pad + ids, (unpadded, mask), (unpadded, places))
    yield Measurement(typical(left[PADDING:], subject.logits), goal, "logits padded on the left")
    right = _padded_run(subject, ids + pad, (mask, unpadded), (places, unpadded))
    yield Measurement(typical(right[:count], subject.logits), goal, "logits padded on the right")


def _padded_source(subject: Subject) -> Iterator[Measurement]:
    """An encoder whose positions are distances needs to be told of the padding alone."""
    goal, pad = subject.logit_goal(1e-4, 1e-1), (0,) * PADDING
    ones, zeros = torch.ones(len(subject.source)), torch.zeros(PADDING)
    for side, source, mask in (
        ("left", pad + subject.source, (zeros, ones)),
        ("right", subject.source + pad, (ones, zeros)),
    ):
        hidden = torch.cat(mask).long()[None].to(subject.model.device)
        found = subject.plain(subject.ids, source, attention_mask=hidden)
        yield Measurement(
            typical(found, subject.logits), goal, f"logits, source padded on the {side}"
        )


def _padded_run(
    subject: Subject,
    ids: tuple[int, ...],
    mask: tuple[Tensor, Tensor],
    positions: tuple[Tensor, Tensor],
) -> np.ndarray:
    device = subject.model.device
    return subject.plain(
        ids,
        attention_mask=torch.cat(mask)[None].to(device),
        position_ids=torch.cat(positions)[None].to(device),
    )


def implementations(subject: Subject) -> Iterator[Measurement]:
    """8. Another implementation of attention gives the same logits."""
    subject.leave_out_turning_routers()
    subject.need("pattern")
    name = _other_implementation(subject)
    with subject.model.attending(name):
        other = subject.plain(subject.ids)
    goal = subject.logit_goal(1e-4, 1e-1)
    yield Measurement(typical(other, subject.logits), goal, f"logits against {name} attention")


def _other_implementation(subject: Subject) -> str:
    if not subject.model.known:
        return "eager"
    capped = any(block.attention.soft_cap is not None for block in subject.anatomy.blocks)
    # Fused attention has no soft cap, and transformers' answer to it differs by version.
    return "eager" if capped or subject.model.family.inline is not None else "sdpa"
