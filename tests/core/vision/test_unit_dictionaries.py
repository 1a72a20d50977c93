"""Dictionaries of layers of units: rows, figures against plain sums, top images, saving."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import microtome as mt
from microtome.errors import CorpusError, DictionaryMismatch, InputError, SiteMissing
from microtome.features.training.units import unit_rows
from microtome.jobs import Job
from microtome.records.feature_selectivity import selectivity_of
from microtome.vision import feature_maps

LAYER = "stage2.block0"


@pytest.fixture(scope="module")
def learned():
    model, images = mt.load_model("shapes-resnet"), mt.load_image_set("shapes").of("face")
    made = mt.train_dictionary(model, images, LAYER, width=40, k=3, steps=150, batch=64)
    return model, images, made.dictionary


def plain(model, images, layer):
    """Values [image, place, unit] of a layer, by a hook of PyTorch."""
    path = {LAYER: "resnet.encoder.stages.2.layers.0", "pool": "resnet.pooler"}[layer]
    found = []
    hook = model.module.get_submodule(path).register_forward_hook(lambda *a: found.append(a[2]))
    with torch.inference_mode():
        pixels = model.sight.pixels([images.image(at) for at in range(len(images))])
        logits = model.module(pixel_values=pixels).logits
    hook.remove()
    return found[0].flatten(2).movedim(1, 2), logits, pixels


def test_rows_are_the_values_at_each_place_of_each_image(learned):
    model, images, _ = learned
    for layer in (LAYER, "pool"):
        values = plain(model, images, layer)[0].flatten(0, 1).numpy()
        rows = unit_rows(model, model.sight.layer(layer), images, limit=None, seed=0, job=Job())
        np.testing.assert_allclose(next(rows.pieces(layer)), values, atol=1e-6)
        few = unit_rows(model, model.sight.layer(layer), images, limit=9, seed=0, job=Job())
        assert few.n == 9


def test_figures_are_those_of_plain_sums(learned):
    model, images, dictionary = learned
    values, own, pixels = plain(model, images, LAYER)
    codes = dictionary.encode(values)
    back = dictionary.decode(codes)
    missed = (back - values).square().sum() / (values - values.mean((0, 1))).square().sum()
    scores = mt.evaluate_dictionary(model, dictionary, images)
    assert scores.explained_variance == pytest.approx(1 - float(missed), abs=1e-5)
    assert scores.explained_variance > 0.8
    assert scores.l0 == pytest.approx(float((codes > 0).sum(-1).float().mean()))
    assert scores.dead == float((codes.amax((0, 1)) == 0).float().mean())
    assert scores.positions == 4 * len(images)
    shape = (len(images), dictionary.d_out, 2, 2)
    stage = model.module.get_submodule("resnet.encoder.stages.2.layers.0")
    hook = stage.register_forward_hook(lambda *_: back.movedim(1, 2).reshape(shape))
    with torch.inference_mode():
        put = model.module(pixel_values=pixels).logits
    hook.remove()
    entropy = torch.nn.functional.cross_entropy(put, own.argmax(-1))
    assert scores.reconstructed == pytest.approx(float(entropy), abs=1e-5)
    assert scores.cross_entropy < scores.reconstructed < scores.zeroed


def test_a_training_tells_what_of_the_cross_entropy_comes_back(learned):
    model, images, _ = learned
    options = {"width": 40, "k": 3, "steps": 60, "batch": 64}
    made = mt.train_dictionary(model, images, LAYER, **options, watch_every=30)
    assert len(images) <= 128  # all of them are measured on
    told = made.curve.recovered[np.isfinite(made.curve.recovered)]
    scores = mt.evaluate_dictionary(model, made.dictionary, images)
    assert told[-1] == pytest.approx(scores.recovered, abs=1e-5)
    lost = scores.zeroed - scores.cross_entropy
    assert scores.recovered == pytest.approx(
        1 - (scores.reconstructed - scores.cross_entropy) / lost
    )
    assert len(told) == 2
    quiet = mt.train_dictionary(model, images, LAYER, **options, watch_every=0)
    assert np.isnan(quiet.curve.recovered).all()


def test_the_top_images_of_a_feature_come_with_its_map(learned):
    model, images, dictionary = learned
    codes = dictionary.encode(plain(model, images, LAYER)[0]).numpy()
    feature = int(codes.max((0, 1)).argmax())
    found = mt.feature_images(model, dictionary, images, feature, count=5)
    strongest = codes[..., feature].max(1)
    np.testing.assert_array_equal(found.array("number"), np.argsort(-strongest, kind="stable")[:5])
    first = int(found.array("number")[0])
    expected = codes[first, :, feature].reshape(2, 2)
    np.testing.assert_allclose(found.array("maps")[0], expected, atol=1e-5)
    np.testing.assert_array_equal(found.array("thumbnails")[0], images.images[first])
    told = mt.feature_selectivity(model, dictionary, images)
    of_class = codes.mean(1)[:, feature]
    inside = images.labels == 2
    index = (of_class[inside].mean() - of_class[~inside].mean()) / (
        of_class[inside].std() + of_class[~inside].std()
    )
    assert told.array("by_class")[2, feature] == pytest.approx(index, abs=1e-4)
    seen = selectivity_of(told)
    np.testing.assert_allclose(seen.rate, (codes > 0).mean((0, 1)))
    np.testing.assert_allclose(seen.peak, codes.max((0, 1)), atol=1e-5)
    peaks = codes.max(1)
    for each in range(40):
        order = np.argsort(-peaks[:, each], kind="stable")[:10]
        order = order[peaks[order, each] > 0]
        examples = seen.examples(each)
        assert [seen.number[each, kept] for kept, _ in examples] == order.tolist()
        for (kept, row), at in zip(examples, order.tolist(), strict=True):
            expected = codes[at, :, each].reshape(2, 2)
            np.testing.assert_allclose(seen.map_of(each, kept), expected, atol=1e-5)
            np.testing.assert_array_equal(seen.thumbnails[row], images.images[at])
            assert seen.label[row] == images.labels[at]


def test_maps_and_images_that_are_too_many_are_left_out(learned, monkeypatch):
    model, images, dictionary = learned
    whole = selectivity_of(mt.feature_selectivity(model, dictionary, images))
    assert whole.left_out == (0, 0)
    size = 32 * 32  # of an image of one channel
    monkeypatch.setattr(feature_maps, "MAP_BYTES", 4 * 4 * 45)
    monkeypatch.setattr(feature_maps, "IMAGE_BYTES", size * 20)
    some = selectivity_of(mt.feature_selectivity(model, dictionary, images))
    there = whole.number >= 0
    assert len(some.maps) == (some.map_at >= 0).sum() == 45
    assert len(some.thumbnails) == 20
    missing = ~np.isin(whole.number[there], some.shown)
    assert some.left_out == (there.sum() - 45, missing.sum())
    assert missing.any()
    best = np.nan_to_num(whole.by_class, nan=-np.inf).max(0)
    first = [int(feature) for feature in np.argsort(-best, kind="stable")][:3]
    for feature in first:  # what the page shows first is kept
        np.testing.assert_array_equal(some.map_of(feature, 0), whole.map_of(feature, 0))
        row = some.examples(feature)[0][1]
        np.testing.assert_array_equal(some.thumbnails[row], images.images[some.number[feature, 0]])
    kept, pictured = some.map_at >= 0, there & np.isin(whole.number, some.shown)
    assert np.nonzero(kept)[1].max() <= np.nonzero(pictured & ~kept)[1].min()  # first images first


def test_sets_of_one_name_have_results_of_their_own(learned):
    model, images, dictionary = learned
    other = replace(images, images=255 - images.images)
    assert other.name == images.name
    found = [mt.feature_selectivity(model, dictionary, one) for one in (images, other)]
    assert found[0].id != found[1].id
    assert found[0].id == mt.feature_selectivity(model, dictionary, images).id
    tops = [mt.feature_images(model, dictionary, one, 0) for one in (images, other)]
    assert tops[0].id != tops[1].id


def test_a_saved_dictionary_still_knows_its_layer(learned, tmp_path):
    model, images, dictionary = learned
    mt.save_dictionary(dictionary, tmp_path / "faces")
    again = mt.load_dictionary(tmp_path / "faces")
    assert (again.identity.reads, again.identity.model) == (LAYER, "shapes-resnet")
    assert mt.evaluate_dictionary(model, again, images).told() == pytest.approx(
        mt.evaluate_dictionary(model, dictionary, images).told()
    )


def test_what_does_not_belong_together_is_refused(learned):
    model, images, dictionary = learned
    with pytest.raises(DictionaryMismatch, match="was trained on shapes-resnet"):
        mt.evaluate_dictionary(mt.load_model("induction-exact-tiny"), dictionary, images)
    with pytest.raises(SiteMissing, match="no layer of units 'stage9'"):
        mt.train_dictionary(model, images, "stage9")
    with pytest.raises(CorpusError, match="read images, not"):
        mt.train_dictionary(model, "words-4l", LAYER)
    with pytest.raises(InputError, match="no transcoders"):
        mt.train_dictionary(model, images, LAYER, writes="pool")
    with pytest.raises(InputError, match="no feature 40"):
        mt.feature_images(model, dictionary, images, 40)
