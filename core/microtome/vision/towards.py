"""Directions between classes in a layer of a model that sees."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from microtome.errors import InputError, expect
from microtome.models.given import expect_model
from microtome.models.model import Model
from microtome.models.vision.sight import Sight
from microtome.records.image_set import ImageSet
from microtome.vision.targets import Target

_ROWS = 64  # images that are run at once


def class_direction(model: Model, layer: str, images: ImageSet, of: str, over: str = "") -> Target:
    """From the mean of some images to that of others, as a target in a layer.

    ``of`` and ``over`` are classes or domains of the set; without ``over`` it is the mean of all
    other images. Means are over images and over places.
    Raises ImageError for a name that the set does not have, InputError where both means are the
    same, or for a model that reads text, SiteMissing.
    """
    expect_model(model)
    expect(images, ImageSet, "images", "an ImageSet", "Open one with load_image_set.")
    if model.sight is None:
        raise InputError(f"{model.identity.name} reads text.", "Open a model that sees.")
    own = images.of(of)
    rest = {*images.classes} - {images.classes[label] for label in set(own.labels.tolist())}
    others = images.of(over or sorted(rest))
    direction = _mean(model.sight, layer, own) - _mean(model.sight, layer, others)
    if not direction.any():
        raise InputError(
            f"{of} and {over or 'the others'} have the same mean in {layer}.",
            "Name two different classes, or another layer.",
        )
    return Target.towards(layer, direction.cpu().numpy(), f"{of} − {over or 'the others'}")


def _mean(sight: Sight, layer: str, images: ImageSet) -> Float[Tensor, " unit"]:
    total = torch.zeros(sight.layer(layer).n_units, dtype=torch.float64)
    for start in range(0, len(images), _ROWS):
        rows = range(start, min(start + _ROWS, len(images)))
        with torch.inference_mode(), sight.reading([layer]) as found:
            sight.logits(sight.pixels([images.image(at) for at in rows]))
        values = found[layer].double()
        places = values.flatten(2).mean(2) if values.dim() > 2 else values
        total += places.sum(0).cpu()
    return total / len(images)
