"""Transformers that see, as rows of the table of families: encoders whose answers are classes.

Paths start at ``reader.PatchReader``, which holds the module of transformers as ``net``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from microtome.models.family import Family


def dinov2_variant(config: Any) -> Mapping[str, Any]:
    """The largest DINOv2 has gated MLPs."""
    if not config.use_swiglu_ffn:
        return {}
    return {
        "w_gate": "mlp.gate_proj",
        "w_in": "mlp.up_proj",
        "w_out": "mlp.down_proj",
        "act": "mlp.act_fn",
        "activation": "silu",
    }


VIT = Family(
    model_type="vit",
    title="ViT",
    class_name="ViTForImageClassification",
    blocks="net.vit.layers",
    embedding="tokens",
    positions="positions",
    final_norm="net.vit.layernorm",
    unembedding="net.classifier",
    labelled=True,
    norm1="layernorm_before",
    norm2="layernorm_after",
    causal=False,
    attention="attention",
    q="attention.q_proj",
    k="attention.k_proj",
    v="attention.v_proj",
    o="attention.o_proj",
    mlp="mlp",
    w_in="mlp.fc1",
    w_out="mlp.fc2",
    act="mlp.activation_fn",
)
DEIT = replace(
    VIT,
    model_type="deit",
    title="DeiT",
    class_name="DeiTForImageClassification",
    blocks="net.deit.layers",
    final_norm="net.deit.layernorm",
)
DINOV2 = replace(
    VIT,
    model_type="dinov2",
    title="DINOv2",
    class_name="Dinov2ForImageClassification",
    blocks="net.dinov2.encoder.layer",
    final_norm="net.dinov2.layernorm",
    norm1="norm1",
    norm2="norm2",
    attention_factor="layer_scale1",
    mlp_factor="layer_scale2",
    variant=dinov2_variant,
)
CLIP = replace(
    VIT,
    model_type="clip_vision_model",
    title="CLIP vision",
    class_name="CLIPVisionModelWithProjection",
    blocks="net.vision_model.encoder.layers",
    stream_norm="net.vision_model.pre_layrnorm",
    final_norm="net.vision_model.post_layernorm",
    unembedding="net.visual_projection",
    norm1="layer_norm1",
    norm2="layer_norm2",
    attention="self_attn",
    q="self_attn.q_proj",
    k="self_attn.k_proj",
    v="self_attn.v_proj",
    o="self_attn.out_proj",
)
