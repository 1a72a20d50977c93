"""Features of a dictionary on images: the top images of one, and which classes each answers to."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float

from microtome.errors import DictionaryMismatch, InputError, expect, expect_count
from microtome.features.dictionary import Dictionary
from microtome.features.fitting import expect_fit
from microtome.features.unit_rows import flat, images_of, unit_layer, unit_values
from microtome.jobs import Job, job_or_default
from microtome.models.model import Model
from microtome.models.vision.sight import UnitLayer
from microtome.records.analysis import Analysis, Labelled
from microtome.records.image_set import ImageSet
from microtome.vision.activity import sight_of
from microtome.vision.selectivity import domain_labels, domain_names, selectivity_by_group

FEATURE_IMAGES, FEATURE_SELECTIVITY = "feature-images", "feature-selectivity"
_SHOWN = 12


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
    layer = _read_by(model, dictionary, images)
    expect(feature, int, "feature", "a number", "Write for example 12.")
    if not 0 <= feature < dictionary.d_sae:
        raise InputError(
            f"There is no feature {feature}.", f"Its features are 0 to {dictionary.d_sae - 1}."
        )
    maps = feature_codes(model, dictionary, layer, images, job, feature)[..., 0]
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
    named = f"{FEATURE_IMAGES}-{told.fingerprint[:12]}-{feature}-{images.name}"
    title = f"Feature {feature} of {told.name}: top images of {images.name}"
    return Analysis(named, FEATURE_IMAGES, title, arrays, params)


def feature_selectivity(
    model: Model, dictionary: Dictionary, images: ImageSet, *, job: Job | None = None
) -> Analysis:
    """How selective each feature is for each class and domain, by its mean code over an image.

    ``by_class`` [class, feature] and ``by_domain`` [domain, feature] are the index of
    ``selectivity_index``, ``rate`` [feature] the share of places where a feature is on, and
    ``units_by_domain`` [domain, unit] the same index of the layer's own units, to compare with.
    Raises as ``feature_images``.
    """
    layer = _read_by(model, dictionary, images)
    codes = feature_codes(model, dictionary, layer, images, job)
    own = np.concatenate([
        layer.mean(held).cpu().numpy()
        for held in unit_values(model, layer, images_of(images), job_or_default(job))
    ])  # fmt: skip
    domains, groups = domain_names(images.domains), domain_labels(images.labels, images.domains)
    mean, count = codes.mean(1), len(domains)
    by_class = selectivity_by_group(mean, images.labels, len(images.classes))
    arrays = {
        "by_class": Labelled(("class", "feature"), by_class),
        "by_domain": Labelled(("domain", "feature"), selectivity_by_group(mean, groups, count)),
        "rate": Labelled(("feature",), (codes > 0).mean((0, 1))),
        "units_by_domain": Labelled(("domain", "unit"), selectivity_by_group(own, groups, count)),
    }
    told = dictionary.identity
    params = {"classes": list(images.classes), "domains": list(domains), "layer": layer.name,
              "dictionary": told.name, "fingerprint": told.fingerprint, "images": images.name,
              "digest": images.digest}  # fmt: skip
    named = f"{FEATURE_SELECTIVITY}-{told.fingerprint[:12]}-{images.name}"
    title = f"{told.name}: selectivity of features on {images.name}"
    return Analysis(named, FEATURE_SELECTIVITY, title, arrays, params)


def _read_by(model: Model, dictionary: Dictionary, images: ImageSet) -> UnitLayer:
    sight_of(model)
    expect(dictionary, Dictionary, "dictionary", "a Dictionary", "Load or train one.")
    expect(images, ImageSet, "images", "an ImageSet", "Load one with load_image_set.")
    expect_fit(dictionary.identity, model)
    layer = unit_layer(model, dictionary.identity.reads)
    if layer is None:
        raise DictionaryMismatch(
            f"{dictionary.identity.name} reads {dictionary.identity.reads}, a site of patches.",
            "Look through it with feature_index and feature_card.",
        )
    return layer


@torch.inference_mode()
def feature_codes(
    model: Model,
    dictionary: Dictionary,
    layer: UnitLayer,
    images: ImageSet,
    job: Job | None = None,
    feature: int | None = None,
) -> Float[np.ndarray, "image place feature"]:
    """Codes at each place of each image; of one feature alone where it is named."""
    parts = []
    for values in unit_values(model, layer, images_of(images), job_or_default(job)):
        codes = dictionary.encode(flat(values).cpu()).unflatten(0, (len(values), -1))
        kept = codes if feature is None else codes[..., feature : feature + 1]
        parts.append(kept.float().numpy())
    return np.concatenate(parts)
