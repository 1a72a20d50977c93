"""How transformers that see end: where logits are not read at the class token alone, and how."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from microtome.models.vision.reader import Answer


@dataclass(frozen=True, slots=True)
class Ending:
    """What a class of transformers puts in place of fields of its family's row.

    ``head`` makes the module that is the unembedding where the model holds none; ``answer`` gives
    the model's own logits [batch, class] where they are not the unembedding's at the class token.
    """

    fields: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    head: Callable[[nn.Module], nn.Module] | None = None
    answer: Answer | None = None


class _Linear(nn.Module):
    """A matrix that the model has only as a part of another, or not at all."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.__dict__.update(weight=weight, bias=bias)  # no parameters of their own

    def forward(self, read: Tensor) -> Tensor:
        return nn.functional.linear(read, self.__dict__["weight"], self.__dict__["bias"])


def _for_class_token(net: nn.Module) -> nn.Module:
    """The half of DINOv2's classifier that reads the class token."""
    classifier: Any = net.classifier
    weight = classifier.weight.detach()
    return _Linear(weight[:, : weight.shape[1] // 2], classifier.bias.detach())


def _as_it_is(net: nn.Module) -> nn.Module:
    """The class token's dimensions themselves are what comes out."""
    norm: Any = net.layernorm
    weight = norm.weight
    return _Linear(torch.eye(len(weight), dtype=weight.dtype, device=weight.device), None)


def _mean(normed: Tensor, held: Tensor) -> Tensor:
    """The mean of the patches, which are all tokens behind the first."""
    at = held.long().argmax(1, keepdim=True)
    each = held.scatter(1, at, value=False).to(normed.dtype)[..., None]
    return (normed * each).sum(1) / each.sum(1).clamp(min=1)


def _token_beside_mean(net: Any, normed: Tensor, held: Tensor) -> Tensor:
    at = held.long().argmax(1, keepdim=True)[..., None]
    token = normed.take_along_dim(at, 1)[:, 0]
    logits: Tensor = net.classifier(torch.cat([token, _mean(normed, held)], 1))
    return logits


def _mean_of_two_heads(net: Any, normed: Tensor, held: Tensor) -> Tensor:
    at = held.long().argmax(1, keepdim=True)[..., None]
    # Of a single token, which only a check reads, both heads read that.
    places = (at, (at + 1).clamp(max=normed.shape[1] - 1))
    token, distilled = (normed.take_along_dim(place, 1)[:, 0] for place in places)
    logits: Tensor = (net.cls_classifier(token) + net.distillation_classifier(distilled)) / 2
    return logits


def _mean_of_patches(net: Any, normed: Tensor, held: Tensor) -> Tensor:
    logits: Tensor = net.classifier(_mean(normed, held))
    return logits


TOKEN_BESIDE_MEAN = Ending(
    MappingProxyType(
        {
            "unembedding": "head",
            "leaves_out": (
                "its classifier reads the class token beside the mean of all patches, and there "
                "is no rule yet for what flows through that mean"
            ),
        }
    ),
    _for_class_token,
    _token_beside_mean,
)
HEADLESS_DINOV2 = Ending(
    MappingProxyType(
        {
            "class_name": "Dinov2Model",
            "blocks": "net.encoder.layer",
            "final_norm": "net.layernorm",
            "unembedding": "head",
        }
    ),
    _as_it_is,
)
MEAN_OF_TWO_HEADS = Ending(
    MappingProxyType(
        {
            "class_name": "DeiTForImageClassificationWithTeacher",
            "unembedding": "net.cls_classifier",
            "leaves_out": (
                "its logits are the mean of two heads, the second of which reads the "
                "distillation token, and there is no rule yet for an answer read at two places"
            ),
        }
    ),
    answer=_mean_of_two_heads,
)
MEAN_OF_PATCHES = Ending(
    MappingProxyType(
        {
            "class_name": "CLIPForImageClassification",
            "final_norm": None,
            "unembedding": "net.classifier",
            "leaves_out": (
                "its classifier reads the mean of all patches, and there is no rule yet for what "
                "flows through that mean"
            ),
        }
    ),
    answer=_mean_of_patches,
)
