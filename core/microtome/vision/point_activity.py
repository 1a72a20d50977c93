"""What all units of a layer, or all features of a dictionary, do at the points of an image space.

So that a space can be coloured by any of them: where do the images lie that a unit answers to?
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from microtome.errors import InputError, expect
from microtome.features.dictionary import Dictionary
from microtome.features.unit_rows import unit_values
from microtome.jobs import Job, job_or_default
from microtome.models.model import Model
from microtome.models.vision.sight import UnitLayer
from microtome.prompts import ImageInput
from microtome.records.analysis import Analysis, Labelled
from microtome.records.image_set import ImageSet
from microtome.records.marks import OWN_PROMPT
from microtome.records.point_activity import POINT_ACTIVITY, point_activity_id
from microtome.vision.activity import sight_of
from microtome.vision.feature_images import at_places, encoded, layer_read
from microtome.vision.space import THUMBNAILS


@torch.inference_mode()
def point_activity(
    model: Model,
    space: Analysis,
    of: str | Dictionary,
    images: ImageSet | None = None,
    *,
    own: ImageInput | None = None,
    job: Job | None = None,
) -> Analysis:
    """What the units of a layer, or the features of a dictionary, do at each point of a space.

    ``space`` is one of ``image_space``, and ``images`` the set that it was made of; without it
    the images are used that the space keeps, where these are whole. ``own`` is the image that it
    has as points of its own. Where points are images a number is the mean over the image; where
    they are places it is what a unit does at the place of its layer that lies there.
    Of a layer the result has ``activity`` [point, unit]; of a dictionary ``entry_point``,
    ``entry_feature`` and ``entry_value`` [entry], the codes above 0.
    Raises ModelError for a model that reads text, SiteMissing, DictionaryMismatch, InputError for
    another set or image than the space was made of.
    """
    job = job_or_default(job)
    sight = sight_of(model)
    expect(space, Analysis, "space", "an image space", "Make one with image_space.")
    if "unit_layer" not in space.params:
        raise InputError(f"{space.id} is not of images.", "Make one with image_space.")
    dictionary = of if isinstance(of, Dictionary) else None
    layer = sight.layer(str(of)) if dictionary is None else layer_read(model, dictionary)
    given = _images_of(space, images, own)
    prompt, position = (np.asarray(space.array(f"point_{what}")) for what in ("prompt", "position"))
    # The own image, whose prompt is -1, is the last of those given.
    row = np.zeros((len(given), int(position.max(initial=0)) + 1), np.int64)
    row[prompt, position] = np.arange(len(prompt))
    grid, found = space.params.get("grid"), _Found()
    for values in unit_values(model, layer, given, job):
        if dictionary is None:
            found.dense.append(_at_points(_rows(layer, values), layer, grid).cpu().numpy())
            continue
        for codes in encoded(dictionary, at_places(layer, values).cpu()):
            found.add(_at_points(codes, layer, grid))
    arrays = {name: space.arrays[name] for name in ("point_prompt", "point_position")}
    arrays |= found.units(prompt, position) if dictionary is None else found.features(row)
    told = None if dictionary is None else dictionary.identity
    params = {
        "site": space.params["site"], "per": space.params["per"], "layer": layer.name,
        "kind": layer.kind if told is None else "feature",
        "dictionary": "" if told is None else told.name,
        "fingerprint": "" if told is None else told.fingerprint,
        "images": space.params["images"], "digest": space.params["digest"],
        "own": own.digest if own is not None and _has_own(space) else "",
    }  # fmt: skip
    named = point_activity_id(params["site"], params["fingerprint"] or layer.name)
    title = f"{params['dictionary'] or layer.name} on the points of {params['site']}"
    return Analysis(named, POINT_ACTIVITY, title, arrays, params)


def _images_of(
    space: Analysis, images: ImageSet | None, own: ImageInput | None
) -> tuple[ImageInput, ...]:
    """The images of a space in their order, its own one behind them."""
    told = space.params
    if images is not None:
        expect(images, ImageSet, "images", "an ImageSet", "Load one with load_image_set.")
        if images.digest != told["digest"]:
            raise InputError(
                f"{images.name} is not the set that {space.title} was made of.",
                f"Give {told['images']}, or make the space again.",
            )
        given = tuple(images.image(int(at)) for at in told["numbers"])
    elif told.get("whole"):
        kept = np.asarray(space.array(THUMBNAILS), np.uint8)
        given = tuple(ImageInput(each, "image", prepared=True) for each in kept)
    else:
        raise InputError(
            f"{space.title} keeps small pictures of its images alone.",
            f"Give the set {told['images']}, or make the space again.",
        )
    if not _has_own(space):
        return given
    if own is None:
        raise InputError(
            f"{space.title} has points of an image of its own.", "Give it as own=image."
        )
    return (*given, own)


def _has_own(space: Analysis) -> bool:
    return bool((np.asarray(space.array("point_prompt")) == OWN_PROMPT).any())


def _rows(
    layer: UnitLayer, values: Float[Tensor, "image unit *place"]
) -> Float[Tensor, "image place unit"]:
    """What units do at each place in the image, or in all."""
    maps = layer.maps(values)
    return layer.mean(values)[:, None] if maps is None else maps.flatten(2).movedim(1, 2)


def _at_points(
    rows: Float[Tensor, "image place unit"], layer: UnitLayer, grid: list[int] | None
) -> Float[Tensor, "image point unit"]:
    """One row for each point of an image: its mean, or what lies below the middle of a place."""
    mean = rows.mean(1, keepdim=True)
    if grid is None:
        return mean
    if layer.grid is None:
        return mean.expand(-1, grid[0] * grid[1], -1)
    high, wide = (
        torch.tensor([(2 * at + 1) * own // (2 * count) for at in range(count)])
        for own, count in zip(layer.grid, grid, strict=True)
    )
    return rows[:, (high[:, None] * layer.grid[1] + wide).flatten()]


class _Found:
    """What was read so far: of units all, of features what is on."""

    def __init__(self) -> None:
        self.dense: list[Float[np.ndarray, "image point unit"]] = []
        self._on: list[tuple[Tensor, ...]] = []
        self._images = 0

    def add(self, codes: Float[Tensor, "image point feature"]) -> None:
        """The codes of the next images."""
        image, point, feature = (codes > 0).nonzero(as_tuple=True)
        self._on.append((image + self._images, point, feature, codes[image, point, feature]))
        self._images += len(codes)

    def units(
        self, prompt: Int[np.ndarray, " point"], position: Int[np.ndarray, " point"]
    ) -> dict[str, Labelled]:
        """A row for each point."""
        found = np.concatenate(self.dense)[prompt, position]
        return {"activity": Labelled(("point", "unit"), found.astype(np.float32))}

    def features(self, row: Int[np.ndarray, "image place"]) -> dict[str, Labelled]:
        """The entries; ``row`` is the point at each place of each image."""
        image, place, feature, value = (
            torch.cat(each).numpy() for each in zip(*self._on, strict=True)
        )
        return {
            "entry_point": Labelled(("entry",), row[image, place].astype(np.int32)),
            "entry_feature": Labelled(("entry",), feature.astype(np.int32)),
            "entry_value": Labelled(("entry",), value.astype(np.float32)),
        }
