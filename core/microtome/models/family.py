"""What a row of the table of families can say about an architecture.

Paths under ``Family`` start at the transformers model, those from ``norm1`` on at one block.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from microtome.errors import UnknownArchitecture


def _by_head_width(config: Any, layer: int) -> float:
    """The usual 1/sqrt(d_head)."""
    del layer
    return float(head_width(config) ** -0.5)


def gpt2_scale(config: Any, layer: int) -> float:
    """As GPT-2 may ask: no scale, or a smaller one in later layers."""
    scale = _by_head_width(config, layer) if config.scale_attn_weights else 1.0
    return scale / (layer + 1) if config.scale_attn_by_inverse_layer_idx else scale


def gemma_scale(config: Any, layer: int) -> float:
    """One over the root of a number of the config's own."""
    del layer
    return float(config.query_pre_attn_scalar**-0.5)


@dataclass(frozen=True, slots=True)
class Given:
    """What an attention module is given beside the stream: of a pass without a cache.

    ``mask`` and ``bias`` are added to the scaled scores; ``angles`` are cosines and sines
    [batch, 1, position, rotated]; ``residual`` is added to the module's output.
    """

    mask: Tensor | None
    bias: Tensor | None = None
    angles: tuple[Tensor, Tensor] | None = None
    residual: Tensor | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One row of the table."""

    model_type: str  # as config.json names it
    title: str
    class_name: str  # of the language model in transformers

    context_key: str = "max_position_embeddings"

    blocks: str
    embedding: str
    final_norm: str | None
    unembedding: str = "lm_head"
    labelled: bool = False  # answers are classes that the config names, not words
    positions: str | None = None  # learned position embeddings
    embedding_norm: str | None = None  # of the token's embedding alone
    embedding_map: str | None = None  # a matrix from narrow embeddings to the residual stream
    token_types: str | None = None  # embeddings of token types, of which the first is used
    stream_norm: str | None = None  # of the sum of all embeddings
    # Between the final norm and the unembedding: a matrix, and what follows it.
    transform: str | None = None
    transform_norm: str | None = None
    transform_activation: str | None = None  # its name, where no config key gives it
    transform_activation_key: str | None = None
    position_offset: int = 0  # row of the first position in their table
    row_positions: bool = False  # the model takes rows of that table as positions
    rotary: str | None = None  # module that gives cosines and sines
    rotary_by_layer_type: bool = False  # that module wants the layer's type too
    # A table of sines, then cosines, one for each two neighbours that turn together; in place of
    # that module.
    rotary_table: str | None = None
    # What is added to scaled scores, from config, number of positions and the model's type.
    alibi: Callable[[Any, int, torch.dtype], Tensor] | None = None
    rotary_key: str | None = None  # config key that says layer by layer whether queries turn

    norm1: str | None
    norm2: str | None  # where it is norm1, both branches read the same
    attention_norm: str | None = None  # of a branch's output, before it is added
    mlp_norm: str | None = None
    # Factors of a branch's output, one a dimension (LayerScale).
    attention_factor: str | None = None
    mlp_factor: str | None = None
    sum_norm1: str | None = None  # of the stream with the branch added
    sum_norm2: str | None = None
    rms: bool = False
    norm_offset: float = 0.0  # what is added to a stored norm weight

    causal: bool = True  # whether a query sees nothing behind itself
    attention: str  # module that calls the attention function
    # Reads what that module is given, where it computes attention itself and ours takes its place.
    inline: Callable[..., Given] | None = None
    q: str | None = None
    k: str | None = None
    v: str | None = None
    qkv: str | None = None  # one matrix in place of the three above
    # Of its rows: q|k|v; or for each key-value head the queries of its group, then k, then v.
    packing: Literal["blocks", "groups"] = "blocks"
    kv_heads_key: str = "num_key_value_heads"  # in the config; every head its own without it
    single_kv_head: bool = False
    o: str
    q_norm: str | None = None
    k_norm: str | None = None
    joint_norms: bool = False  # these two take one mean over all heads
    scale: Callable[[Any, int], float] = _by_head_width
    queries_scaled: bool = False  # the attention function gets queries that hold the scale
    soft_caps: bool = False  # whether the config's caps of scores and logits are applied
    window: Literal["none", "all", "layer_types"] = "none"

    mlp: str  # module that reads the residual stream
    w_in: str | None = None
    w_out: str
    w_gate: str | None = None
    gate_up: str | None = None  # one matrix in place of w_gate and w_in
    # A mixture of experts: all their weights, the module that chooses, and the gate of an expert
    # that always runs and has the three matrices above.
    experts: str | None = None
    router: str | None = None
    shared_gate: str | None = None
    renormalise_key: str | None = None  # config key that says whether chosen weights sum to 1
    act: str
    activation: str | None = None  # its name, where no config key gives it
    activation_keys: tuple[str, ...] = ("hidden_act",)
    input_major: bool = False  # weights are stored [in, out]
    flat: tuple[str, ...] = ()  # modules that see the positions of all prompts in one axis
    parallel_key: str | None = None  # config key that says whether blocks are parallel
    parallel: bool = False
    # Beside the blocks above, which then are a decoder's: the rows of an encoder and of the
    # cross-attention that reads it. Of the latter the parts of its attention and its two norms
    # count: the one before it, and the next one.
    encoder: Family | None = None
    cross: Family | None = None
    # Module that gives the bias of the scores from its own weights, seen from a block: the first
    # one's for all layers, or each its own.
    relative_bias: str | None = None
    relative_each: bool = False
    # What the final norm's output is multiplied by before the unembedding.
    unembedding_scale: Callable[[Any], float] | None = None
    # What this row is for a config: fields to replace. Raises UnknownArchitecture for a config
    # that the row cannot serve.
    variant: Callable[[Any], Mapping[str, Any]] | None = None
    leaves_out: str = ""  # what the logits are made of besides the parts named here

    def of(self, config: Any) -> Family:
        """The row for one configuration.

        Raises UnknownArchitecture for a variant of the architecture that is not supported.
        """
        return self if self.variant is None else replace(self, **self.variant(config))


def head_width(config: Any) -> int:
    """Dimensions of one head: ``head_dim`` where the config names it, else an even share."""
    named = getattr(config, "head_dim", None)
    return int(named or config.hidden_size // config.num_attention_heads)


def kv_heads(row: Family, config: Any) -> int:
    """Number of key-value heads."""
    if row.single_kv_head:
        return 1
    return int(getattr(config, row.kv_heads_key, None) or config.num_attention_heads)


def part(root: nn.Module, path: str, owner: str) -> Any:
    """The module or parameter at a dotted path.

    Raises UnknownArchitecture that names what could not be found.
    """
    found: Any = root
    for name in path.split("."):
        found = getattr(found, name, None)
        if found is None:
            raise UnknownArchitecture(
                f"{owner}: could not find {path!r} in {type(root).__name__}.",
                "Its files may be of a variant that this version of Microtome does not know.",
            )
    return found
