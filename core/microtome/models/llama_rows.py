"""Rows of families in the tradition of Llama: gated MLPs, rotary positions, mostly RMSNorms."""

from __future__ import annotations

from dataclasses import replace

from microtome.models.family import Family, gemma_scale
from microtome.models.variants import causal_only, experts_everywhere, stablelm_variant

LLAMA = Family(
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

MISTRAL = replace(
    LLAMA, model_type="mistral", title="Mistral", class_name="MistralForCausalLM", window="all"
)

QWEN2 = replace(
    LLAMA, model_type="qwen2", title="Qwen2", class_name="Qwen2ForCausalLM", window="layer_types"
)

QWEN3 = replace(
    QWEN2,
    model_type="qwen3",
    title="Qwen3",
    class_name="Qwen3ForCausalLM",
    q_norm="self_attn.q_norm",
    k_norm="self_attn.k_norm",
)

GEMMA = replace(
    LLAMA,
    model_type="gemma",
    title="Gemma",
    class_name="GemmaForCausalLM",
    norm_offset=1.0,
)

GEMMA2 = replace(
    LLAMA,
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

GEMMA3 = replace(
    GEMMA2,
    model_type="gemma3_text",
    title="Gemma 3",
    class_name="Gemma3ForCausalLM",
    rotary_by_layer_type=True,
    q_norm="self_attn.q_norm",
    k_norm="self_attn.k_norm",
    variant=causal_only,
)

SMOLLM3 = replace(
    LLAMA,
    model_type="smollm3",
    title="SmolLM3",
    class_name="SmolLM3ForCausalLM",
    rotary_key="no_rope_layers",
    window="layer_types",
)

PHI3 = replace(
    LLAMA,
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

MIXTRAL = replace(
    MISTRAL,
    model_type="mixtral",
    title="Mixtral",
    class_name="MixtralForCausalLM",
    experts="mlp.experts",
    router="mlp.gate",
    w_in=None,
    w_gate=None,
    w_out="",
)

QWEN2_MOE = replace(
    QWEN2,
    model_type="qwen2_moe",
    title="Qwen2-MoE",
    class_name="Qwen2MoeForCausalLM",
    experts="mlp.experts",
    router="mlp.gate",
    renormalise_key="norm_topk_prob",
    w_in="mlp.shared_expert.up_proj",
    w_gate="mlp.shared_expert.gate_proj",
    w_out="mlp.shared_expert.down_proj",
    shared_gate="mlp.shared_expert_gate",
    variant=experts_everywhere,
)

QWEN3_MOE = replace(
    MIXTRAL,
    model_type="qwen3_moe",
    title="Qwen3-MoE",
    class_name="Qwen3MoeForCausalLM",
    q_norm="self_attn.q_norm",
    k_norm="self_attn.k_norm",
    renormalise_key="norm_topk_prob",
    variant=experts_everywhere,
)

STABLELM = replace(
    LLAMA,
    model_type="stablelm",
    title="StableLM",
    class_name="StableLmForCausalLM",
    rms=False,
    parallel_key="use_parallel_residual",
    variant=stablelm_variant,
)

OLMO2 = replace(
    LLAMA,
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
