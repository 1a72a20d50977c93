"""The space of a layer of units over a set of images."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import microtome as mt
from microtome.errors import InputError, ModelError
from microtome.records.point_activity import point_activity_of
from microtome.vision.default_space import space_with
from microtome.vision.space import reduced

LAYER = "stage2.block0"


@pytest.fixture(scope="module")
def seeing():
    return mt.load_model("shapes-resnet"), mt.load_image_set("shapes")


@pytest.fixture(scope="module")
def learned(seeing):
    model, images = seeing
    return mt.train_dictionary(
        model, images.of("face"), LAYER, width=40, k=3, steps=40, batch=64
    ).dictionary


def test_points_are_the_mean_activities_on_plain_principal_axes(seeing):
    model, images = seeing
    found = mt.image_space(model, "pool", images)
    pooled = _plain_pool(model, images)
    centred = pooled - pooled.mean(0)
    _, sizes, axes = np.linalg.svd(centred.astype(np.float64), full_matrices=False)
    expected = centred @ axes[:3].T
    signs = np.sign((expected * found.array("points")).sum(0))
    np.testing.assert_allclose(found.array("points"), expected * signs, atol=1e-4)
    ratio = sizes[:3] ** 2 / (sizes**2).sum()
    np.testing.assert_allclose(found.array("explained_variance_ratio"), ratio, atol=1e-5)


def _plain_pool(model, images):
    with torch.inference_mode():
        pixels = model.sight.pixels([images.image(at) for at in range(len(images))])
        return model.module.resnet(pixel_values=pixels).pooler_output.flatten(1).numpy()


def test_classes_domains_and_thumbnails_stand_beside_the_points(seeing):
    model, images = seeing
    found = mt.image_space(model, "pool", images, limit=44)
    classes = found.array("point_token")
    assert sorted(set(classes)) == sorted(images.classes)
    assert len(classes) == 44
    at = list(found.array("point_prompt")).index(5)
    place = images.names.index(found.params["prompts"][5])
    np.testing.assert_array_equal(found.array("thumbnails")[5], images.images[place])
    assert found.array("point_task")[at] == images.domains[images.labels[place]]


def test_a_point_a_place_follows_rows_and_columns(seeing):
    model, images = seeing
    layer = model.sight.layer("stage1.block0")
    found = mt.image_space(model, layer.name, images, per="place", limit=200)
    each = layer.grid[0] * layer.grid[1]
    assert len(found.array("points")) == (200 // each) * each
    with model.sight.reading([layer.name]) as read, torch.inference_mode():
        place = images.names.index(found.params["prompts"][0])
        model.sight.logits(model.sight.pixels([images.image(place)]))
    vector = read[layer.name][0, :, 1, 2].numpy()  # of the second row, third column
    mean, axes = found.array("mean"), found.array("components")
    number = layer.grid[1] + 2
    assert found.array("point_position")[number] == number
    np.testing.assert_allclose(found.array("points")[number], (vector - mean) @ axes.T, atol=1e-4)


def test_the_own_image_lies_where_its_like_would(seeing):
    model, images = seeing
    plain = mt.image_space(model, "pool", images)
    found = mt.image_space(model, "pool", images, own=images.image(7))
    np.testing.assert_allclose(found.array("points")[:-1], plain.array("points"))
    np.testing.assert_allclose(found.array("points")[-1], plain.array("points")[7], atol=1e-5)
    assert found.array("point_prompt")[-1] == -1


def test_a_run_on_an_image_shows_it_among_the_set_of_the_model(seeing):
    model, images = seeing
    for at in (7, 300):  # the axes are found once, the own image is placed in every run
        found = space_with(model, images.image(at))
        points = found.array("points")
        assert (len(points), found.params["numbers"][at]) == (len(images) + 1, at)
        np.testing.assert_allclose(points[-1], points[at], atol=1e-5)
        assert found.array("point_task")[-1] == "this image"


def test_large_images_are_kept_as_small_pictures():
    seen = np.random.default_rng(0).integers(0, 256, (3, 2 * 200, 2 * 150, 1)).astype(np.uint8)
    small = reduced(seen)
    assert small.shape == (3, 100, 75, 1)
    np.testing.assert_allclose(small[1, 2, 3, 0], seen[1, 8:12, 12:16, 0].mean(), atol=0.5)


def test_what_cannot_be_asked_is_said(seeing):
    model, images = seeing
    with pytest.raises(InputError, match="no points per 'pixel'"):
        mt.image_space(model, "pool", images, per="pixel")
    with pytest.raises(ModelError, match="reads text"):
        mt.image_space(mt.load_model("induction-exact-tiny"), "pool", images)


@pytest.mark.parametrize("of", ["pool", "stage1.block0", "stage2.block0", "features"])
@pytest.mark.parametrize("per", ["image", "place"])
def test_points_know_what_units_and_features_do_there(seeing, learned, of, per):
    model, images = seeing
    own = images.image(7)
    space = mt.image_space(model, "stage1.block0", images, per=per, own=own, limit=96)
    read = learned if of == "features" else of
    found = point_activity_of(mt.point_activity(model, space, read, images, own=own))
    kept = point_activity_of(mt.point_activity(model, space, read, own=own))  # of small images
    grid = space.params["grid"]
    for row in (0, 5, len(space.array("points")) - 1):
        prompt, position = (int(space.array(f"point_{x}")[row]) for x in ("prompt", "position"))
        image = own if prompt < 0 else images.image(space.params["numbers"][prompt])
        maps = _plain_maps(model, image, LAYER if of == "features" else of)
        if of == "features":
            codes = learned.encode(torch.tensor(maps).flatten(1).T).T
            maps = codes.reshape(-1, *maps.shape[1:]).numpy()
        expected = maps.mean((1, 2))
        if per == "place":
            at = divmod(position, grid[1])
            at = [a * n // g for a, n, g in zip(at, maps.shape[1:], grid, strict=True)]
            expected = maps[:, at[0], at[1]]
        mine = [found.of(number)[row] for number in range(len(expected))]
        np.testing.assert_allclose(mine, expected, atol=1e-5)
    np.testing.assert_allclose(kept.of(3), found.of(3), atol=1e-6)
    assert np.isfinite(found.of(3)).all()


def _plain_maps(model, image, layer):
    with model.sight.reading([layer]) as read, torch.inference_mode():
        model.sight.logits(model.sight.pixels([image]))
    values = read[layer][0]
    return (values if values.dim() == 3 else values[:, None, None]).numpy()


def test_points_of_another_set_or_image_are_refused(seeing):
    model, images = seeing
    space = mt.image_space(model, "pool", images, limit=22, own=images.image(3))
    with pytest.raises(InputError, match="is not the set"):
        mt.point_activity(model, space, "pool", images.of("face"), own=images.image(3))
    with pytest.raises(InputError, match="points of an image of its own"):
        mt.point_activity(model, space, "pool", images)
