"""The anatomy of a model: where every weight lives, in one form for all families.

Family rows (``microtome.models.families``) say how to find these parts in a transformers
model; everything that computes with weights (direct attribution, circuits, checks) reads them
here and never asks which family it is. All weights act as ``y = x @ w.T + b`` and are views of
the model's own parameters wherever the layout allows it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Norm:
    """A LayerNorm (``centred``) or RMSNorm: ``weight * x / sqrt(mean(x^2) + eps) + bias``.

    ``weight`` is what multiplies: for Gemma 1 + the stored weight. A ``joint`` norm of queries
    or keys takes one mean over all heads; it does not centre, and its weight is
    [head, 1, d_head].
    """

    centred: bool
    eps: float
    weight: Float[Tensor, "*heads d"] | None
    bias: Float[Tensor, " d"] | None = None
    joint: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Rotary:
    """Rotary positions on the first ``n_rotated`` dimensions of a head.

    Dimension i turns with the one half of them further on, or ``interleaved`` with its neighbour.
    ``angles`` gives cosines and sines [position, n_rotated] for a number of positions.
    """

    n_rotated: int
    angles: Callable[
        [int], tuple[Float[Tensor, "position rotated"], Float[Tensor, "position rotated"]]
    ]
    interleaved: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class ScoreBias:
    """What is added to the scaled scores whatever the tokens are (ALiBi), 0 at the query itself.

    ``at`` gives it for a number of positions.
    """

    at: Callable[[int], Float[Tensor, "head query key"]]


@dataclass(frozen=True, slots=True, eq=False)
class Attention:
    """One attention layer, a matrix a head; key and value heads are shared by groups of heads."""

    w_q: Float[Tensor, "head d_head d_model"]
    w_k: Float[Tensor, "kv_head d_head d_model"]
    w_v: Float[Tensor, "kv_head d_head d_model"]
    w_o: Float[Tensor, "head d_model d_head"]
    b_q: Float[Tensor, "head d_head"] | None
    b_k: Float[Tensor, "kv_head d_head"] | None
    b_v: Float[Tensor, "kv_head d_head"] | None
    b_o: Float[Tensor, " d_model"] | None
    scale: float  # of the scores: head_dim^-1/2, or query_pre_attn_scalar^-1/2
    soft_cap: float | None = None  # cap * tanh(score / cap), before the mask
    window: int | None = None  # visible keys of a query, itself included
    q_norm: Norm | None = None  # per head or over all of them, before rotation
    k_norm: Norm | None = None
    rotary: Rotary | None = None
    bias: ScoreBias | None = None  # of the scaled scores, before the cap
    queries_scaled: bool = False  # the site rot_q holds the scale already

    @property
    def group(self) -> int:
        """How many heads share one key-value head."""
        return int(self.w_q.shape[0] // self.w_k.shape[0])


@dataclass(frozen=True, slots=True, eq=False)
class Mlp:
    """One MLP: ``w_out (act(w_in x))``, or gated ``w_out (act(w_gate x) * (w_in x))``."""

    activation: str  # gelu, gelu_tanh, silu, relu: a key of microtome.models.activation_functions
    w_in: Float[Tensor, "d_mlp d_model"]
    w_out: Float[Tensor, "d_model d_mlp"]
    b_in: Float[Tensor, " d_mlp"] | None = None
    b_out: Float[Tensor, " d_model"] | None = None
    w_gate: Float[Tensor, "d_mlp d_model"] | None = None
    b_gate: Float[Tensor, " d_mlp"] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """One layer: norms around attention and MLP, in series or in parallel.

    ``norm1`` and ``norm2`` act before attention and MLP; ``attention_norm`` and ``mlp_norm`` on
    the branch's output before it is added (Gemma 2). ``parallel`` blocks read attention and MLP
    from the layer's input.
    """

    attention: Attention
    mlp: Mlp
    norm1: Norm | None
    norm2: Norm | None
    attention_norm: Norm | None = None
    mlp_norm: Norm | None = None
    parallel: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Anatomy:
    """All weights of a decoder-only language model."""

    embedding: Float[Tensor, "vocabulary d_model"]
    embedding_scale: float
    embedding_norm: Norm | None  # of the scaled embedding, which it alone changes (BLOOM)
    positions: Float[Tensor, "context d_model"] | None  # row p belongs to position p
    blocks: tuple[Block, ...]
    final_norm: Norm | None
    unembedding: Float[Tensor, "vocabulary d_model"]
    unembedding_bias: Float[Tensor, " vocabulary"] | None
    soft_cap: float | None = None  # of the logits
