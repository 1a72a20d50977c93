"""Families that see: one row says which class runs a model and where its layers of units lie."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from torch import Tensor, nn

from microtome.models.family import Family, part
from microtome.models.vision.layouts import CHANNELS_FIRST, HEADS, UNITS_LAST
from microtome.models.vision.sight import Place


@dataclass(frozen=True, slots=True, kw_only=True)
class VisionRow:
    """One row of the table.

    ``classes`` are the classes of transformers that can be opened, by the name in the config's
    ``architectures``; the first is taken where none is named. ``leading`` counts the positions
    before the patches; None for a convolutional net, which has no positions.
    """

    model_type: str
    title: str
    classes: tuple[str, ...]
    places: Callable[[nn.Module, Any], Iterator[Place]]
    leading: int | None = None
    patch_key: str = "patch_size"
    # The row of the table of language families that a transformer which sees has too.
    family: Family | None = None
    # By class: how its logits are had, where it is not the output's ``logits``.
    outputs: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def call(self, class_name: str) -> Callable[[nn.Module, Tensor], Tensor]:
        """What gives [image, class] of a class of transformers."""
        return _Call(self.outputs.get(class_name, "logits"))


@dataclass(frozen=True, slots=True)
class _Call:
    """Runs a module of transformers on pixels and takes one of its outputs."""

    output: str

    def __call__(self, module: nn.Module, pixels: Tensor) -> Tensor:
        found: Tensor = getattr(module(pixel_values=pixels), self.output)
        return found.flatten(1)


def _resnet(module: nn.Module, config: Any) -> Iterator[Place]:
    del config
    yield Place("stem", "resnet.embedder.embedder", "channel", CHANNELS_FIRST)
    for stage, held in enumerate(part(module, "resnet.encoder.stages", "ResNet")):
        for block, inner in enumerate(held.layers):
            path = f"resnet.encoder.stages.{stage}.layers.{block}"
            # The last convolution of a block gives no units: what it makes is added first.
            for number in range(len(inner.layer) - 1):
                name = f"stage{stage}.block{block}.conv{number}"
                yield Place(name, f"{path}.layer.{number}", "channel", CHANNELS_FIRST)
            yield Place(f"stage{stage}.block{block}", path, "channel", CHANNELS_FIRST)
    yield Place("pool", "resnet.pooler", "channel", CHANNELS_FIRST)


def _convnext(module: nn.Module, config: Any) -> Iterator[Place]:
    del config
    yield Place("stem", "convnext.embeddings", "channel", CHANNELS_FIRST)
    for stage, held in enumerate(part(module, "convnext.encoder.stages", "ConvNeXt")):
        for block in range(len(held.layers)):
            path = f"convnext.encoder.stages.{stage}.layers.{block}"
            name = f"stage{stage}.block{block}"
            yield Place(f"{name}.neurons", f"{path}.act", "neuron", UNITS_LAST)
            yield Place(name, path, "channel", CHANNELS_FIRST)
    yield Place("pool", "convnext.layernorm", "channel", UNITS_LAST)


@dataclass(frozen=True, slots=True)
class _Blocks:
    """Layers of a transformer: what heads write, neurons, and the residual stream."""

    blocks: str
    output: str  # the matrix behind the heads, from a block
    neurons: str  # the non-linearity

    def __call__(self, module: nn.Module, config: Any) -> Iterator[Place]:
        heads = int(config.num_attention_heads)
        for layer in range(len(part(module, self.blocks, type(module).__name__))):
            path = f"{self.blocks}.{layer}"
            yield Place(f"z.{layer}", f"{path}.{self.output}", "head", HEADS, heads, before=True)
            yield Place(f"mlp_post.{layer}", f"{path}.{self.neurons}", "neuron", UNITS_LAST)
            yield Place(f"resid_post.{layer}", path, "dimension", UNITS_LAST)


RESNET = VisionRow(
    model_type="resnet",
    title="ResNet",
    classes=("ResNetForImageClassification", "ResNetModel"),
    places=_resnet,
    outputs=MappingProxyType({"ResNetModel": "pooler_output"}),
)
CONVNEXT = VisionRow(
    model_type="convnext",
    title="ConvNeXt",
    classes=("ConvNextForImageClassification", "ConvNextModel"),
    places=_convnext,
    outputs=MappingProxyType({"ConvNextModel": "pooler_output"}),
)
VIT = VisionRow(
    model_type="vit",
    title="ViT",
    classes=("ViTForImageClassification",),
    places=_Blocks("vit.layers", "attention.o_proj", "mlp.activation_fn"),
    leading=1,
)
DEIT = VisionRow(
    model_type="deit",
    title="DeiT",
    classes=("DeiTForImageClassification", "DeiTForImageClassificationWithTeacher"),
    places=_Blocks("deit.layers", "attention.o_proj", "mlp.activation_fn"),
    leading=2,
)
DINOV2 = VisionRow(
    model_type="dinov2",
    title="DINOv2",
    classes=("Dinov2ForImageClassification",),
    places=_Blocks("dinov2.encoder.layer", "attention.o_proj", "mlp.activation_fn"),
    leading=1,
)
CLIP = VisionRow(
    model_type="clip_vision_model",
    title="CLIP vision",
    classes=("CLIPVisionModelWithProjection",),
    places=_Blocks("vision_model.encoder.layers", "self_attn.out_proj", "mlp.activation_fn"),
    leading=1,
    outputs=MappingProxyType({"CLIPVisionModelWithProjection": "image_embeds"}),
)

VISION: dict[str, VisionRow] = {
    row.model_type: row for row in (RESNET, CONVNEXT, VIT, DEIT, DINOV2, CLIP)
}
