"""The space of a layer of units: images, or places in them, along their principal axes.

The record is that of any feature space, so that plots, files and exports know it; beside it stand
the images as the model saw them, for whoever wants to see what a point is.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float, Int

from microtome.activations.principal import SIGN_RULE
from microtome.analysis.placing import OWN_TASK
from microtome.analysis.projection import PointLabels, Projection, labelled_points, project
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
    [image, row, column, channel] as the model saw them, numbered as points' prompts are.
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
    names = np.array([images.classes[at] for at in images.labels[chosen].tolist()])
    domains = np.array([images.domains[at] for at in images.labels[chosen].tolist()])
    labels = _labels(np.arange(len(given)), each, names, domains)
    seen = [sight.preprocessing.prepare(image) for image in given]
    if own is not None:
        found, labels = _with_own(model, held, own, per, (found, labels))
    arrays = labelled_points(found, labels)
    arrays[THUMBNAILS] = Labelled(
        ("image", "row", "column", "channel"), np.stack([image.values for image in seen])
    )
    params = {
        "site": layer, "layer": None, "per": per, "images": images.name, "digest": images.digest,
        "prompts": [image.name for image in given], "sign_rule": SIGN_RULE,
        "n": len(found.points), "unit": held.kind,
    }  # fmt: skip
    title = f"{layer} on {images.name}: principal components"
    return Analysis(f"projection/{layer}", "projection", title, arrays, params)


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
    prompts: Int[np.ndarray, " image"], each: int, tokens: np.ndarray, tasks: np.ndarray
) -> PointLabels:
    count = len(prompts)
    return PointLabels(
        np.repeat(prompts, each).astype(np.int32),
        np.tile(np.arange(each, dtype=np.int32), count),
        np.full(count * each, -1, np.int32),
        tuple(np.repeat(tokens, each).tolist()),
        tuple(np.repeat(tasks, each).tolist()),
    )


def _with_own(
    model: Model,
    layer: UnitLayer,
    own: ImageInput,
    per: str,
    before: tuple[Projection, PointLabels],
) -> tuple[Projection, PointLabels]:
    found, labels = before
    rows = vectors(model, layer, [own], per=per)
    more = _labels(np.array([OWN_PROMPT]), len(rows), np.array([own.name]), np.array([OWN_TASK]))
    points = np.concatenate([found.points, found.apply(rows)]).astype(np.float32)
    return replace(found, points=points), PointLabels(
        np.concatenate([labels.prompt, more.prompt]),
        np.concatenate([labels.position, more.position]),
        np.concatenate([labels.layer, more.layer]),
        labels.token + more.token,
        labels.task + more.task,
    )
