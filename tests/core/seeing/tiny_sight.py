"""Tiny nets that see with random weights, one of every family, as a user would have them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import transformers

_BLOCKS = {
    "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24,
    "image_size": 16, "patch_size": 4,
}  # fmt: skip
_LABELS = {"id2label": {0: "cat", 1: "dog", 2: "tree"}}
_DINOV2 = {key: _BLOCKS[key] for key in _BLOCKS if key != "intermediate_size"}

_TEXT = {
    "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 24,
    "vocab_size": 32, "max_position_embeddings": 8,
}  # fmt: skip

# Name -> class and settings. A name may be a variant of a family.
CONFIGS: dict[str, tuple[str, dict[str, Any]]] = {
    "resnet": (
        "ResNetForImageClassification",
        {**_LABELS, "embedding_size": 4, "hidden_sizes": [4, 8], "depths": [1, 1],
         "layer_type": "basic"},
    ),
    "convnext": (
        "ConvNextForImageClassification",
        {**_LABELS, "hidden_sizes": [4, 8], "depths": [1, 1], "num_stages": 2, "patch_size": 4},
    ),
    "vit": ("ViTForImageClassification", {**_BLOCKS, **_LABELS}),
    "deit": ("DeiTForImageClassification", {**_BLOCKS, **_LABELS}),
    "deit_teacher": ("DeiTForImageClassificationWithTeacher", {**_BLOCKS, **_LABELS}),
    "dinov2": ("Dinov2ForImageClassification", {**_DINOV2, **_LABELS, "mlp_ratio": 2}),
    "dinov2_gated": (
        "Dinov2ForImageClassification", {**_DINOV2, **_LABELS, "use_swiglu_ffn": True}
    ),
    # Of larger images, so that its positions are interpolated to those that it is shown.
    "dinov2_larger": (
        "Dinov2ForImageClassification",
        {**_DINOV2, **_LABELS, "mlp_ratio": 2, "image_size": 24},
    ),
    "dinov2_headless": ("Dinov2Model", {**_DINOV2, "mlp_ratio": 2}),
    "clip": ("CLIPVisionModelWithProjection", {**_BLOCKS, "projection_dim": 8}),
    "clip_classes": (
        "CLIPForImageClassification", {**_LABELS, "vision_config": _BLOCKS, "text_config": _TEXT}
    ),
}  # fmt: skip
TRANSFORMERS = tuple(name for name in CONFIGS if name not in ("resnet", "convnext"))
# The logits of the others are not made of one stack of blocks alone.
WHOLE = ("vit", "deit", "dinov2_headless", "clip")


def build(name: str, seed: int = 0) -> transformers.PreTrainedModel:
    """A random net; norms, biases and running means are random too."""
    class_name, settings = CONFIGS[name]
    made_by = getattr(transformers, class_name)
    net = made_by._from_config(made_by.config_class(**settings), attn_implementation="eager").eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for path, weight in net.named_parameters():
            noise = torch.randn(weight.shape, generator=generator)
            plain = weight.dim() == 1 and path.endswith(("weight", "lambda1"))
            weight.copy_((1.0 if plain else 0.0) + (0.25 if weight.dim() > 1 else 0.3) * noise)
        for path, held in net.named_buffers():
            if path.endswith(("running_mean", "running_var")):
                held.copy_(torch.rand(held.shape, generator=generator) + 0.5)
    return net


def save(name: str, folder: Path, seed: int = 0) -> Path:
    """The folder of a random net, as safetensors; all are shown images of 16 by 16 pixels."""
    build(name, seed).save_pretrained(folder)
    size = {"height": 16, "width": 16}
    told = {"image_processor_type": "ViTImageProcessor", "do_resize": True, "size": size}
    (folder / "preprocessor_config.json").write_text(json.dumps(told))
    return folder


def save_whole_clip(folder: Path) -> torch.nn.Module:
    """The folder of a random CLIP model with both its parts, and the model."""
    config = transformers.CLIPConfig(vision_config=_BLOCKS, text_config=_TEXT, projection_dim=8)
    config.vision_config.projection_dim = 8
    with torch.random.fork_rng():
        torch.manual_seed(0)
        whole = transformers.CLIPModel(config).eval()
    whole.save_pretrained(folder)
    return whole
