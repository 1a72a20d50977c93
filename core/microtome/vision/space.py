"""The space of a layer of units: images, or places in them, along their principal axes.

The record is that of any feature space, so that plots, files and exports know it; beside it stand
the images as the model saw them, for whoever wants to see what a point is.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8

from microtome.activations.principal import SIGN_RULE
from microtome.analysis.placing import with_own_points
from microtome.analysis.projection import PointLabels, from_analysis, labelled_points, project
from microtome.errors import InputError, expect, expect_count
from microtome.jobs import Job, job_or_default
from microtome.models.model import Model
from microtome.models.vision.sight import UnitLayer
from microtome.prompts import ImageInput
from microtome.records.analysis import Analysis, Labelled
from microtome.records.image_set import ImageSet
from microtome.records.marks import OWN_PROMPT
from microtome.vision.activity import batches, sight_of

PER = ("image", "place")
THUMBNAILS = "thumbnails"
PLACES = "places"  # ends the name of a space of places
OWN_IMAGE = "this image"
LARGEST = 128  # pixels of a thumbnail that a session keeps: what is asked again is read again
DEFAULT_POINTS = 4000


def image_space(
    model: Model,
    layer: str,
    images: ImageSet,
    *,
    per: str = "image",
    own: ImageInput | None = None,
    limit: int = DEFAULT_POINTS,
    components: int = 3,
    job: Job | None = None,
) -> Analysis:
    """The principal components of a layer's units over a set of images.

    ``per`` image a point is the mean activity of all units over the image; per place it is what
    they do at one place of it, and images take turns by class until there are ``limit`` points.
    ``own`` is added as points of its own, which the axes do not see.
    Points have their class as token and its domain as task; ``thumbnails`` are the images
    [image, row, column, channel] as the model saw them, numbered as points' prompts are, at most
    128 pixels wide and high. ``numbers`` are their places in the set.
    Raises ModelError for a model that reads text, SiteMissing, InputError.
    """
    job = job_or_default(job)
    sight = sight_of(model)
    held = sight.layer(layer)
    expect(images, ImageSet, "images", "an ImageSet", "Load one with load_image_set.")
    expect_count(limit, "limit")
    if per not in PER:
        raise InputError(f"There are no points per {per!r}.", f"Choose {' or '.join(PER)}.")
    each = 1 if per == "image" or held.grid is None else held.grid[0] * held.grid[1]
    chosen = _in_turns(images, max(1, limit // each))
    given = [images.image(int(at)) for at in chosen]
    rows = []
    for start, end in batches(sight, len(given)):
        job.progress("Showing images to the model", start, len(given), "images")
        rows.append(vectors(model, held, given[start:end], per=per))
    job.progress("Finding principal components", len(given), len(given))
    found = project(np.concatenate(rows), components)
    kinds = images.labels[chosen].tolist()
    labels = _labels(
        np.arange(len(given)), each, [images.classes[at] for at in kinds],
        [images.domains[at] for at in kinds],
    )  # fmt: skip
    arrays = labelled_points(found, labels)
    seen = np.stack([sight.preprocessing.prepare(image).values for image in given])
    arrays[THUMBNAILS] = Labelled(("image", "row", "column", "channel"), reduced(seen))
    name = layer if each == 1 else f"{layer} {PLACES}"
    params = {
        "site": name, "layer": None, "unit_layer": layer, "per": per, "images": images.name,
        "digest": images.digest, "prompts": [image.name for image in given],
        "numbers": chosen.tolist(), "whole": arrays[THUMBNAILS].values.shape == seen.shape,
        "grid": None if each == 1 else list(held.grid or ()), "sign_rule": SIGN_RULE,
        "n": len(found.points), "unit": held.kind,
    }  # fmt: skip
    title = f"{name} on {images.name}: principal components"
    made = Analysis(f"projection/{name}", "projection", title, arrays, params)
    return made if own is None else place_image(made, model, own)


def place_image(analysis: Analysis, model: Model, image: ImageInput) -> Analysis:
    """The space of a layer of units with an image added as points of prompt -1.

    The axes stay those of the set. Points that an earlier image added are dropped.
    Raises ModelError for a model that reads text, SiteMissing for one without the layer.
    """
    expect(analysis, Analysis, "analysis", "an image space", "Make one with image_space.")
    expect(image, ImageInput, "image", "an image", "Open one with read_image.")
    if "unit_layer" not in analysis.params:
        raise InputError(f"{analysis.id} is not of images.", "Make one with image_space.")
    held = sight_of(model).layer(str(analysis.params["unit_layer"]))
    rows = vectors(model, held, [image], per=str(analysis.params["per"]))
    points = from_analysis(analysis).apply(rows)
    labels = _labels(np.array([OWN_PROMPT]), len(rows), [image.name], [OWN_IMAGE])
    return with_own_points(analysis, points, labels)


@torch.inference_mode()
def vectors(
    model: Model, layer: UnitLayer, images: list[ImageInput], *, per: str
) -> Float[np.ndarray, "point unit"]:
    """What the units of a layer do: a row an image, or a row a place, images one after another."""
    sight = sight_of(model)
    with sight.reading([layer.name]) as found:
        sight.logits(sight.pixels(images))
    values = found[layer.name]
    maps = layer.maps(values)
    if per == "image" or maps is None:
        return np.asarray(layer.mean(values).float().cpu().numpy())
    return np.asarray(maps.flatten(2).movedim(1, 2).flatten(0, 1).float().cpu().numpy())


def _in_turns(images: ImageSet, count: int) -> Int[np.ndarray, " chosen"]:
    """The first images of each class, then the next of each, at most so many."""
    turn = np.zeros(len(images), np.int64)
    for label in range(len(images.classes)):
        of_it = np.flatnonzero(images.labels == label)
        turn[of_it] = np.arange(len(of_it))
    order = np.lexsort((images.labels, turn))
    return np.sort(order[:count])


def _labels(
    prompts: Int[np.ndarray, " image"], each: int, classes: list[str], domains: list[str]
) -> PointLabels:
    count = len(prompts)
    return PointLabels(
        np.repeat(prompts, each).astype(np.int32),
        np.tile(np.arange(each, dtype=np.int32), count),
        np.full(count * each, -1, np.int32),
        tuple(name for name in classes for _ in range(each)),
        tuple(name for name in domains for _ in range(each)),
    )


def reduced(
    images: UInt8[np.ndarray, "image row column channel"],
) -> UInt8[np.ndarray, "image _ _ channel"]:
    """Images whose longer side is at most so many pixels: means of squares of pixels."""
    step = -(-max(images.shape[1:3]) // LARGEST)
    if step == 1:
        return images
    count, rows, columns, channels = images.shape
    high, wide = rows // step, columns // step
    even = images[:, : high * step, : wide * step]
    squares = even.reshape(count, high, step, wide, step, channels)
    return np.stack([one.mean((1, 3)).round().astype(np.uint8) for one in squares])
