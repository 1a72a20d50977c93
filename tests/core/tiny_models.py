"""Tiny models with random weights, one of every family, saved as a user would have them.

All weights and biases are random, norms included, so that a forgotten one changes the logits.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers

VOCABULARY = 61
CONTEXT = 48

_SHARED = {
    "vocab_size": VOCABULARY,
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 40,
    "max_position_embeddings": CONTEXT,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": None,
    "tie_word_embeddings": False,
}
# Grouped heads, and heads wider than an even share of the model.
_GROUPED = {**_SHARED, "num_key_value_heads": 2, "head_dim": 8}
_WITHOUT_HEAD_DIM = {**_SHARED, "num_key_value_heads": 2}
_NARROW = {key: value for key, value in _SHARED.items() if key != "intermediate_size"}
_NEOX = {
    **_SHARED,
    "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.5},
}

_GPT_TOKENS = {"vocab_size": VOCABULARY, "bos_token_id": 0, "eos_token_id": 1}
_GPT = {**_GPT_TOKENS, "n_embd": 24, "n_layer": 3, "n_head": 4}
_FALCON = {
    **_NARROW,
    "ffn_hidden_size": 40,
    "tie_word_embeddings": True,
}

_OPT = {**_NARROW, "ffn_dim": 40, "word_embed_proj_dim": 24, "dropout": 0.1}

_EXPERTS = {"num_experts": 5, "num_experts_per_tok": 2, "moe_intermediate_size": 12}

# Name -> config class and settings. A name may be a variant of a family.
CONFIGS: dict[str, tuple[str, dict[str, Any]]] = {
    "gpt2": (
        "GPT2Config",
        {
            **_GPT,
            "n_positions": CONTEXT,
            "resid_pdrop": 0.1,
            "embd_pdrop": 0.1,
            "attn_pdrop": 0.1,
        },
    ),
    "gpt_neox": ("GPTNeoXConfig", {**_NEOX, "use_parallel_residual": True}),
    "gpt_neox_serial": (
        "GPTNeoXConfig",
        {**_NEOX, "use_parallel_residual": False, "hidden_act": "gelu"},
    ),
    "llama": ("LlamaConfig", {**_GROUPED, "attention_bias": True, "mlp_bias": True}),
    "mistral": ("MistralConfig", {**_GROUPED, "sliding_window": 5}),
    "qwen2": (
        "Qwen2Config",
        {
            **_WITHOUT_HEAD_DIM,
            "use_sliding_window": True,
            "sliding_window": 5,
            "max_window_layers": 1,
        },
    ),
    "qwen3": ("Qwen3Config", _GROUPED),
    "gemma2": (
        "Gemma2Config",
        {
            **_GROUPED,
            "attn_logit_softcapping": 5.0,
            "final_logit_softcapping": 4.0,
            "query_pre_attn_scalar": 11,
            "sliding_window": 5,
            "tie_word_embeddings": True,
        },
    ),
    "gemma": ("GemmaConfig", {**_GROUPED, "attention_bias": True, "tie_word_embeddings": True}),
    "gemma3": (
        "Gemma3TextConfig",
        {
            **_GROUPED,
            "final_logit_softcapping": 4.0,
            "query_pre_attn_scalar": 11,
            "sliding_window": 5,
            "sliding_window_pattern": 2,
            "tie_word_embeddings": True,
        },
    ),
    "smollm3": (
        "SmolLM3Config",
        {
            **_WITHOUT_HEAD_DIM,
            "no_rope_layers": [1, 0, 1],
            "use_sliding_window": True,
            "sliding_window": 5,
        },
    ),
    "phi": ("PhiConfig", {**_WITHOUT_HEAD_DIM, "qk_layernorm": True, "partial_rotary_factor": 0.7}),
    "phi3": (
        "Phi3Config",
        {**_WITHOUT_HEAD_DIM, "sliding_window": 5, "partial_rotary_factor": 0.7},
    ),
    "stablelm": (
        "StableLmConfig",
        {
            **_WITHOUT_HEAD_DIM,
            "use_qkv_bias": True,
            "qk_layernorm": True,
            "partial_rotary_factor": 0.7,
        },
    ),
    "stablelm_parallel": (
        "StableLmConfig",
        {**_WITHOUT_HEAD_DIM, "use_parallel_residual": True, "partial_rotary_factor": 0.7},
    ),
    "olmo2": ("Olmo2Config", {**_WITHOUT_HEAD_DIM, "attention_bias": True}),
    "opt": ("OPTConfig", _OPT),
    "opt_post_norm": (
        "OPTConfig",
        {**_OPT, "do_layer_norm_before": False, "word_embed_proj_dim": 18},
    ),
    "gptj": (
        "GPTJConfig",
        {**_GPT, "n_positions": CONTEXT, "n_inner": 40, "rotary_dim": 4, "resid_pdrop": 0.1},
    ),
    "falcon": ("FalconConfig", {**_FALCON, "new_decoder_architecture": True, "num_kv_heads": 2}),
    "falcon_one_norm": (
        "FalconConfig",
        {
            **_FALCON,
            "new_decoder_architecture": True,
            "num_ln_in_parallel_attn": 1,
            "num_kv_heads": 4,
            "bias": True,
        },
    ),
    "falcon_multi_query": ("FalconConfig", {**_FALCON, "multi_query": True}),
    "falcon_serial": (
        "FalconConfig",
        {**_FALCON, "multi_query": False, "parallel_attn": False, "bias": True},
    ),
    "bloom": ("BloomConfig", {**_GPT_TOKENS, "hidden_size": 24, "n_layer": 3, "n_head": 4}),
    "mpt": (
        "MptConfig",
        {**_GPT_TOKENS, "d_model": 24, "n_layers": 3, "n_heads": 4, "max_seq_len": CONTEXT},
    ),
    "mixtral": (
        "MixtralConfig",
        {**_GROUPED, "sliding_window": 5, "num_local_experts": 5, "num_experts_per_tok": 2},
    ),
    "qwen2_moe": (
        "Qwen2MoeConfig",
        {**_WITHOUT_HEAD_DIM, **_EXPERTS, "shared_expert_intermediate_size": 14},
    ),
    "qwen3_moe": ("Qwen3MoeConfig", {**_GROUPED, **_EXPERTS, "norm_topk_prob": True}),
    "bert": ("BertConfig", _SHARED),
    # The first row of positions is that behind the one of padding.
    "roberta": (
        "RobertaConfig",
        {
            **_SHARED,
            "max_position_embeddings": CONTEXT + 2,
            "pad_token_id": 1,
            "hidden_act": "relu",
        },
    ),
    "distilbert": (
        "DistilBertConfig",
        {
            "vocab_size": VOCABULARY,
            "dim": 24,
            "n_layers": 3,
            "n_heads": 4,
            "hidden_dim": 40,
            "max_position_embeddings": CONTEXT,
            "tie_word_embeddings": False,
        },
    ),
    "modernbert": (
        "ModernBertConfig",
        {
            **_SHARED,
            "cls_token_id": 0,
            "sep_token_id": 1,
            "local_attention": 6,
            "global_attn_every_n_layers": 2,
            "attention_bias": True,
            "mlp_bias": True,
            "norm_bias": True,
            "classifier_bias": True,
        },
    ),
}
FAMILIES = tuple(CONFIGS)
# Whose attention goes both ways.
MASKED = ("bert", "roberta", "distilbert", "modernbert")
# Decoders of no row: what can be seen of them is found out by running them.
OTHERS: dict[str, tuple[str, dict[str, Any]]] = {
    "cohere": ("CohereConfig", {**_WITHOUT_HEAD_DIM, "logit_scale": 0.3}),
    "starcoder2": ("Starcoder2Config", {**_WITHOUT_HEAD_DIM, "sliding_window": 5}),
    "codegen": (
        "CodeGenConfig",
        {**_GPT, "n_positions": CONTEXT, "n_ctx": CONTEXT, "n_inner": 40, "rotary_dim": 4},
    ),
    "granite": (
        "GraniteConfig",
        {**_WITHOUT_HEAD_DIM, "residual_multiplier": 0.5, "logits_scaling": 2.0},
    ),
    "glm4": ("Glm4Config", {**_WITHOUT_HEAD_DIM, "head_dim": 6}),
    "nanochat": ("NanoChatConfig", {**_WITHOUT_HEAD_DIM, "final_logit_softcapping": 3.0}),
    "deepseek_v3": (
        "DeepseekV3Config",
        {
            **_SHARED,
            "num_key_value_heads": 4,
            "kv_lora_rank": 8, "q_lora_rank": 8, "qk_rope_head_dim": 4, "qk_nope_head_dim": 4,
            "v_head_dim": 6, "n_routed_experts": 4, "n_group": 1, "topk_group": 1,
            "num_experts_per_tok": 2, "moe_intermediate_size": 12, "first_k_dense_replace": 1,
        },
    ),
    "gpt_oss": (
        "GptOssConfig",
        {
            **_WITHOUT_HEAD_DIM,
            "head_dim": 6, "num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": 5,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e4},
        },
    ),
    "lfm2": (
        "Lfm2Config",
        {**_WITHOUT_HEAD_DIM, "layer_types": ["conv", "full_attention", "conv"]},
    ),
    "mamba": (
        "MambaConfig",
        {**_GPT_TOKENS, "hidden_size": 24, "num_hidden_layers": 3, "state_size": 4},
    ),
    "mamba2": (
        "Mamba2Config",
        {
            **_GPT_TOKENS,
            "hidden_size": 24, "num_hidden_layers": 3, "state_size": 4, "num_heads": 6,
            "head_dim": 8, "n_groups": 2,
        },
    ),
}  # fmt: skip
# An encoder, and a decoder that looks at it; other counts of layers, so that no one is mistaken.
_T5 = {
    "vocab_size": VOCABULARY, "d_model": 24, "d_kv": 8, "d_ff": 40, "num_heads": 4,
    "num_layers": 2, "num_decoder_layers": 3, "relative_attention_num_buckets": 8,
    "relative_attention_max_distance": 12, "pad_token_id": 0, "decoder_start_token_id": 0,
}  # fmt: skip
ENCODER_DECODERS: dict[str, tuple[str, dict[str, Any]]] = {
    "t5": ("T5Config", _T5),
    "t5_gated": (
        "T5Config",
        {**_T5, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False},
    ),
    "mt5": ("MT5Config", _T5),
    "umt5": ("UMT5Config", _T5),
}
# Whose circuits explain single prompts only.
ROUTED = ("mixtral", "qwen2_moe", "qwen3_moe")
# RoBERTa and DistilBERT are BERT with other names of parts, so that pairs are tried on that.
PAIRED = tuple(name for name in FAMILIES if name not in (*ROUTED, "roberta", "distilbert"))


def build(name: str, seed: int = 0, **changes: Any) -> transformers.PreTrainedModel:
    """A random transformers model of a family, in float32 and evaluation mode."""
    class_name, settings = {**CONFIGS, **OTHERS, **ENCODER_DECODERS}[name]
    config = getattr(transformers, class_name)(**{**settings, **changes})
    torch.manual_seed(seed)
    # Some families cannot change it later, and experts are else only for float32 and less.
    eager = {"attn_implementation": "eager"}
    if name in ROUTED:
        eager["experts_implementation"] = "eager"
    kind = {"MaskedLM": MASKED, "Seq2SeqLM": ENCODER_DECODERS}
    kind = next((each for each, names in kind.items() if name in names), "CausalLM")
    auto = getattr(transformers, f"AutoModelFor{kind}")
    return _filled(auto.from_config(config, **eager).eval(), seed)


def _filled(model: transformers.PreTrainedModel, seed: int) -> transformers.PreTrainedModel:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for path, weight in model.named_parameters():
            noise = torch.randn(weight.shape, generator=generator)
            centre = 1.0 if weight.dim() == 1 and path.endswith("weight") else 0.0
            weight.copy_(centre + (0.25 if weight.dim() > 1 else 0.3) * noise)
    return model


def save(name: str, folder: Path, seed: int = 0, **changes: Any) -> Path:
    """The folder of a random model of a family, as safetensors, without a tokenizer."""
    build(name, seed, **changes).save_pretrained(folder)
    return folder


def save_classifier(name: str, folder: Path, labels: dict[int, str], of: str = "Token") -> Path:
    """The folder of a random model that says the class of every token, or of a whole text."""
    class_name, settings = CONFIGS[name]
    config = getattr(transformers, class_name)(**settings, id2label=labels)
    model = getattr(transformers, f"AutoModelFor{of}Classification").from_config(config)
    _filled(model.eval(), 0).save_pretrained(folder)
    return folder


def save_tokenizer(folder: Path, words: tuple[str, ...] = (), size: int = VOCABULARY) -> None:
    """A word-level tokenizer: ``<unk>``, the given words, then w3, w4 …"""
    from tokenizers import Tokenizer, models, pre_tokenizers

    names = ["<unk>", *words]
    names += [f"w{at}" for at in range(len(names), size)]
    vocabulary = {name: at for at, name in enumerate(names)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>")
    fast.save_pretrained(folder)


def save_masked_tokenizer(folder: Path, mask: str = "[MASK]", size: int = VOCABULARY) -> None:
    """A tokenizer of word pieces as BERT has it: ``[CLS] … [SEP]`` around, a few words, w15 …"""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", mask]
    names += ["the", "cat", "dog", "sat", "on", "mat", "##s", "a", ".", "ran"]
    names += [f"w{at}" for at in range(len(names), size)]
    vocabulary = {name: at for at, name in enumerate(names)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    ends = [(name, vocabulary[name]) for name in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=ends
    )
    special = {"unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": mask, "pad": "[PAD]"}
    named = {f"{key}_token": token for key, token in special.items()}
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **named)
    fast.save_pretrained(folder)
