"""What every component writes into the residual stream, and what is put in its place."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from microtome.analysis.norms import norm_map
from microtome.errors import SiteMissing
from microtome.models.anatomy import Anatomy
from microtome.models.arithmetic import Run
from microtome.models.operations import scaled
from microtome.records.edges import Edges


def expect_edges(anatomy: Anatomy, name: str) -> None:
    """Raise SiteMissing where edges between components are not defined."""
    if anatomy.routed:
        raise SiteMissing(
            f"{name} has a router, which chooses experts by all that it reads; an edge into it "
            "is not defined here.",
            "Sweep its heads and MLPs instead.",
        )


def written(ran: Run) -> Float[Tensor, "writer *run position d_model"]:
    """What each writer adds to the stream in a run; shared output biases of heads are left out.

    A norm behind a branch counts with the root that it has in this run.
    """
    edges = Edges.of(ran.anatomy)
    found = ran.embedding.new_empty(edges.n_writers, *ran.embedding.shape)
    found[0] = ran.embedding
    if ran.position_embedding is not None:
        found[0] += ran.position_embedding
    for layer, (block, own) in enumerate(zip(ran.anatomy.blocks, ran.blocks, strict=True)):
        heads = _heads(own.attention.z, block.attention.w_o)
        heads = norm_map(block.attention_norm, own.attention.out_norm).apply(heads)
        found[edges.heads(layer)] = heads
        found[edges.mlp(layer)] = scaled(block.mlp_norm, own.mlp.out_norm, own.mlp.out)
    return found


def written_difference(clean: Run, corrupt: Run) -> Float[Tensor, "writer *run position d_model"]:
    """What writers add in one run less what they add in another."""
    anatomy = clean.anatomy
    if any(block.attention_norm is not None for block in anatomy.blocks):
        return written(clean) - written(corrupt)
    edges = Edges.of(anatomy)
    found = clean.embedding.new_empty(edges.n_writers, *clean.embedding.shape)
    torch.sub(clean.embedding, corrupt.embedding, out=found[0])  # positions have the same
    for layer, block in enumerate(anatomy.blocks):
        one, other = clean.blocks[layer], corrupt.blocks[layer]
        change = one.attention.z - other.attention.z
        found[edges.heads(layer)] = _heads(change, block.attention.w_o)
        ends = (scaled(block.mlp_norm, each.mlp.out_norm, each.mlp.out) for each in (one, other))
        torch.sub(*ends, out=found[edges.mlp(layer)])
    return found


def _heads(
    z: Float[Tensor, "*run head position d_head"], matrix: Float[Tensor, "head d_model d_head"]
) -> Float[Tensor, "head *run position d_model"]:
    """What each head's values come to behind its output matrix."""
    by_head = z.movedim(-3, 0)
    made = by_head.flatten(1, -2) @ matrix.mT
    return made.view(*by_head.shape[:-1], -1)


def mean_written(
    runs: list[Run], *, by_position: bool
) -> Float[Tensor, "writer #position d_model"]:
    """The mean of what writers add, over runs, and over positions unless each has its own."""
    if by_position:
        return torch.stack([written(ran) for ran in runs]).mean(0)
    sums = torch.stack([written(ran).sum(1, keepdim=True) for ran in runs])
    return sums.sum(0) / sum(ran.n_positions for ran in runs)
