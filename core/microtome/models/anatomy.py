"""The anatomy of a model: where every weight lives, in one form for all families.

Family rows (``microtome.models.families``) say how to find these parts in a transformers
model; everything that computes with weights (direct attribution, circuits, checks) reads them
here and never asks which family it is. All weights act as ``y = x @ w.T + b`` and are views of
the model's own parameters wherever the layout allows it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Norm:
    """A LayerNorm (``centred``) or RMSNorm: ``weight * x / sqrt(mean(x^2) + eps) + bias``.

    ``weight`` is what multiplies: for Gemma 1 + the stored weight. Norms of queries or keys whose
    heads have weights of their own have [head, 1, d_head]. A ``joint`` one is such a norm that
    takes one mean over all heads; it does not centre.
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
    window: int | None = None  # visible keys of a query to one side, itself included
    causal: bool = True  # whether a query sees nothing behind itself
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

    activation: str  # gelu, gelu_tanh, silu …: a key of microtome.models.activation_functions
    w_in: Float[Tensor, "d_mlp d_model"]
    w_out: Float[Tensor, "d_model d_mlp"]
    b_in: Float[Tensor, " d_mlp"] | None = None
    b_out: Float[Tensor, " d_model"] | None = None
    w_gate: Float[Tensor, "d_mlp d_model"] | None = None
    b_gate: Float[Tensor, " d_mlp"] | None = None

    @property
    def n_neurons(self) -> int:
        """Number of neurons."""
        return int(self.w_in.shape[0])


@dataclass(frozen=True, slots=True, eq=False)
class Router:
    """What chooses experts: the softmax of its logits, all but the ``chosen`` largest set to 0.

    Renormalised, the chosen ones sum to 1. ``shared`` is the sigmoid gate of an expert that
    always runs.
    """

    weight: Float[Tensor, "expert d_model"]
    chosen: int
    renormalise: bool
    shared: Float[Tensor, "1 d_model"] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Experts:
    """A mixture of experts as one gated MLP.

    Its neurons are those of all experts one after another, each scaled by what the router gives
    its expert; those of the shared expert come last. The properties are copies made when asked
    for: the weights themselves lie as the model keeps them.
    """

    activation: str
    gate_up: Float[Tensor, "expert d_both d_model"]  # gate and input, one below the other
    down: Float[Tensor, "expert d_model d_expert"]
    router: Router
    shared: Mlp | None = None

    @property
    def n_neurons(self) -> int:
        """Number of neurons of all experts."""
        own = self.down.shape[0] * self.down.shape[2]
        return int(own) + (0 if self.shared is None else self.shared.n_neurons)

    @property
    def w_gate(self) -> Float[Tensor, "d_mlp d_model"] | None:
        """The gates of all neurons."""
        own = self.gate_up.chunk(2, 1)[0].flatten(0, 1)
        if self.shared is None or self.shared.w_gate is None:
            return own
        return torch.cat([own, self.shared.w_gate])

    @property
    def w_in(self) -> Float[Tensor, "d_mlp d_model"]:
        """The input weights of all neurons."""
        own = self.gate_up.chunk(2, 1)[1].flatten(0, 1)
        return own if self.shared is None else torch.cat([own, self.shared.w_in])

    @property
    def w_out(self) -> Float[Tensor, "d_model d_mlp"]:
        """The output weights of all neurons."""
        own = self.down.permute(1, 0, 2).flatten(1)
        return own if self.shared is None else torch.cat([own, self.shared.w_out], 1)

    @property
    def b_in(self) -> None:
        """No bias."""

    @property
    def b_gate(self) -> None:
        """No bias."""

    @property
    def b_out(self) -> None:
        """No bias."""


@dataclass(frozen=True, slots=True, eq=False)
class Transform:
    """What stands between the final norm and the unembedding: ``norm(act(weight x + bias))``.

    Masked language models have all of it; OPT-350M only the matrix, to its narrow embeddings.
    """

    weight: Float[Tensor, "d_read d_model"]
    bias: Float[Tensor, " d_read"] | None = None
    activation: str | None = None  # a key of microtome.models.activation_functions
    norm: Norm | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """One layer: norms around attention and MLP, in series or in parallel.

    ``norm1`` and ``norm2`` act before attention and MLP; ``attention_norm`` and ``mlp_norm`` on
    the branch's output before it is added (Gemma 2); ``sum_norm1`` and ``sum_norm2`` on the
    residual stream with the branch added (BERT), and so on all that was written before.
    ``parallel`` blocks read attention and MLP from the layer's input.
    """

    attention: Attention
    mlp: Mlp | Experts
    norm1: Norm | None
    norm2: Norm | None
    attention_norm: Norm | None = None
    mlp_norm: Norm | None = None
    parallel: bool = False
    sum_norm1: Norm | None = None
    sum_norm2: Norm | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Anatomy:
    """All weights of a language model that is one stack of blocks."""

    embedding: Float[Tensor, "vocabulary d_embedding"]
    embedding_scale: float
    embedding_norm: Norm | None  # of the scaled embedding, which it alone changes (BLOOM)
    positions: Float[Tensor, "context d_model"] | None  # row p belongs to position p
    blocks: tuple[Block, ...]
    final_norm: Norm | None
    unembedding: Float[Tensor, "word d_read"]
    unembedding_bias: Float[Tensor, " word"] | None
    soft_cap: float | None = None  # of the logits
    embedding_map: Float[Tensor, "d_model d_embedding"] | None = None  # of narrow embeddings
    token_type: Float[Tensor, " d_model"] | None = None  # added at every position (BERT)
    stream_norm: Norm | None = None  # of the sum of all embeddings (BERT)
    transform: Transform | None = None

    @property
    def d_model(self) -> int:
        """Dimensions of the residual stream."""
        return int(self.blocks[0].attention.w_q.shape[-1])

    @property
    def causal(self) -> bool:
        """Whether no position sees what stands behind it."""
        return all(block.attention.causal for block in self.blocks)

    leaves_out: str = ""  # what the logits are made of besides all this; empty when nothing

    @property
    def norms_on_stream(self) -> bool:
        """Whether norms act on the residual stream itself, and so on all that was written."""
        blocks = self.blocks
        norms = [self.stream_norm, *(b.sum_norm1 or b.sum_norm2 for b in blocks)]
        return any(norm is not None for norm in norms)

    @property
    def routed(self) -> bool:
        """Whether an MLP is a mixture of experts."""
        return any(isinstance(block.mlp, Experts) for block in self.blocks)
