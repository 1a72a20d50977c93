"""Activities of units over images and their selectivity, against plain loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from microtome.errors import Cancelled, InputError, ModelError, SiteMissing
from microtome.jobs import Job
from microtome.vision import activity
from microtome.vision.activity import layer_activities, unit_activity
from microtome.vision.selectivity import (
    domain_labels,
    domain_names,
    mean_by_group,
    selectivity_by_group,
    selectivity_index,
)

# Of each kind of unit one: channel, pooled channel, neuron, head, dimension.
LAYERS = (
    ("resnet", "stage0.block0"), ("resnet", "pool"), ("convnext", "stage1.block0.neurons"),
    ("vit", "z.1"), ("vit", "resid_post.0"),
)  # fmt: skip


@pytest.mark.parametrize(("kind", "name"), LAYERS)
def test_activities_in_batches_are_those_of_one_image_after_the_other(
    seeing, images, kind, name, monkeypatch
):
    model = seeing(kind)
    monkeypatch.setattr(activity, "_PIXELS", 16 * 16 * 7)  # batches of seven
    found = layer_activities(model, [name], images)[name]
    layer = model.sight.layers[name]
    for at in (0, 6, 7, 39):
        with model.sight.reading([name]) as held, torch.no_grad():
            model.sight.logits(model.sight.pixels([images.image(at)]))
        values = held[name][0].numpy()  # [unit, place…]
        if layer.kind == "head":
            values = np.linalg.norm(values, axis=-1)
        if name.startswith(("z", "resid")):
            values = values[:, 1:]  # without the class token
        values = values.reshape(len(values), -1)
        np.testing.assert_allclose(found.mean[at], values.mean(axis=1), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(found.strongest[at], values.max(axis=1), rtol=1e-4, atol=1e-5)
        strongest = values[np.arange(len(values)), found.place[at]]
        np.testing.assert_allclose(strongest, values.max(axis=1), rtol=1e-4, atol=1e-5)
    plain = unit_activity(model, [name], [images.image(at) for at in range(40)])[name]
    np.testing.assert_allclose(plain, found.mean, rtol=1e-5, atol=1e-6)


def test_selectivity_is_the_difference_of_means_over_the_sum_of_deviations():
    values = np.array([[1.0, 5.0, 2.0], [3.0, 5.0, 2.0], [0.0, 1.0, 2.0], [2.0, 1.0, 2.0]])
    inside = np.array([True, True, False, False])
    found = selectivity_index(values, inside)
    assert found[0] == pytest.approx((2 - 1) / (1 + 1))
    assert np.isposinf(found[1])  # constant in both groups, and different
    assert found[2] == 0  # the same constant everywhere
    with pytest.raises(InputError, match="4 images 4"):
        selectivity_index(values, np.ones(4, dtype=bool))


def test_groups_are_classes_and_domains(images):
    values = np.random.default_rng(1).normal(size=(40, 3))
    domains = domain_labels(images.labels, images.domains)
    assert domain_names(images.domains) == ("lit", "plain")
    by_domain = selectivity_by_group(values, domains, 3)
    lit = np.isin(images.labels, (0, 1))
    np.testing.assert_allclose(by_domain[0], selectivity_index(values, lit))
    np.testing.assert_allclose(by_domain[1], -by_domain[0])
    assert np.isnan(by_domain[2]).all()  # no image is of a third
    means = mean_by_group(values, images.labels, 4)
    np.testing.assert_allclose(means[2], values[images.labels == 2].mean(axis=0))


def test_what_cannot_be_asked_is_said(seeing, images, embedded):
    with pytest.raises(ModelError, match="reads text"):
        unit_activity(embedded("induction-exact"), ["pool"], images)
    with pytest.raises(SiteMissing, match="It has stem"):
        unit_activity(seeing("resnet"), ["cellar"], images)
    job = Job()
    job.cancel()
    with pytest.raises(Cancelled):
        unit_activity(seeing("resnet"), ["pool"], images, job)
