"""The space that a run on an image is shown in at first: made once for each model."""

from __future__ import annotations

from weakref import WeakKeyDictionary

from microtome.images.sets import image_set_names, load_image_set
from microtome.jobs import Job
from microtome.models.model import Model
from microtome.prompts import ImageInput
from microtome.records.analysis import Analysis
from microtome.records.image_set import ImageSet
from microtome.vision.activity import pooled_layers, sight_of
from microtome.vision.space import image_space, place_image
from microtome.vision.trials import own_image_sets

_STREAM = "resid_post"

# A space belongs to the model, not to an image: made once for each.
_of_model: WeakKeyDictionary[Model, Analysis] = WeakKeyDictionary()


def space_with(model: Model, image: ImageInput, job: Job | None = None) -> Analysis | None:
    """The space of a model's default layer with an image in it; None without a set that fits."""
    if model not in _of_model:
        images = fitting_set(model)
        if images is None:
            return None
        _of_model[model] = image_space(model, default_layer(model), images, job=job)
    return place_image(_of_model[model], model, image)


def default_layer(model: Model) -> str:
    """The last layer with one number a unit; of a transformer the middle residual stream."""
    sight = sight_of(model)
    layers = sight.layers
    streams = [name for name in layers if name.partition(".")[0] == _STREAM]
    if streams:
        return streams[len(streams) // 2]
    return (pooled_layers(sight) or tuple(layers))[-1]


def fitting_set(model: Model) -> ImageSet | None:
    """The embedded set made for a model, or another of its size; None where there is none."""
    shape = sight_of(model).shape
    for name in dict.fromkeys((*own_image_sets(model.identity.name), *image_set_names())):
        held = load_image_set(name)
        if held.images.shape[1:3] == shape[1:]:
            return held
    return None
