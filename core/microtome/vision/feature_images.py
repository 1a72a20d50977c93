"""The images that a feature of a dictionary answers to most."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from microtome.errors import DictionaryMismatch, InputError, expect, expect_count
from microtome.features.dictionary import Dictionary
from microtome.features.fitting import expect_fit
from microtome.features.unit_rows import images_of, unit_values
from microtome.jobs import Job, job_or_default
from microtome.models.model import Model
from microtome.models.vision.sight import UnitLayer
from microtome.records.analysis import Analysis, Labelled
from microtome.records.image_set import ImageSet
from microtome.vision.activity import sight_of

FEATURE_IMAGES = "feature-images"
_SHOWN = 12
_CODES = 2**24  # numbers at a time, 64 MB


def feature_images(
    model: Model,
    dictionary: Dictionary,
    images: ImageSet,
    feature: int,
    *,
    count: int = _SHOWN,
    job: Job | None = None,
) -> Analysis:
    """The images that a feature answers to most, the strongest first, with its map over each.

    ``strongest`` [image] is its code at its strongest place, ``maps`` [image, row, column] its
    codes at all places, ``thumbnails`` [image, row, column, channel] what the model saw, and
    ``number`` [image] the place in the set. Images where it is off everywhere are left out.
    Raises ModelError for a model that reads text, DictionaryMismatch for a dictionary that reads
    another model or no layer of units, InputError for a feature that there is not.
    """
    expect_count(count, "count")
    layer = read_by(model, dictionary, images)
    expect(feature, int, "feature", "a number", "Write for example 12.")
    if not 0 <= feature < dictionary.d_sae:
        raise InputError(
            f"There is no feature {feature}.", f"Its features are 0 to {dictionary.d_sae - 1}."
        )
    maps = feature_codes(model, dictionary, layer, images, job, feature)
    strongest = maps.max(1)
    order = np.argsort(-strongest, kind="stable")[:count]
    order = order[strongest[order] > 0]
    rows, columns = layer.grid or (1, maps.shape[1])
    prepare = sight_of(model).preprocessing.prepare
    shape = (len(order), *prepare(images.image(0)).values.shape)
    seen = [prepare(images.image(int(at))).values for at in order]
    pictures = np.stack(seen) if seen else np.zeros(shape, np.uint8)
    names = np.array([images.names[at] for at in order.tolist()], dtype=np.str_)
    arrays = {
        "number": Labelled(("image",), order.astype(np.int32)),
        "image_name": Labelled(("image",), names),
        "strongest": Labelled(("image",), strongest[order]),
        "maps": Labelled(("image", "map_row", "map_column"),
                         maps[order].reshape(len(order), rows, columns)),
        "thumbnails": Labelled(("image", "row", "column", "channel"), pictures),
    }  # fmt: skip
    told = dictionary.identity
    params = {"feature": feature, "dictionary": told.name, "fingerprint": told.fingerprint,
              "layer": layer.name, "images": images.name, "digest": images.digest,
              "share": float((strongest > 0).mean())}  # fmt: skip
    content = f"{told.fingerprint[:12]}-{feature}-{images.name}-{images.digest[:12]}"
    title = f"Feature {feature} of {told.name}: top images of {images.name}"
    return Analysis(f"{FEATURE_IMAGES}-{content}", FEATURE_IMAGES, title, arrays, params)


def read_by(model: Model, dictionary: Dictionary, images: ImageSet) -> UnitLayer:
    """The layer that a dictionary reads, of units or of a transformer's patches.

    Raises as ``feature_images``.
    """
    layer = layer_read(model, dictionary)
    expect(images, ImageSet, "images", "an ImageSet", "Load one with load_image_set.")
    return layer


def layer_read(model: Model, dictionary: Dictionary) -> UnitLayer:
    """The layer alone, whatever is shown to it."""
    sight = sight_of(model)
    expect(dictionary, Dictionary, "dictionary", "a Dictionary", "Load or train one.")
    told = dictionary.identity
    expect_fit(told, model)
    layer = sight.layers.get(told.reads)
    if layer is None or layer.n_units != told.d_in:
        raise DictionaryMismatch(
            f"{told.name} reads {told.reads}, which is no layer of units.",
            "Look through it with feature_index and feature_card.",
        )
    return layer


def at_places(
    layer: UnitLayer, values: Float[Tensor, "image unit *place"]
) -> Float[Tensor, "image place unit"]:
    """What dictionaries read at each place; what stands in front of the patches is left out."""
    flat = values.flatten(2) if values.dim() > 2 else values[..., None]
    return flat[:, :, layer.leading :].movedim(1, 2)


def encoded(
    dictionary: Dictionary, rows: Float[Tensor, "image place unit"]
) -> Iterator[Float[Tensor, "image place feature"]]:
    """The codes of all features, of so many images at a time that they stay small in memory."""
    step = max(1, _CODES // (rows.shape[1] * dictionary.d_sae))
    for some in rows.split(step):
        codes = dictionary.encode(some.flatten(0, 1)).float()
        yield codes.unflatten(0, some.shape[:2])


@torch.inference_mode()
def feature_codes(
    model: Model,
    dictionary: Dictionary,
    layer: UnitLayer,
    images: ImageSet,
    job: Job | None,
    feature: int,
) -> Float[np.ndarray, "image place"]:
    """Codes of one feature at each place of each image."""
    parts = []
    for values in unit_values(model, layer, images_of(images), job_or_default(job)):
        rows = at_places(layer, values).cpu()
        codes = dictionary.encode(rows.flatten(0, 1))[:, feature]
        parts.append(codes.unflatten(0, rows.shape[:2]).float().numpy())
    return np.concatenate(parts)
