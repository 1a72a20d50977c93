"""Maps of features over their strongest images, as many as a session can hold.

All maps of a wide dictionary in an early layer are gigabytes. What is kept is what is looked at
first: the strongest image of each feature before the second of any, and of these the features
that are most selective.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8

from microtome.features.dictionary import Dictionary
from microtome.features.unit_rows import unit_values
from microtome.jobs import Job
from microtome.models.model import Model
from microtome.models.vision.sight import UnitLayer
from microtome.records.analysis import Labelled
from microtome.records.image_set import ImageSet
from microtome.vision.activity import sight_of
from microtome.vision.feature_images import at_places, encoded
from microtome.vision.space import reduced

MAP_BYTES = IMAGE_BYTES = 32 * 2**20  # of what a session keeps of one dictionary and set
_AT_ONCE = 256  # images that are made small together

Pairs = Int[np.ndarray, "pair 2"]  # a feature, and which of its strongest images


def in_order(
    number: Int[np.ndarray, "feature image"], index: Float[np.ndarray, "class feature"]
) -> Pairs:
    """Features and ranks of their images, those that are looked at first in front."""
    best = np.nan_to_num(index, nan=-np.inf).max(axis=0)
    features = np.argsort(-best, kind="stable")
    rank, row = np.nonzero(number[features].T >= 0)
    return np.stack([features[row], rank], axis=1)


def pictures(
    model: Model, images: ImageSet, number: Int[np.ndarray, "feature image"], pairs: Pairs
) -> dict[str, Labelled]:
    """The images of pairs as the model saw them, as many as fit; ``shown`` numbers them."""
    prepare = sight_of(model).preprocessing.prepare
    size = reduced(prepare(images.image(0)).values[None]).nbytes
    wanted, first = np.unique(number[pairs[:, 0], pairs[:, 1]], return_index=True)
    fitting = np.argsort(np.argsort(first)) < max(1, IMAGE_BYTES // size)
    shown = wanted[fitting].astype(np.int64)

    def small(numbers: Int[np.ndarray, " some"]) -> UInt8[np.ndarray, "some _ _ channel"]:
        return reduced(np.stack([prepare(images.image(int(at))).values for at in numbers]))

    parts = [small(shown[at : at + _AT_ONCE]) for at in range(0, len(shown), _AT_ONCE)]
    seen = np.concatenate(parts) if parts else small(np.zeros(1, np.int64))[:0]
    return {
        "shown": Labelled(("shown",), shown),
        "label": Labelled(("shown",), images.labels[shown]),
        "thumbnails": Labelled(("shown", "row", "column", "channel"), seen),
    }


@torch.inference_mode()
def maps_of(
    model: Model,
    dictionary: Dictionary,
    layer: UnitLayer,
    images: ImageSet,
    number: Int[np.ndarray, "feature image"],
    pairs: Pairs,
    job: Job,
) -> dict[str, Labelled]:
    """``maps`` [map, row, column] of the first pairs, as many as fit; ``map_at`` is where each is.

    ``map_at`` [feature, image] is -1 for a map that is not kept.
    """
    rows, columns = layer.grid or (1, math.prod(layer.places) - layer.leading)
    pairs = pairs[: max(1, MAP_BYTES // (4 * rows * columns))]
    at = np.full(number.shape, -1, np.int32)
    at[pairs[:, 0], pairs[:, 1]] = np.arange(len(pairs))
    maps = np.zeros((len(pairs), rows * columns), np.float32)
    image_of = number[pairs[:, 0], pairs[:, 1]]
    needed = np.unique(image_of)
    given = tuple(images.image(int(image)) for image in needed)
    done = 0
    for values in unit_values(model, layer, given, job):
        for codes in encoded(dictionary, at_places(layer, values).cpu()):
            for each, image in zip(codes, needed[done : done + len(codes)], strict=True):
                mine = np.flatnonzero(image_of == image)
                maps[mine] = each[:, pairs[mine, 0]].T.numpy()
            done += len(codes)
    return {
        "map_at": Labelled(("feature", "image"), at),
        "maps": Labelled(("map", "map_row", "map_column"), maps.reshape(len(pairs), rows, columns)),
    }
