"""Edges by gradients of weights, beside a gradient for each target; and steps that end a way."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from microtome.images.sets import load_image_set
from microtome.models.model import Model
from microtome.prompts import ImageInput, PromptPair
from microtome.records.circuit import IMAGE
from microtome.vision.circuit import Seen
from microtome.vision.frozen import Frozen
from microtome.vision.pieces import by_unit


@pytest.mark.parametrize("images", [1, 2])
@pytest.mark.parametrize("kind", ["resnet", "shapes", "convnext", "dinov2"])
def test_short_cuts_give_what_a_gradient_for_each_target_gives(
    kind: str, images: int, random_net: Callable[[str], Model], shapes: Model, noise: ImageInput
) -> None:
    """Every edge of every layer, along shortcuts around blocks too; a ConvNeXt has other ways."""
    model, pictures = (shapes if kind == "shapes" else random_net(kind)), load_image_set("shapes")
    image = pictures.image(3) if kind == "shapes" else noise
    asked = PromptPair(image, pictures.image(70)) if images == 2 else image
    pieces = Seen.of(model, asked).pieces()
    around, left = 0, []
    for at, layer in enumerate(pieces.layers):
        chosen = torch.arange(pieces.read[layer].shape[1]).flip(0)[::2]
        quick = pieces.rows(layer, chosen)
        if quick is None:
            left.append(layer)
            continue
        worth = pieces.worth[layer]
        seeds = worth.new_zeros(len(chosen), *worth.shape)
        seeds[torch.arange(len(chosen)), :, chosen] = worth[:, chosen].movedim(1, 0)
        names = [IMAGE, *pieces.layers[:at]]
        slow = pieces.direct(pieces.made[layer], seeds, names, together=True)
        assert set(quick) == set(slow)
        around += len(slow) > 1
        for name, gradient in slow.items():
            plain = by_unit((gradient * (pieces.read[name].detach() - pieces.start(name)))[:, 0])
            if quick[name].shape[1] == 1:  # the image as a whole
                plain = plain.sum(1, keepdim=True)
            assert torch.allclose(
                quick[name], plain, rtol=1e-4, atol=1e-5 * float(plain.abs().max())
            )
    assert around >= (1 if kind == "convnext" else 2)
    # A norm ends the stem and the pool; behind a convolution between two layers others follow.
    behind = ["stem", "stage1.block0.neurons", "stage1.block0", "pool"]
    assert left == (behind if kind == "convnext" else [])


def _followed(run: Callable[[Tensor], Tensor]) -> bool:
    frozen = Frozen()
    with torch.random.fork_rng():
        torch.manual_seed(2)
        values = torch.randn(1, 4, 6, 6, requires_grad=True)
        with frozen:
            made = run(frozen.ways.begin(values.clone(), "layer", values.detach()))
    return frozen.ways.of(made) is not None


def _changed_aside(x: Tensor) -> Tensor:
    y = nn.functional.conv2d(x, torch.ones(4, 4, 1, 1), None, 1, 0, 1, 1)
    y[:, :1] *= 2
    return y


def test_what_is_not_known_ends_a_way() -> None:
    """Steps that join units, or change values in place, are left to the gradients."""
    one, many = torch.ones(4, 4, 1, 1), torch.ones(4, 1, 3, 3)
    conv = nn.functional.conv2d
    assert _followed(lambda x: conv(x, one, None, 1, 0, 1, 1).relu() + x)
    assert not _followed(lambda x: conv(conv(x, one, None, 1, 0, 1, 1), one, None, 1, 0, 1, 1))
    assert _followed(lambda x: conv(x, many, None, 1, 1, 1, 4))
    assert not _followed(
        lambda x: conv(conv(x, one, many[:, 0, 0, 0], 1, 0, 1, 1), many, None, 1, 1, 1, 4)
    )
    assert not _followed(lambda x: conv(x, many, many[:, 0, 0, 0], 1, 1, 1, 4).relu())
    assert not _followed(lambda x: x - x.mean(1, keepdim=True))
    assert not _followed(lambda x: x + x.sum(1, keepdim=True))
    assert not _followed(lambda x: nn.functional.batch_norm(x, None, None, training=True))
    assert not _followed(_changed_aside)
    assert not _followed(lambda x: x.add_(x.mean(1, keepdim=True)))
