"""Random anatomies with parts that no family combines, and plain questions about them."""

from __future__ import annotations

from typing import Any

import torch

from microtome.circuits.asking import Asked
from microtome.metrics import LogitDifference
from microtome.models.anatomy import (
    Anatomy,
    Attention,
    Block,
    Mlp,
    Norm,
    Rotary,
    ScoreBias,
    Transform,
)
from microtome.models.arithmetic import run

VOCABULARY, D, HEADS, GROUPS, D_HEAD, D_MLP = 40, 20, 4, 2, 6, 28


class _Draw:
    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)

    def __call__(self, *shape: int, size: float = 0.3) -> torch.Tensor:
        return size * torch.randn(*shape, generator=self.generator, dtype=torch.float64)

    def norm(self, width: int = D, *, centred: bool = True) -> Norm:
        return Norm(centred, 1e-5, 1 + self(width), self(width))


def score_bias() -> ScoreBias:
    def at(count: int) -> torch.Tensor:
        places = torch.arange(count, dtype=torch.float64)
        slopes = 0.5 ** torch.arange(HEADS, dtype=torch.float64)
        return slopes[:, None, None] * (places - places[:, None])

    return ScoreBias(at)


def rotary(n_rotated: int, *, interleaved: bool = False) -> Rotary:
    def angles(count: int) -> tuple[torch.Tensor, torch.Tensor]:
        speeds = 10.0 ** -torch.linspace(0, 2, n_rotated // 2, dtype=torch.float64)
        both = speeds.repeat_interleave(2) if interleaved else speeds.repeat(2)
        angle = torch.arange(count)[:, None] * both
        return angle.cos(), angle.sin()

    return Rotary(n_rotated, angles, interleaved)


def random_anatomy(seed: int = 0, **changes: Any) -> Anatomy:
    """Every part there is: biases everywhere, norms on branches and on queries and keys, a
    partial rotation, a window, grouped heads, a gate, both soft caps, learned positions.

    ``parallel`` and ``sharp`` (a factor of the scores) may be given; with ``post`` there are
    norms on the stream, attention in both directions, and a transform before the unembedding.
    """
    draw = _Draw(seed)
    blocks = tuple(_block(draw, layer, **changes) for layer in range(3))
    behind = _behind(_Draw(seed + 1)) if changes.get("post") else {}
    return Anatomy(
        embedding=draw(VOCABULARY, D, size=1.0),
        embedding_scale=1.7,
        embedding_norm=draw.norm(),
        positions=draw(30, D, size=0.5),
        blocks=blocks,
        final_norm=draw.norm(),
        unembedding=draw(VOCABULARY, D, size=1.0),
        unembedding_bias=draw(VOCABULARY),
        soft_cap=5.0,
        **behind,
    )


def _behind(draw: _Draw) -> dict[str, Any]:
    transform = Transform(draw(D, D), draw(D), "gelu_tanh", draw.norm())
    return {"token_type": draw(D), "stream_norm": draw.norm(), "transform": transform}


def _block(
    draw: _Draw, layer: int, *, parallel: bool = False, sharp: float = 1.0, post: bool = False
) -> Block:
    attention = Attention(
        w_q=draw(HEADS, D_HEAD, D),
        w_k=draw(GROUPS, D_HEAD, D),
        w_v=draw(GROUPS, D_HEAD, D),
        w_o=draw(HEADS, D, D_HEAD),
        b_q=draw(HEADS, D_HEAD),
        b_k=draw(GROUPS, D_HEAD),
        b_v=draw(GROUPS, D_HEAD),
        b_o=draw(D),
        scale=0.5 * sharp,
        soft_cap=4.0 * sharp,
        window=4 if layer == 1 else None,
        causal=not post,
        q_norm=draw.norm(D_HEAD),
        k_norm=draw.norm(D_HEAD, centred=False),
        rotary=rotary(4, interleaved=layer == 2),
        bias=score_bias() if layer == 0 else None,
    )
    mlp = Mlp(
        "gelu",
        w_in=draw(D_MLP, D),
        w_out=draw(D, D_MLP),
        b_in=draw(D_MLP),
        b_out=draw(D),
        w_gate=draw(D_MLP, D),
        b_gate=draw(D_MLP),
    )
    return Block(
        attention,
        mlp,
        draw.norm(),
        draw.norm(centred=False),
        attention_norm=draw.norm(),
        mlp_norm=draw.norm(centred=False),
        parallel=parallel,
        sum_norm1=draw.norm(centred=layer != 0) if post else None,
        sum_norm2=draw.norm() if post else None,
    )


def asked_of(anatomy: Anatomy, ids: list[int], corrupt: list[int] | None = None) -> Asked:
    """A question about a difference of two logits at the last position."""
    clean = run(anatomy, torch.tensor(ids))
    other = None if corrupt is None else run(anatomy, torch.tensor(corrupt))
    metric = LogitDifference(3, 11)
    size = anatomy.unembedding.shape[0]
    weights = torch.as_tensor(metric.coefficients(size)).to(clean.final)
    values = [None if r is None else float(weights @ r.logits(-1)) for r in (clean, other)]
    texts = tuple(f"w{at}" for at in ids)
    position = len(ids) - 1
    return Asked(
        clean, other, metric, "metric", weights, position, *values, texts, tuple(ids), None
    )
