"""Activation maps: what each unit of a layer does where on an image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int

from microtome.errors import expect
from microtome.jobs import Job, job_or_default
from microtome.models.model import Model
from microtome.models.small import small_on_one_thread
from microtome.models.vision.sight import Sight, UnitLayer
from microtome.prompts import ImageInput
from microtome.records.analysis import Analysis, Labelled
from microtome.records.seen import IMAGE_MAPS, maps_id
from microtome.vision.activity import sight_of
from microtome.vision.scores import expect_image, seen


@small_on_one_thread
def image_maps(
    model: Model,
    image: ImageInput,
    layers: Sequence[str] | None = None,
    *,
    job: Job | None = None,
) -> Analysis:
    """The activity of all units of ``layers`` over an image; of all layers when none is named.

    For each layer an array of its name: [unit, row, column] over the image, or [unit] for a layer
    without places in it; of a head the length of what it writes. ``order/LAYER`` has the units by
    their largest activity. ``image`` is the image as the model saw it.
    Raises ModelError for a model that reads text, SiteMissing for a layer that it does not have.
    """
    sight, job = sight_of(model), job_or_default(job)
    expect_image(image)
    if layers is not None:
        expect(layers, (list, tuple), "layers", "a list of layers", "Write for example ['pool'].")
    held = {name: sight.layer(name) for name in (sight.layers if layers is None else layers)}
    job.progress("Reading activation maps", 0, 1)
    with sight.reading(tuple(held)) as found, torch.inference_mode():
        logits = sight.logits(sight.pixels([image]))[0]
    arrays = {"image": Labelled(("row", "column", "channel"), _pixels(sight, image))}
    for name, layer in held.items():
        values = map_of(layer, found[name])
        dims = ("unit", "row", "column")[: values.ndim]
        if values.ndim == 3:
            dims = ("unit", f"row of {name}", f"column of {name}")
        arrays[name] = Labelled(dims, values, long_name=f"activity of {layer.kind}s")
        arrays[f"order/{name}"] = Labelled(("unit",), strongest_first(values))
    job.progress("Reading activation maps", 1, 1)
    told = {**seen(sight, image), "layers": list(held), "method": "activity",
            "top": sight.classes[int(logits.argmax())]}  # fmt: skip
    named = "all" if layers is None else "+".join(held)
    return Analysis(
        maps_id(told["digest"], named), IMAGE_MAPS,
        f"Activation maps of {named} on {image.name}", arrays, told,
    )  # fmt: skip


def map_of(layer: UnitLayer, values: torch.Tensor) -> Float[np.ndarray, "unit *place"]:
    """The activity of the only image of a batch: over the image, or one number a unit."""
    maps = layer.maps(values)
    active = layer.mean(values) if maps is None else maps
    return np.asarray(active[0].float().cpu().numpy())


def strongest_first(values: Float[np.ndarray, "unit *place"]) -> Int[np.ndarray, " unit"]:
    """Units by their largest activity, the first of equal ones first."""
    largest = values.reshape(len(values), -1).max(axis=1)
    return np.argsort(-largest, kind="stable")


def _pixels(sight: Sight, image: ImageInput) -> np.ndarray:
    return np.asarray(sight.preprocessing.prepare(image).values)
