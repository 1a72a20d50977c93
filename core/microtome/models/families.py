"""Model families: one row says where every part of an architecture lives.

Adding a family means adding a row; nothing else in Microtome asks which family a model is.
Paths under ``Family`` start at the transformers model, those from ``norm1`` on at one block.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from microtome.errors import UnknownArchitecture


def _by_head_width(config: Any, layer: int) -> float:
    """The usual 1/sqrt(d_head)."""
    del layer
    return float(head_width(config) ** -0.5)


def _gpt2_scale(config: Any, layer: int) -> float:
    scale = _by_head_width(config, layer) if config.scale_attn_weights else 1.0
    return scale / (layer + 1) if config.scale_attn_by_inverse_layer_idx else scale


def _gemma_scale(config: Any, layer: int) -> float:
    del layer
    return float(config.query_pre_attn_scalar**-0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One row of the table."""

    model_type: str  # as config.json names it
    title: str
    class_name: str  # of the causal language model in transformers

    blocks: str
    embedding: str
    final_norm: str | None
    unembedding: str = "lm_head"
    positions: str | None = None  # learned position embeddings
    position_offset: int = 0  # row of the first position in their table
    rotary: str | None = None  # module that gives cosines and sines
    rotary_by_layer_type: bool = False  # that module wants the layer's type too

    norm1: str | None
    norm2: str | None
    attention_norm: str | None = None  # of a branch's output, before it is added
    mlp_norm: str | None = None
    rms: bool = False
    norm_offset: float = 0.0  # what is added to a stored norm weight

    attention: str  # module that calls the attention function
    q: str | None = None
    k: str | None = None
    v: str | None = None
    qkv: str | None = None  # one matrix in place of the three above
    packing: Literal["blocks", "heads"] = "blocks"  # of its rows: q|k|v, or q|k|v per head
    o: str
    q_norm: str | None = None
    k_norm: str | None = None
    scale: Callable[[Any, int], float] = _by_head_width
    soft_caps: bool = False  # whether the config's caps of scores and logits are applied
    window: Literal["none", "all", "layer_types"] = "none"

    mlp: str  # module that reads the residual stream
    w_in: str | None = None
    w_out: str
    w_gate: str | None = None
    gate_up: str | None = None  # one matrix in place of w_gate and w_in
    act: str
    activation_keys: tuple[str, ...] = ("hidden_act",)
    input_major: bool = False  # weights are stored [in, out]
    parallel_key: str | None = None  # config key that says whether blocks are parallel
    parallel: bool = False


def head_width(config: Any) -> int:
    """Dimensions of one head: ``head_dim`` where the config names it, else an even share."""
    named = getattr(config, "head_dim", None)
    return int(named or config.hidden_size // config.num_attention_heads)


_GPT2 = Family(
    model_type="gpt2",
    title="GPT-2",
    class_name="GPT2LMHeadModel",
    blocks="transformer.h",
    embedding="transformer.wte",
    positions="transformer.wpe",
    final_norm="transformer.ln_f",
    norm1="ln_1",
    norm2="ln_2",
    attention="attn",
    qkv="attn.c_attn",
    o="attn.c_proj",
    scale=_gpt2_scale,
    mlp="mlp",
    w_in="mlp.c_fc",
    w_out="mlp.c_proj",
    act="mlp.act",
    activation_keys=("activation_function",),
    input_major=True,
)

_NEOX = Family(
    model_type="gpt_neox",
    title="GPT-NeoX",
    class_name="GPTNeoXForCausalLM",
    blocks="gpt_neox.layers",
    embedding="gpt_neox.embed_in",
    final_norm="gpt_neox.final_layer_norm",
    rotary="gpt_neox.rotary_emb",
    norm1="input_layernorm",
    norm2="post_attention_layernorm",
    attention="attention",
    qkv="attention.query_key_value",
    packing="heads",
    o="attention.dense",
    mlp="mlp",
    w_in="mlp.dense_h_to_4h",
    w_out="mlp.dense_4h_to_h",
    act="mlp.act",
    parallel_key="use_parallel_residual",
)

_LLAMA = Family(
    model_type="llama",
    title="Llama",
    class_name="LlamaForCausalLM",
    blocks="model.layers",
    embedding="model.embed_tokens",
    final_norm="model.norm",
    rotary="model.rotary_emb",
    rms=True,
    norm1="input_layernorm",
    norm2="post_attention_layernorm",
    attention="self_attn",
    q="self_attn.q_proj",
    k="self_attn.k_proj",
    v="self_attn.v_proj",
    o="self_attn.o_proj",
    mlp="mlp",
    w_in="mlp.up_proj",
    w_out="mlp.down_proj",
    w_gate="mlp.gate_proj",
    act="mlp.act_fn",
)

_MISTRAL = replace(
    _LLAMA, model_type="mistral", title="Mistral", class_name="MistralForCausalLM", window="all"
)

_QWEN2 = replace(
    _LLAMA, model_type="qwen2", title="Qwen2", class_name="Qwen2ForCausalLM", window="layer_types"
)

_QWEN3 = replace(
    _QWEN2,
    model_type="qwen3",
    title="Qwen3",
    class_name="Qwen3ForCausalLM",
    q_norm="self_attn.q_norm",
    k_norm="self_attn.k_norm",
)

_GEMMA2 = replace(
    _LLAMA,
    model_type="gemma2",
    title="Gemma 2",
    class_name="Gemma2ForCausalLM",
    norm2="pre_feedforward_layernorm",
    attention_norm="post_attention_layernorm",
    mlp_norm="post_feedforward_layernorm",
    norm_offset=1.0,
    scale=_gemma_scale,
    soft_caps=True,
    window="layer_types",
    activation_keys=("hidden_activation", "hidden_act"),
)

_TABLE = (_GPT2, _NEOX, _LLAMA, _MISTRAL, _QWEN2, _QWEN3, _GEMMA2)
FAMILIES: dict[str, Family] = {row.model_type: row for row in _TABLE}


def family_of(model_type: str, name: str = "The model") -> Family:
    """The row of a ``model_type``.

    Raises UnknownArchitecture that lists the known families.
    """
    try:
        return FAMILIES[model_type]
    except KeyError:
        known = ", ".join(f"{row.title} ({row.model_type})" for row in _TABLE)
        raise UnknownArchitecture(
            f"{name} has the architecture {model_type!r}, whose blocks, norms, attention and MLP "
            "matrices Microtome does not know where to find.",
            f"Known architectures: {known}.",
        ) from None
