"""What all units of some layers do on many images, a batch of images at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float, Int

from microtome.errors import ModelError, expect
from microtome.jobs import Job, job_or_default
from microtome.models.model import Model
from microtome.models.vision.sight import Sight, UnitLayer
from microtome.prompts import ImageInput
from microtome.records.image_set import ImageSet

_PIXELS = 2_000_000  # of a batch: images of 224 × 224 go by 13, small ones by 256
_MOST = 256


@dataclass(frozen=True, slots=True, eq=False)
class LayerActivity:
    """What each unit of a layer did on each image.

    ``mean`` and ``strongest`` are over the places in the image (over all places where a layer
    has none); of a head the length of what it writes. ``place`` numbers the strongest place, row
    by row.
    """

    mean: Float[np.ndarray, "image unit"]
    strongest: Float[np.ndarray, "image unit"]
    place: Int[np.ndarray, "image unit"]

    @property
    def nbytes(self) -> int:
        """What it takes in memory."""
        return self.mean.nbytes + self.strongest.nbytes + self.place.nbytes


def sight_of(model: Model) -> Sight:
    """How a model is run on pixels. Raises ModelError for one that reads text."""
    expect(model, Model, "model", "a model", "Open one with load_model.")
    if model.sight is None:
        raise ModelError(
            f"{model.identity.name} reads text, and this is asked of images.",
            "Load a model that sees, for example 'shapes-resnet'.",
        )
    return model.sight


@torch.inference_mode()
def pooled_layers(sight: Sight) -> tuple[str, ...]:
    """The layers without places in the image, in their order, but for the logits themselves."""
    names = [name for name, layer in sight.layers.items() if layer.grid is None]
    weight = next(sight.module.parameters())
    black = torch.zeros(1, *sight.shape, device=weight.device, dtype=weight.dtype)
    with sight.reading(names) as found:
        logits = sight.logits(black)
    flat = {name: values.flatten(1) for name, values in found.items()}
    return tuple(name for name in names if not torch.equal(flat[name], logits))


def batches(sight: Sight, count: int) -> Iterator[tuple[int, int]]:
    """Where each batch of images starts and ends."""
    channels, rows, columns = sight.shape
    size = max(1, min(_MOST, _PIXELS // (channels * rows * columns)))
    yield from pairwise((*range(0, count, size), count))


def layer_activities(
    model: Model,
    layers: Sequence[str],
    images: ImageSet | Sequence[ImageInput],
    job: Job | None = None,
) -> dict[str, LayerActivity]:
    """The activities of all units of ``layers`` over images.

    Raises ModelError for a model that reads text, SiteMissing for a layer that it does not have.
    """
    sight, job = sight_of(model), job_or_default(job)
    held = {name: sight.layer(name) for name in layers}
    parts: dict[str, list[LayerActivity]] = {name: [] for name in held}
    count = len(images)
    for start, end in batches(sight, count):
        job.progress("Showing images to the model", start, count, "images")
        given = [_image(images, at) for at in range(start, end)]
        with sight.reading(tuple(held)) as found, torch.inference_mode():
            sight.logits(sight.pixels(given))
        for name, layer in held.items():
            parts[name].append(_measured(layer, found[name]))
    job.progress("Showing images to the model", count, count, "images")
    return {name: _joined(each) for name, each in parts.items()}


def unit_activity(
    model: Model,
    layers: Sequence[str],
    images: ImageSet | Sequence[ImageInput],
    job: Job | None = None,
) -> Mapping[str, Float[np.ndarray, "image unit"]]:
    """The mean activity of each unit of ``layers`` on each image.

    Raises ModelError for a model that reads text, SiteMissing for a layer that it does not have.
    """
    found = layer_activities(model, layers, images, job)
    return {name: each.mean for name, each in found.items()}


def _image(images: ImageSet | Sequence[ImageInput], at: int) -> ImageInput:
    if isinstance(images, ImageSet):
        return ImageInput(images.images[at], "image")
    return images[at]


def _measured(layer: UnitLayer, values: torch.Tensor) -> LayerActivity:
    maps = layer.maps(values)
    active = layer.activity(values) if maps is None else maps
    flat = active.reshape(*active.shape[:2], -1).float()  # a pooled unit has one place
    strongest, place = flat.max(dim=2)
    return LayerActivity(
        flat.mean(dim=2).cpu().numpy(), strongest.cpu().numpy(), place.cpu().numpy()
    )


def _joined(parts: Sequence[LayerActivity]) -> LayerActivity:
    return LayerActivity(
        np.concatenate([part.mean for part in parts]),
        np.concatenate([part.strongest for part in parts]),
        np.concatenate([part.place for part in parts]),
    )
