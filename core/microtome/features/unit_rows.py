"""Layers of units as places that dictionaries read: a row for each place of each image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from microtome.corpora.reading import Corpus
from microtome.errors import CorpusError, DictionaryMismatch, described
from microtome.jobs import Job
from microtome.models.model import Model
from microtome.models.vision.sight import Sight, UnitLayer
from microtome.prompts import ImageInput
from microtome.records.dictionary import DictionaryIdentity
from microtome.records.image_set import ImageSet

_PIXELS, _MOST = 2_000_000, 256  # of a batch
_WAY_OUT = "Give an image set, for example mt.load_image_set('shapes')."


def unit_layer(model: Model, name: object) -> UnitLayer | None:
    """The layer of units of a name, where it is no site; transformers that see have sites."""
    if model.sight is None or model.ports or not isinstance(name, str):
        return None
    return model.sight.layer(name)


def expect_unit_fit(identity: DictionaryIdentity, model: Model, layer: UnitLayer) -> None:
    """Raise DictionaryMismatch unless a dictionary has the width of its layer of units."""
    if identity.writes != identity.reads or not identity.d_in == identity.d_out == layer.n_units:
        raise DictionaryMismatch(
            f"{identity.name or 'The dictionary'} is for {identity.d_in} numbers at "
            f"{identity.reads} and {identity.d_out} at {identity.writes}, but {layer.name} of "
            f"{model.identity.name} has {layer.n_units} units.",
            "Open one that was trained on this layer.",
        )


def images_of(given: object) -> tuple[ImageInput, ...]:
    """The images of a set or of a corpus of images. Raises CorpusError for anything else."""
    if isinstance(given, ImageSet):
        return tuple(given.image(at) for at in range(len(given)))
    if isinstance(given, Corpus) and given.images:
        return given.images
    raise CorpusError(f"Layers of units read images, not {described(given)}.", _WAY_OUT)


def batches(sight: Sight, count: int) -> Iterator[tuple[int, int]]:
    """Where each batch of images starts and ends."""
    channels, rows, columns = sight.shape
    size = max(1, min(_MOST, _PIXELS // (channels * rows * columns)))
    yield from pairwise((*range(0, count, size), count))


def flat(values: Float[Tensor, "batch unit *place"]) -> Float[Tensor, "row unit"]:
    """A row for each place of each image, row by row of an image."""
    return values.flatten(2).movedim(1, 2).flatten(0, 1) if values.dim() > 2 else values


def unfolded(
    rows: Float[Tensor, "row unit"], like: Float[Tensor, "batch unit *place"]
) -> Float[Tensor, "batch unit *place"]:
    """Rows back where ``flat`` took them from."""
    if like.dim() == 2:
        return rows
    places = like.shape[2:]
    back: Tensor = rows.unflatten(0, (len(like), -1)).movedim(1, 2).unflatten(2, tuple(places))
    return back


def unit_values(
    model: Model, layer: UnitLayer, images: Sequence[ImageInput], job: Job
) -> Iterator[Float[Tensor, "batch unit *place"]]:
    """What the units of a layer do on images, a batch after the other, in float32."""
    sight = model.sight
    assert sight is not None  # noqa: S101  a model without one has no layers of units
    for start, end in batches(sight, len(images)):
        job.progress("Showing images to the model", start, len(images), "images")
        with sight.reading([layer.name]) as found, torch.inference_mode():
            sight.logits(sight.pixels(images[start:end]))
        yield found[layer.name].float()
