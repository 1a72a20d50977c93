"""Several prompts through the model's arithmetic at once: the weights are read once for all.

The same numbers as ``arithmetic.run`` gives for each prompt alone. Whatever acts on rows apart from
one another is done for the rows of all prompts together; attention is done prompt by prompt.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import linear

from microtome.jobs import Job, job_or_default
from microtome.models.anatomy import Anatomy, Block
from microtome.models.arithmetic import (
    AttentionRun,
    BlockRun,
    Edit,
    MlpRun,
    Run,
    attend,
    prepared,
    run,
    run_mlp,
    unchanged,
)
from microtome.models.operations import (
    NormRun,
    embedded,
    norm_run,
    output_matrix,
    per_head,
    project,
    scaled,
)


def run_together(
    anatomy: Anatomy,
    prompts: Sequence[Int[Tensor, " position"]],
    *,
    edits: Sequence[Edit | None] | None = None,
    job: Job | None = None,
) -> list[Run]:
    """The forward passes over some prompts, each with an edit of its own if some are given.

    Edits may change the sites that ``arithmetic.run`` names.
    """
    if len(prompts) == 1 or anatomy.routed:
        given = edits or [None] * len(prompts)
        pairs = zip(prompts, given, strict=True)
        return [run(anatomy, ids, edit=edit, job=job) for ids, edit in pairs]
    with torch.no_grad():
        return _Together(anatomy, prompts, edits).run(job_or_default(job))


class _Together:
    def __init__(
        self,
        anatomy: Anatomy,
        prompts: Sequence[Tensor],
        edits: Sequence[Edit | None] | None,
    ) -> None:
        self.anatomy = anatomy
        self.prompts = [ids.to(anatomy.embedding.device).long() for ids in prompts]
        self.edits = [edit or unchanged for edit in edits or [None] * len(prompts)]
        self.lengths = [len(ids) for ids in prompts]

    def run(self, job: Job) -> list[Run]:
        anatomy = self.anatomy
        entries = [self._entry(*pair) for pair in zip(self.prompts, self.edits, strict=True)]
        streams = []
        for embedding, positions in entries:
            stream = embedding if positions is None else embedding + positions
            streams.append(stream if anatomy.token_type is None else stream + anatomy.token_type)
        first = [norm_run(anatomy.stream_norm, stream) for stream in streams]
        streams = [
            scaled(anatomy.stream_norm, ran, stream)
            for ran, stream in zip(first, streams, strict=True)
        ]
        blocks: list[list[BlockRun]] = [[] for _ in self.prompts]
        for layer, block in enumerate(anatomy.blocks):
            job.progress("Running the model", layer, len(anatomy.blocks))
            made = self._block(block, layer, streams)
            for held, one in zip(blocks, made, strict=True):
                held.append(one)
            streams = [one.resid_post for one in made]
        return [
            Run(
                anatomy, self.prompts[i], *entries[i], tuple(blocks[i]), streams[i],
                norm_run(anatomy.final_norm, streams[i]), first[i],
            )
            for i in range(len(self.prompts))
        ]  # fmt: skip

    def _entry(self, ids: Tensor, edit: Edit) -> tuple[Tensor, Tensor | None]:
        embedding = edit("embed", -1, embedded(self.anatomy, ids))
        positions = self.anatomy.positions
        if positions is not None:
            positions = edit("pos_embed", -1, positions[: len(ids)])
        return embedding, positions

    def _block(self, block: Block, layer: int, streams: list[Tensor]) -> list[BlockRun]:
        attention = self._attention(block, layer, streams)
        middles, norms = [], []
        for stream, edit, ran in zip(streams, self.edits, attention, strict=True):
            added = scaled(block.attention_norm, ran.out_norm, ran.out)
            middle = stream + edit("attn_out", layer, added)
            norms.append(norm_run(block.sum_norm1, middle))
            middles.append(scaled(block.sum_norm1, norms[-1], middle))
        froms = streams if block.parallel else middles
        mlps = self._mlp(block, torch.cat(froms))
        found = []
        for i, edit in enumerate(self.edits):
            written = scaled(block.mlp_norm, mlps[i].out_norm, mlps[i].out)
            after = middles[i] + edit("mlp_out", layer, written)
            norm = norm_run(block.sum_norm2, after)
            after = edit("resid_post", layer, scaled(block.sum_norm2, norm, after))
            found.append(
                BlockRun(streams[i], attention[i], froms[i], mlps[i], after, norms[i], norm)
            )
        return found

    def _attention(self, block: Block, layer: int, streams: list[Tensor]) -> list[AttentionRun]:
        weights = block.attention
        rows = torch.cat(streams)
        norm = norm_run(block.norm1, rows)
        read = scaled(block.norm1, norm, rows)
        raw = [
            project(read, weight, bias).split(self.lengths, -2)
            for weight, bias in (
                (weights.w_q, weights.b_q), (weights.w_k, weights.b_k), (weights.w_v, weights.b_v),
            )
        ]  # fmt: skip
        found, zs = [], []
        for i, edit in enumerate(self.edits):
            q, q_norm = prepared(weights, weights.q_norm, raw[0][i])
            k, k_norm = prepared(weights, weights.k_norm, raw[1][i])
            v = raw[2][i]
            seen, scores, log_pattern = attend(weights, q, k)
            pattern = log_pattern.exp()
            zs.append(edit("z", layer, pattern @ per_head(v, weights)))
            found.append((q_norm, k_norm, q, k, v, seen, scores, log_pattern, pattern))
        flat = torch.cat([z.transpose(0, 1).flatten(1) for z in zs])
        out = linear(flat, output_matrix(weights), weights.b_o)
        rest = (self._norms(norm), self._norms(norm_run(block.attention_norm, out)))
        outs = out.split(self.lengths)
        return [
            AttentionRun(rest[0][i], own[0], own[1], rest[1][i], *own[2:], z=zs[i], out=outs[i])
            for i, own in enumerate(found)
        ]

    def _mlp(self, block: Block, rows: Float[Tensor, "row d_model"]) -> list[MlpRun]:
        ran = run_mlp(block, rows)
        count = len(self.prompts)
        gates = [None] * count if ran.gate is None else ran.gate.split(self.lengths)
        parts = zip(
            self._norms(ran.norm), self._norms(ran.out_norm), ran.pre.split(self.lengths), gates,
            [None] * count, ran.out.split(self.lengths), strict=True,
        )  # fmt: skip
        return [MlpRun(*part) for part in parts]

    def _norms(self, ran: NormRun | None) -> list[NormRun | None]:
        """A norm of all rows, prompt by prompt."""
        if ran is None:
            return [None] * len(self.prompts)
        centred, scale = ran.centred.split(self.lengths, -2), ran.scale.split(self.lengths, -2)
        return [NormRun(*pair) for pair in zip(centred, scale, strict=True)]
