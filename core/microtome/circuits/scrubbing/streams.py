"""The forward pass in which every reader reads a stream of its own, put together from many inputs.

All inputs of one length go together. What a box writes is computed once for each input and
position, and read wherever a draw falls on that input: the tree of the hypothesis without its
repetitions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from microtome.circuits.discovery.reading import can_go_alone, heads_alone
from microtome.circuits.discovery.writers import written
from microtome.errors import SiteMissing
from microtome.jobs import Job
from microtome.models.anatomy import Anatomy, Block
from microtome.models.arithmetic import Run
from microtome.models.operations import normalise, soft_cap, transformed
from microtome.models.together import run_together
from microtome.records.edges import Edges

_TOGETHER = 8  # runs at a time


def expect_sums(anatomy: Anatomy, name: str) -> None:
    """Raise SiteMissing where a reader does not read a plain sum of what single writers write."""
    for block in anatomy.blocks:
        if not can_go_alone(block) or block.sum_norm1 or block.sum_norm2:
            raise SiteMissing(
                f"{name} has norms behind its attention or on its residual stream, so that what a "
                "head writes depends on all other heads.",
                "Test circuits of it with faithfulness, which holds these norms.",
            )


@dataclass(frozen=True, slots=True, eq=False)
class Written:
    """What every writer adds in the runs of inputs of one length, and the constants between."""

    anatomy: Anatomy
    edges: Edges
    values: Float[Tensor, "writer input position d_model"]

    @classmethod
    def of(cls, anatomy: Anatomy, inputs: Sequence[Int[Tensor, " position"]], job: Job) -> Written:
        """The runs of some inputs."""
        found = None
        for start in range(0, len(inputs), _TOGETHER):
            job.progress("Running the inputs", start, len(inputs))
            for number, ran in enumerate(run_together(anatomy, inputs[start : start + _TOGETHER])):
                own = _written(ran)
                if found is None:
                    found = own.new_empty(len(own), len(inputs), *own.shape[1:])
                found[:, start + number] = own
        assert found is not None  # noqa: S101  there is an input
        return cls(anatomy, Edges.of(anatomy), found)

    def constants(self, reader: int) -> Float[Tensor, " d_model"]:
        """What output biases of attention add before a reader."""
        layer = self.edges.layer_of(reader)
        blocks = self.anatomy.blocks
        behind = layer < len(blocks) and reader == self.edges.mlp_reader(layer)
        stop = layer + 1 if behind and not blocks[layer].parallel else layer
        total = self.values.new_zeros(self.values.shape[-1])
        for block in blocks[:stop]:
            if block.attention.b_o is not None:
                total += block.attention.b_o
        return total


def _written(ran: Run) -> Float[Tensor, "writer position d_model"]:
    found = written(ran)
    found[0] = ran.blocks[0].resid_pre  # behind a norm on the embedding, with all that is added
    return found


def head_output(
    block: Block,
    head: int,
    q_from: Float[Tensor, "input position d_model"],
    k_from: Float[Tensor, "input position d_model"],
    v_from: Float[Tensor, "input position d_model"],
) -> Float[Tensor, "input position d_model"]:
    """What one head writes when it reads its queries, keys and values from three streams."""
    streams = torch.stack([q_from, k_from, v_from], 1)
    return heads_alone(block, np.array([head]), streams)[:, 0]


def logits_of(
    anatomy: Anatomy, rows: Float[Tensor, "input d_model"]
) -> Float[Tensor, "input vocabulary"]:
    """The logits of streams behind the last layer."""
    read = transformed(anatomy.transform, normalise(anatomy.final_norm, rows))
    logits = read @ anatomy.unembedding.T
    bias = anatomy.unembedding_bias
    return soft_cap(logits if bias is None else logits + bias, anatomy.soft_cap)
