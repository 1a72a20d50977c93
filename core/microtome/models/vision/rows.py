"""Families that see: one row says which class runs a model and where its layers of units lie."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from torch import Tensor, nn

from microtome.models.family import Family, part
from microtome.models.vision import families
from microtome.models.vision.endings import (
    HEADLESS_DINOV2,
    MEAN_OF_PATCHES,
    MEAN_OF_TWO_HEADS,
    TOKEN_BESIDE_MEAN,
    Ending,
)
from microtome.models.vision.layouts import CHANNELS_FIRST, HEADS, UNITS_LAST
from microtome.models.vision.reader import Embeddings
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
    # Classes whose configuration is that of a larger model, with a part on vision.
    whole_configs: tuple[str, ...] = ()
    # Of a transformer: where its parts are, as those of a family that reads text; where its
    # embeddings are; and by class what ends otherwise.
    family: Family | None = None
    embeddings: Embeddings | None = None
    endings: Mapping[str, Ending] = field(default_factory=lambda: MappingProxyType({}))
    # By class: how its logits are had, where it is not the output's ``logits``.
    outputs: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def ending(self, class_name: str) -> Ending:
        """How a class of transformers ends."""
        return self.endings.get(class_name, Ending())

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
    yield Place("stem", "resnet.embedder.embedder", "channel", CHANNELS_FIRST, carries_all=True)
    for stage, held in enumerate(part(module, "resnet.encoder.stages", "ResNet")):
        for block, inner in enumerate(held.layers):
            path = f"resnet.encoder.stages.{stage}.layers.{block}"
            # The last convolution of a block gives no units: what it makes is added first.
            for number in range(len(inner.layer) - 1):
                name = f"stage{stage}.block{block}.conv{number}"
                yield Place(name, f"{path}.layer.{number}", "channel", CHANNELS_FIRST)
            yield Place(
                f"stage{stage}.block{block}", path, "channel", CHANNELS_FIRST, carries_all=True
            )
    yield Place("pool", "resnet.pooler", "channel", CHANNELS_FIRST, carries_all=True)


def _convnext(module: nn.Module, config: Any) -> Iterator[Place]:
    del config
    yield Place("stem", "convnext.embeddings", "channel", CHANNELS_FIRST, carries_all=True)
    for stage, held in enumerate(part(module, "convnext.encoder.stages", "ConvNeXt")):
        for block in range(len(held.layers)):
            path = f"convnext.encoder.stages.{stage}.layers.{block}"
            name = f"stage{stage}.block{block}"
            yield Place(f"{name}.neurons", f"{path}.act", "neuron", UNITS_LAST)
            yield Place(name, path, "channel", CHANNELS_FIRST, carries_all=True)
    yield Place("pool", "convnext.layernorm", "channel", UNITS_LAST, carries_all=True)


@dataclass(frozen=True, slots=True)
class _Blocks:
    """Layers of a transformer: what heads write, neurons, and the residual stream."""

    blocks: str
    output: str  # the matrix behind the heads, from a block
    neurons: tuple[str, ...]  # the matrix behind the neurons, by the kinds of MLPs

    def __call__(self, module: nn.Module, config: Any) -> Iterator[Place]:
        heads = int(config.num_attention_heads)
        first, rest = self.blocks.split(".", 1)
        blocks = self.blocks if hasattr(module, first) else rest  # of a model without a head
        for layer, block in enumerate(part(module, blocks, type(module).__name__)):
            path = f"{blocks}.{layer}"
            neurons = next(name for name in self.neurons if hasattr(block.mlp, name))
            yield Place(f"z.{layer}", f"{path}.{self.output}", "head", HEADS, heads, before=True)
            yield Place(
                f"mlp_post.{layer}", f"{path}.mlp.{neurons}", "neuron", UNITS_LAST, before=True
            )
            yield Place(f"resid_post.{layer}", path, "dimension", UNITS_LAST, carries_all=True)


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
# What embeds a patch, and the positions, of all but CLIP.
_CONV = ("patch_embeddings.projection", "position_embeddings")

VIT = VisionRow(
    model_type="vit",
    title="ViT",
    classes=("ViTForImageClassification",),
    places=_Blocks("vit.layers", "attention.o_proj", ("fc2", "down_proj")),
    leading=1,
    family=families.VIT,
    embeddings=Embeddings("vit.embeddings", ("cls_token",), *_CONV),
)
DEIT = VisionRow(
    model_type="deit",
    title="DeiT",
    classes=("DeiTForImageClassification", "DeiTForImageClassificationWithTeacher"),
    places=_Blocks("deit.layers", "attention.o_proj", ("fc2", "down_proj")),
    leading=2,
    family=families.DEIT,
    embeddings=Embeddings("deit.embeddings", ("cls_token", "distillation_token"), *_CONV),
    endings=MappingProxyType({"DeiTForImageClassificationWithTeacher": MEAN_OF_TWO_HEADS}),
)
DINOV2 = VisionRow(
    model_type="dinov2",
    title="DINOv2",
    classes=("Dinov2ForImageClassification", "Dinov2Model"),
    places=_Blocks("dinov2.encoder.layer", "attention.o_proj", ("fc2", "down_proj")),
    leading=1,
    family=families.DINOV2,
    embeddings=Embeddings("dinov2.embeddings", ("cls_token",), *_CONV),
    outputs=MappingProxyType({"Dinov2Model": "pooler_output"}),
    endings=MappingProxyType(
        {"Dinov2ForImageClassification": TOKEN_BESIDE_MEAN, "Dinov2Model": HEADLESS_DINOV2}
    ),
)
CLIP = VisionRow(
    model_type="clip_vision_model",
    title="CLIP vision",
    classes=("CLIPVisionModelWithProjection",),
    places=_Blocks("vision_model.encoder.layers", "self_attn.out_proj", ("fc2", "down_proj")),
    leading=1,
    outputs=MappingProxyType({"CLIPVisionModelWithProjection": "image_embeds"}),
    family=families.CLIP,
    embeddings=Embeddings(
        "vision_model.embeddings", ("class_embedding",), "patch_embedding", "position_embedding"
    ),
)
# The folder of a whole CLIP model, of which the vision part is opened; or one that says classes.
WHOLE_CLIP = replace(
    CLIP,
    model_type="clip",
    classes=("CLIPVisionModelWithProjection", "CLIPForImageClassification"),
    whole_configs=("CLIPForImageClassification",),
    endings=MappingProxyType({"CLIPForImageClassification": MEAN_OF_PATCHES}),
)

VISION: dict[str, VisionRow] = {
    row.model_type: row for row in (RESNET, CONVNEXT, VIT, DEIT, DINOV2, CLIP, WHOLE_CLIP)
}
