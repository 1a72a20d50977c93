"""What a row of the table of families becomes for one configuration of its architecture.

Each function gives the fields of the row to replace, or raises UnknownArchitecture and says which
setting cannot be served and why.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from microtome.errors import UnknownArchitecture


def refuse(title: str, setting: str, reason: str) -> UnknownArchitecture:
    """The error for a setting that no row can serve."""
    return UnknownArchitecture(
        f"This {title} has {setting}: {reason}.",
        f"Other variants of {title} can be opened.",
    )


def causal_only(config: Any) -> Mapping[str, Any]:
    """Gemma 3 can be made to look ahead; everything here reads a causal model."""
    if config.use_bidirectional_attention:
        raise refuse(
            "Gemma 3",
            "use_bidirectional_attention",
            "its queries see what comes later, and there is no rule for that",
        )
    return {}


def phi_variant(config: Any) -> Mapping[str, Any]:
    """Phi may norm the queries and keys of each head."""
    return {
        "q_norm": "self_attn.q_layernorm" if config.qk_layernorm else None,
        "k_norm": "self_attn.k_layernorm" if config.qk_layernorm else None,
    }


def stablelm_variant(config: Any) -> Mapping[str, Any]:
    """In parallel blocks StableLM has one norm for both branches; heads may have norms."""
    parallel, normed = config.use_parallel_residual, config.qk_layernorm
    return {
        "norm2": "input_layernorm" if parallel else "post_attention_layernorm",
        "q_norm": "self_attn.q_layernorm.norms" if normed else None,
        "k_norm": "self_attn.k_layernorm.norms" if normed else None,
    }


def opt_variant(config: Any) -> Mapping[str, Any]:
    """OPT of 350 million parameters norms behind the sum and has narrow embeddings."""
    before = config.do_layer_norm_before
    fields: dict[str, Any] = {}
    if not before or config._remove_final_layer_norm:  # noqa: SLF001
        fields["final_norm"] = None
    if not before:
        fields |= {
            "norm1": None,
            "norm2": None,
            "sum_norm1": "self_attn_layer_norm",
            "sum_norm2": "final_layer_norm",
            "flat": ("fc1", "activation_fn", "fc2"),
        }
    if config.word_embed_proj_dim != config.hidden_size:
        fields["embedding_map"] = "model.decoder.project_in"
        fields["transform"] = "model.decoder.project_out"
    return fields


def bloom_variant(config: Any) -> Mapping[str, Any]:
    """BLOOM may add its branches to what a norm gave instead of to the stream."""
    if config.apply_residual_connection_post_layernorm:
        raise refuse(
            "BLOOM",
            "apply_residual_connection_post_layernorm",
            "its branches are added to what a norm gave, so that there is no one residual stream",
        )
    return {}


def falcon_variant(config: Any) -> Mapping[str, Any]:
    """Falcon's blocks are in series, or parallel with one norm or two; key-value heads vary."""
    if config.alibi:
        raise refuse(
            "Falcon",
            "alibi",
            "transformers adds its bias twice in eager attention and once in fused attention, so "
            "that it has no one answer to agree with",
        )
    new, parallel = config.new_decoder_architecture, config.parallel_attn
    two = new and config.num_ln_in_parallel_attn != 1
    shared = {"norm1": "input_layernorm", "norm2": "input_layernorm"}
    serial = {**shared, "norm2": "post_attention_layernorm"}
    norms = (
        {"norm1": "ln_attn", "norm2": "ln_mlp"} if two else shared if new or parallel else serial
    )
    one = not new and config.multi_query
    return {**norms, "parallel": new or parallel, "single_kv_head": one}


# What MPT's own code knows and transformers leaves out of the computation.
_MPT_LEFT_OUT = (
    ("alibi", True, "transformers computes ALiBi all the same"),
    ("qk_ln", False, "transformers leaves out the norms of queries and keys"),
    ("prefix_lm", False, "its first tokens see each other, which transformers leaves out"),
    ("attn_type", "multihead_attention", "transformers knows multi-head attention only"),
)


def mpt_variant(config: Any) -> Mapping[str, Any]:
    """MPT may clip what attention reads, or ask for what transformers does not compute."""
    if config.attn_config.clip_qkv:
        raise refuse(
            "MPT",
            f"clip_qkv = {config.attn_config.clip_qkv}",
            "queries, keys and values cut off at a limit are no linear map of what is read",
        )
    for name, served, reason in _MPT_LEFT_OUT:
        value = getattr(config.attn_config, name)
        if value != served:
            raise refuse("MPT", f"{name} = {value}", reason)
    if config.logit_scale is not None:
        raise refuse("MPT", "logit_scale", "transformers leaves it out")
    return {}


def experts_everywhere(config: Any) -> Mapping[str, Any]:
    """Qwen's mixtures of experts may keep plain MLPs in some layers."""
    if config.mlp_only_layers or config.decoder_sparse_step != 1:
        raise refuse(
            "Qwen-MoE",
            "layers without experts",
            "sites and neurons would differ from layer to layer, which is not supported",
        )
    return {}


def bert_variant(config: Any) -> Mapping[str, Any]:
    """BERT fills masked tokens in, or says the class of every token."""
    _whole_encoder("BERT", config)
    return _encoder_head("BERT", "Bert", config)


def roberta_variant(config: Any) -> Mapping[str, Any]:
    """The first position's row stands behind that of padding."""
    _whole_encoder("RoBERTa", config)
    head = _encoder_head("RoBERTa", "Roberta", config)
    return {**head, "position_offset": config.pad_token_id + 1}


def distilbert_variant(config: Any) -> Mapping[str, Any]:
    """DistilBERT has the heads that BERT has."""
    _whole_encoder("DistilBERT", config)
    return _encoder_head("DistilBERT", "DistilBert", config)


def modernbert_variant(config: Any) -> Mapping[str, Any]:
    """ModernBERT may be told to give logits where a label asks for them only.

    Its classes of tokens are read behind the same transform as its words.
    """
    if config.sparse_prediction:
        raise refuse("ModernBERT", "sparse_prediction", "it gives logits only beside labels")
    head = _encoder_head("ModernBERT", "ModernBert", config)
    return {name: value for name, value in head.items() if not name.startswith("transform")}


def _encoder_head(title: str, prefix: str, config: Any) -> dict[str, Any]:
    """What the head named in the config replaces: none, or one of classes of tokens."""
    named = (config.architectures or [f"{prefix}ForMaskedLM"])[0]
    if named in (f"{prefix}ForMaskedLM", f"{prefix}ForPreTraining"):
        return {}
    if named != f"{prefix}ForTokenClassification":
        raise refuse(
            title,
            f"the head of {named}",
            "only heads that give words or classes for every token can be read",
        )
    nothing = ("transform", "transform_norm", "transform_activation", "transform_activation_key")
    return {
        **dict.fromkeys(nothing),
        "class_name": named,
        "unembedding": "classifier",
        "labelled": True,
    }


def _whole_encoder(title: str, config: Any) -> None:
    if getattr(config, "is_decoder", False):
        raise refuse(title, "is_decoder", "only its use as an encoder is supported")
    if config.chunk_size_feed_forward:
        raise refuse(
            title,
            f"chunk_size_feed_forward = {config.chunk_size_feed_forward}",
            "its MLPs see a prompt piece by piece, so that they cannot be read at once",
        )
