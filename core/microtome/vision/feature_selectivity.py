"""All features of a dictionary on a set of images: what each answers to."""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from microtome.errors import expect_count
from microtome.features.dictionary import Dictionary
from microtome.features.unit_rows import images_of, unit_values
from microtome.jobs import Job, job_or_default
from microtome.models.model import Model
from microtome.records.analysis import Analysis, Labelled
from microtome.records.feature_selectivity import FEATURE_SELECTIVITY, selectivity_id
from microtome.records.image_set import ImageSet
from microtome.vision.feature_images import at_places, encoded, read_by
from microtome.vision.feature_maps import in_order, maps_of, pictures
from microtome.vision.selectivity import domain_labels, domain_names, selectivity_by_group

_KEPT = 10  # images of each feature


class _Tally:
    """What is known of all features after some images; the strongest images come first."""

    def __init__(self, features: int, places: int, count: int) -> None:
        self.count, self.places = count, places
        self.on = torch.zeros(features, dtype=torch.int64)
        self.means: list[Tensor] = []  # [image, feature] of each batch
        self.n_images = 0
        self.strongest = torch.zeros(0, features)
        self.number = torch.zeros(0, features, dtype=torch.int64)

    def add(self, codes: Float[Tensor, "image place feature"]) -> None:
        """The codes of the next images."""
        self.on += (codes > 0).sum((0, 1))
        self.means.append(codes.mean(1))
        first, self.n_images = self.n_images, self.n_images + len(codes)
        peak = torch.cat([self.strongest, codes.amax(1)])
        fresh = torch.arange(first, self.n_images)[:, None].expand(-1, codes.shape[2])
        number = torch.cat([self.number, fresh])
        # Stable, so that of equal images the first of the set stands first.
        at = peak.argsort(dim=0, descending=True, stable=True)[: self.count]
        self.strongest, self.number = peak.gather(0, at), number.gather(0, at)


@torch.inference_mode()
def feature_selectivity(
    model: Model,
    dictionary: Dictionary,
    images: ImageSet,
    *,
    count: int = _KEPT,
    job: Job | None = None,
) -> Analysis:
    """How selective each feature is for each class and domain, by its mean code over an image.

    ``by_class`` [class, feature] and ``by_domain`` [domain, feature] are the index of
    ``selectivity_index``, ``rate`` [feature] the share of places where a feature is on, ``peak``
    [feature] its largest code, and ``units_by_domain`` [domain, unit] the same index of the
    layer's own units, to compare with. ``number`` [feature, image] are the ``count`` strongest
    images of each, -1 where it is on in fewer, ``strongest`` [feature, image] its largest codes
    in them, and ``map_at`` [feature, image] the row of ``maps`` [map, row, column] that has those
    at all places. ``thumbnails`` [image, row, column, channel] are the images that ``shown``
    numbers, as the model saw them, at most 128 pixels wide and high, and ``label`` their classes.
    Of maps and of images 32 MB are kept, the strongest image of each feature first and the most
    selective features first; ``map_at`` is -1 for a map that was left out.
    Raises as ``feature_images``.
    """
    layer = read_by(model, dictionary, images)
    expect_count(count, "count")
    job = job_or_default(job)
    tally = _Tally(dictionary.d_sae, math.prod(layer.places) - layer.leading, count)
    own = []
    for values in unit_values(model, layer, images_of(images), job):
        own.append(layer.mean(values).cpu().numpy())
        rows = at_places(layer, values).cpu()
        for codes in encoded(dictionary, rows):
            tally.add(codes)
    arrays = _indices(images, torch.cat(tally.means).numpy(), np.concatenate(own))
    arrays |= _strongest(tally)
    number = np.asarray(arrays["number"].values)
    pairs = in_order(number, np.asarray(arrays["by_class"].values))
    arrays |= pictures(model, images, number, pairs)
    pairs = pairs[np.isin(number[pairs[:, 0], pairs[:, 1]], np.asarray(arrays["shown"].values))]
    arrays |= maps_of(model, dictionary, layer, images, number, pairs, job)
    told = dictionary.identity
    params = {
        "classes": list(images.classes), "domains": list(domain_names(images.domains)),
        "layer": layer.name, "dictionary": told.name, "fingerprint": told.fingerprint,
        "architecture": told.architecture, "reads": told.reads, "images": images.name,
        "digest": images.digest, "set_images": len(images), "places": tally.places,
    }  # fmt: skip
    title = f"{told.name}: selectivity of features on {images.name}"
    named = selectivity_id(told.fingerprint, images.name, images.digest)
    return Analysis(named, FEATURE_SELECTIVITY, title, arrays, params)


def _indices(
    images: ImageSet,
    means: Float[np.ndarray, "image feature"],
    own: Float[np.ndarray, "image unit"],
) -> dict[str, Labelled]:
    groups = domain_labels(images.labels, images.domains)
    count = len(domain_names(images.domains))
    by_class = selectivity_by_group(means, images.labels, len(images.classes))
    return {
        "by_class": Labelled(("class", "feature"), by_class),
        "by_domain": Labelled(("domain", "feature"), selectivity_by_group(means, groups, count)),
        "units_by_domain": Labelled(("domain", "unit"), selectivity_by_group(own, groups, count)),
    }


def _strongest(tally: _Tally) -> dict[str, Labelled]:
    strongest, number = tally.strongest.T.numpy(), tally.number.T.numpy()
    return {
        "rate": Labelled(("feature",), tally.on.numpy() / (tally.n_images * tally.places)),
        "peak": Labelled(("feature",), strongest[:, 0].copy()),
        "number": Labelled(("feature", "image"), np.where(strongest > 0, number, -1)),
        "strongest": Labelled(("feature", "image"), strongest.copy()),
    }
