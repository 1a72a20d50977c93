"""Model families: one row says where every part of an architecture lives.

Adding a family means adding a row; nothing else in Microtome asks which family a model is.
"""

from __future__ import annotations

from dataclasses import replace

from microtome.errors import UnknownArchitecture
from microtome.models.family import Family, gemma_scale, gpt2_scale
from microtome.models.variants import causal_only, opt_variant, phi_variant, stablelm_variant

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
    scale=gpt2_scale,
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
    scale=gemma_scale,
    soft_caps=True,
    window="layer_types",
    activation_keys=("hidden_activation", "hidden_act"),
)

_GEMMA = replace(
    _LLAMA,
    model_type="gemma",
    title="Gemma",
    class_name="GemmaForCausalLM",
    norm_offset=1.0,
)

_GEMMA3 = replace(
    _GEMMA2,
    model_type="gemma3_text",
    title="Gemma 3",
    class_name="Gemma3ForCausalLM",
    rotary_by_layer_type=True,
    q_norm="self_attn.q_norm",
    k_norm="self_attn.k_norm",
    variant=causal_only,
)

_SMOLLM3 = replace(
    _LLAMA,
    model_type="smollm3",
    title="SmolLM3",
    class_name="SmolLM3ForCausalLM",
    rotary_key="no_rope_layers",
    window="layer_types",
)

_PHI = Family(
    model_type="phi",
    title="Phi",
    class_name="PhiForCausalLM",
    blocks="model.layers",
    embedding="model.embed_tokens",
    final_norm="model.final_layernorm",
    rotary="model.rotary_emb",
    norm1="input_layernorm",
    norm2="input_layernorm",
    attention="self_attn",
    q="self_attn.q_proj",
    k="self_attn.k_proj",
    v="self_attn.v_proj",
    o="self_attn.dense",
    mlp="mlp",
    w_in="mlp.fc1",
    w_out="mlp.fc2",
    act="mlp.activation_fn",
    parallel=True,
    variant=phi_variant,
)

_PHI3 = replace(
    _LLAMA,
    model_type="phi3",
    title="Phi-3",
    class_name="Phi3ForCausalLM",
    window="all",
    q=None,
    k=None,
    v=None,
    qkv="self_attn.qkv_proj",
    w_in=None,
    w_gate=None,
    gate_up="mlp.gate_up_proj",
    act="mlp.activation_fn",
)

_OLMO2 = replace(
    _LLAMA,
    model_type="olmo2",
    title="OLMo 2",
    class_name="Olmo2ForCausalLM",
    norm1=None,
    norm2=None,
    attention_norm="post_attention_layernorm",
    mlp_norm="post_feedforward_layernorm",
    q_norm="self_attn.q_norm",
    k_norm="self_attn.k_norm",
    joint_norms=True,
)

_STABLELM = replace(
    _LLAMA,
    model_type="stablelm",
    title="StableLM",
    class_name="StableLmForCausalLM",
    rms=False,
    parallel_key="use_parallel_residual",
    variant=stablelm_variant,
)

_OPT = Family(
    model_type="opt",
    title="OPT",
    class_name="OPTForCausalLM",
    blocks="model.decoder.layers",
    embedding="model.decoder.embed_tokens",
    positions="model.decoder.embed_positions",
    position_offset=2,
    final_norm="model.decoder.final_layer_norm",
    norm1="self_attn_layer_norm",
    norm2="final_layer_norm",
    attention="self_attn",
    q="self_attn.q_proj",
    k="self_attn.k_proj",
    v="self_attn.v_proj",
    o="self_attn.out_proj",
    queries_scaled=True,
    mlp="fc1",
    w_in="fc1",
    w_out="fc2",
    act="activation_fn",
    activation_keys=("activation_function",),
    flat=("final_layer_norm", "fc1", "activation_fn", "fc2"),
    variant=opt_variant,
)

_TABLE = (
    _GPT2,
    _NEOX,
    _LLAMA,
    _MISTRAL,
    _QWEN2,
    _QWEN3,
    _GEMMA,
    _GEMMA2,
    _GEMMA3,
    _SMOLLM3,
    _PHI,
    _PHI3,
    _STABLELM,
    _OLMO2,
    _OPT,
)
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
