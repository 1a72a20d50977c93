"""Rows of the table of families: T5 and its kin, an encoder and a decoder that looks at it.

The decoder's blocks are the row's own; those of the encoder, and the cross-attention between a
decoder's self-attention and its MLP, are rows inside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from torch import nn

from microtome.models.family import Family, part
from microtome.models.outline import Outline


def _unscaled(config: Any, layer: int) -> float:
    """T5 does not scale its scores."""
    del config, layer
    return 1.0


def _tied_scale(config: Any) -> float:
    """T5 with one embedding for input and output makes what the unembedding reads smaller."""
    tied = getattr(config, "scale_decoder_outputs", config.tie_word_embeddings)
    return float(config.d_model**-0.5) if tied else 1.0


def _mlp(path: str, config: Any) -> Mapping[str, Any]:
    """T5's first version has one matrix into the MLP, later ones a gate beside it."""
    plain = {"w_in": f"{path}.wi", "w_gate": None}
    gated = {"w_in": f"{path}.wi_1", "w_gate": f"{path}.wi_0"}
    return gated if config.is_gated_act else plain


def _attending(path: str) -> Mapping[str, Any]:
    """Where an attention module of T5 keeps its matrices."""
    return {"attention": path, **{name: f"{path}.{name}" for name in "qkvo"}}


def _feeding(path: str) -> Mapping[str, Any]:
    """Where an MLP of T5 keeps its parts."""
    mlp = f"{path}.DenseReluDense"
    return {
        "norm2": f"{path}.layer_norm",
        "mlp": mlp,
        "act": f"{mlp}.act",
        "w_out": f"{mlp}.wo",
        "variant": partial(_mlp, mlp),
    }


_SELF = "layer.0.SelfAttention"
_ENCODER = Family(
    model_type="t5",
    title="T5",
    class_name="T5ForConditionalGeneration",
    context_key="",  # distances count, so that no length is too long
    blocks="encoder.block",
    embedding="encoder.embed_tokens",
    final_norm="encoder.final_layer_norm",
    norm1="layer.0.layer_norm",
    rms=True,
    scale=_unscaled,
    activation_keys=("dense_act_fn",),
    relative_bias=_SELF,
    **_attending(_SELF),
    **_feeding("layer.1"),
)
_DECODER = replace(
    _ENCODER,
    blocks="decoder.block",
    embedding="decoder.embed_tokens",
    final_norm="decoder.final_layer_norm",
    **_feeding("layer.2"),
)
T5 = replace(
    _DECODER,
    encoder=_ENCODER,
    cross=replace(_DECODER, norm1="layer.1.layer_norm", **_attending("layer.1.EncDecAttention")),
    unembedding_scale=_tied_scale,
)
MT5 = replace(
    T5,
    model_type="mt5",
    title="mT5",
    class_name="MT5ForConditionalGeneration",
    unembedding_scale=None,
)
UMT5 = replace(
    T5,
    model_type="umt5",
    title="UMT5",
    class_name="UMT5ForConditionalGeneration",
    relative_each=True,
)


def n_encoder_layers(module: nn.Module, row: Family | Outline) -> int:
    """Layers of an encoder beside the decoder, 0 without one."""
    inner = row.encoder if isinstance(row, Family) else None
    return 0 if inner is None else len(part(module, inner.blocks, inner.title))
