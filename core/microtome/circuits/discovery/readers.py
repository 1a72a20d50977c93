"""What a unit of the stream is worth to the metric where each reader takes it up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from microtome.analysis.norms import NormMap
from microtome.circuits.backward import Gradient, LayerGradient, rotated_back
from microtome.circuits.coefficients import AttentionCoefficients
from microtome.models.operations import project
from microtome.records.edges import Edges


def reader_worths(
    gradient: Gradient, steps: int = 1
) -> Float[Tensor, "reader example position d_model"]:
    """The gradient of the metric at the input of every reader, in the order of ``Edges``.

    The runs of the gradient are ``steps`` times the examples, whose mean is taken. Heads that share
    keys and values have each their own.
    """
    frozen = gradient.coefficients
    edges, final = Edges.of(frozen.anatomy), _mean(gradient.final, steps)
    found = final.new_empty(edges.n_readers, *final.shape)
    for layer, worth in enumerate(gradient.layers):
        _read(frozen.attention[layer], worth, steps, found[edges.head_readers(layer)])
        found[edges.mlp_reader(layer)] = _mean(worth.mlp_read, steps)
    found[-1] = final
    return found


def _mean(x: Float[Tensor, "run *axes"], steps: int) -> Float[Tensor, "example *axes"]:
    """The mean over the steps of each example."""
    return x if steps == 1 else x.unflatten(0, (steps, -1)).mean(0)


def _read(
    attention: AttentionCoefficients,
    worth: LayerGradient,
    steps: int,
    out: Float[Tensor, "reader example position d_model"],
) -> None:
    """Fill in what heads' queries, keys and values read of the stream."""
    norm, weights = attention.norm, attention.weights
    matrices = (weights.w_q, weights.w_k, weights.w_v)
    sides = zip(_of_heads(attention, worth), matrices, out.chunk(3), strict=True)
    for heads, matrix, part in sides:
        if heads.dim() == 5:  # a norm mixes the heads: each reads through the matrices of all
            wide = torch.einsum("rhkpd,kdm->hrpm", heads, matrix)
            part.copy_(norm.transpose(wide).unflatten(1, (steps, -1)).mean(1))
        elif steps == 1 or norm.inverse is None or norm.middle is None or norm.kappa is None:
            _unprojected(_mean(heads, steps), matrix, part)
            part.copy_(norm.transpose(part))
        else:
            _mean_read(norm, heads, matrix, part)


def _mean_read(
    norm: NormMap,
    heads: Float[Tensor, "run head position d_head"],
    matrix: Float[Tensor, "some_head d_head d_model"],
    out: Float[Tensor, "head example position d_model"],
) -> None:
    """The mean over steps, projected back only once.

    A norm's transpose is ``y / root``, which may be averaged before the projection, plus a multiple
    of what that run's norm read, which is a number for each head, position and step.
    """
    assert norm.inverse is not None  # noqa: S101
    assert norm.middle is not None  # noqa: S101
    assert norm.kappa is not None  # noqa: S101
    examples = out.shape[1]
    steps, n_heads = len(heads) // examples, heads.shape[1]
    _unprojected(_mean(heads * norm.inverse[:, None], steps), matrix, out)
    if norm.weight is not None:
        out.mul_(norm.weight)
    read = project(norm.weighted(norm.middle), matrix, None)  # [run, some_head, position, d_head]
    read = read.repeat_interleave(n_heads // len(matrix), 1)
    along = norm.kappa * (heads * read).sum(-1).mT / steps  # [run, position, head]
    along = along.unflatten(0, (steps, -1)).permute(1, 2, 3, 0)  # [example, position, head, step]
    middle = norm.middle.unflatten(0, (steps, -1)).permute(1, 2, 0, 3)
    out.add_((along @ middle).permute(2, 0, 1, 3))
    if norm.centred:
        out.sub_(out.mean(-1, keepdim=True))


def _unprojected(
    heads: Float[Tensor, "example head position d_head"],
    matrix: Float[Tensor, "some_head d_head d_model"],
    out: Float[Tensor, "head example position d_model"],
) -> None:
    """From what heads project back to what they read, each by itself."""
    rows = heads.transpose(0, 1).flatten(1, 2)  # [head, example and position, d_head]
    repeats = len(rows) // len(matrix)
    matrix = matrix if repeats == 1 else matrix.repeat_interleave(repeats, 0)
    torch.bmm(rows, matrix, out=out.view(len(rows), rows.shape[1], -1))


def _of_heads(
    attention: AttentionCoefficients, worth: LayerGradient
) -> tuple[Tensor, Tensor, Tensor]:
    """The worth of each head's own queries, keys and values as they are projected.

    [run, head, position, d_head], or [run, head, projected, position, d_head] where a norm mixes.
    """
    assert worth.score is not None  # noqa: S101
    assert worth.query is not None  # noqa: S101
    offered = rotated_back(attention, attention.score_scale * worth.score.mT @ attention.q)
    query = _before_norm(attention.q_norm, worth.query, 1)
    key = _before_norm(attention.k_norm, offered, attention.weights.group)
    return query, key, attention.pattern.mT @ worth.gamma


def _before_norm(
    norm: NormMap, worth: Float[Tensor, "run head position d_head"], group: int
) -> Tensor:
    """Through a norm of queries or keys, each head by itself; a group's heads have one norm."""
    if norm.inverse is None:
        return worth
    if norm.joint:
        own = torch.arange(worth.shape[1], device=worth.device)
        alone = worth.new_zeros(len(worth), len(own), len(own) // group, *worth.shape[2:])
        alone[:, own, own // group] = worth
        return _changed(norm, lambda part: part[:, None]).transpose(alone)
    if group > 1:
        norm = _changed(norm, lambda part: part.repeat_interleave(group, 1))
        if norm.weight is not None and norm.weight.dim() == 3:
            norm = replace(norm, weight=norm.weight.repeat_interleave(group, 0))
    return norm.transpose(worth)


def _changed(norm: NormMap, change: Callable[[Tensor], Tensor]) -> NormMap:
    """The same maps with other axes."""
    inverse, middle, kappa = (
        None if part is None else change(part) for part in (norm.inverse, norm.middle, norm.kappa)
    )
    return replace(norm, inverse=inverse, middle=middle, kappa=kappa)
