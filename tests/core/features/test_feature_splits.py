"""Splitting of features against loops, and their directions in space."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from plain_text_features import CONTEXT, small_dictionary, some_text

import microtome as mt
from microtome.analysis.clusters import direction_clusters
from microtome.analysis.directions import direction_space
from microtome.analysis.feature_space import unit_directions
from microtome.analysis.projection import from_analysis
from microtome.analysis.umap_installed import has_umap
from microtome.errors import Cancelled, DictionaryMismatch, InputError
from microtome.features.dictionary import Dictionary
from microtome.features.rules import Weights
from microtome.jobs import Job
from microtome.records.feature_index import table_of
from microtome.records.feature_splits import splits_analysis, splits_of

SPLIT = 7


def split_dictionary() -> Dictionary:
    """The features of the small one, number 7 as two: what is on above a border and below it."""
    one = small_dictionary()
    both = {name: torch.cat([held, held]) for name, held in one.weights.tensors().items()
            if name != "b_dec"}  # fmt: skip
    both["b_enc"][30:] -= 4.0
    weights = Weights(**both, b_dec=one.weights.b_dec)
    return Dictionary(weights, one.settings, replace(one.identity, name="large"))


def test_large_features_are_found_by_direction_and_by_activity(
    embedded: Callable, tmp_path: Path
) -> None:
    words, small, large = embedded("words-4l"), small_dictionary(), split_dictionary()
    text = some_text(tmp_path)
    found = mt.feature_splits(words, small, large, text, count=3, context=CONTEXT)
    index = mt.feature_index(words, small, text, context=CONTEXT)
    codes, on = [], []
    for row in index.array("tokens"):
        ids = [int(each) for each in row]
        run = mt.trace(words, ids, sites=["resid_post.1"])
        kept = ~np.isin(ids, words.lexicon.special_tokens)
        stream = torch.from_numpy(run.activation("resid_post.1")[kept])
        codes.append(small.encode(stream).numpy())
        on.append(large.encode(stream).numpy() > 0)
    activity, where = np.concatenate(codes)[:, SPLIT], np.concatenate(on)
    shares = np.array([activity[where[:, j]].sum() for j in range(60)]) / activity.sum()
    assert found.share[SPLIT] == pytest.approx(np.sort(shares)[::-1][:3], rel=1e-4)
    assert set(found.alike[SPLIT, :2].tolist()) == {SPLIT, SPLIT + 30}
    assert found.cosine[SPLIT, :2] == pytest.approx([1, 1])
    parts = {number: share for number, share, _ in found.parts(SPLIT, cosine=0.9)}
    assert parts[SPLIT] == pytest.approx(1)
    assert (found.covering[3] == -1).all()  # never on
    again = splits_of(splits_analysis(found))
    assert np.array_equal(again.covering, found.covering)
    assert again.params["small"] == "mine"
    other = small.named(replace(small.identity, reads="resid_post.2", writes="resid_post.2"))
    with pytest.raises(DictionaryMismatch, match=r"writes resid_post\.1, .*resid_post\.2"):
        mt.feature_splits(words, small, other, text)


def test_directions_stand_along_their_principal_axes() -> None:
    one = small_dictionary()
    space = mt.feature_space(one)
    held = one.directions.double().numpy()
    unit = held / np.linalg.norm(held, axis=1, keepdims=True)
    centred = unit - unit.mean(0)
    _, sizes, axes = np.linalg.svd(centred, full_matrices=False)
    assert np.abs(space.array("points")) == pytest.approx(np.abs(centred @ axes[:3].T), abs=1e-4)
    assert space.array("explained_variance") == pytest.approx(sizes[:3] ** 2 / 29)
    assert from_analysis(space).components.shape == (3, 128)
    assert space.array("point_feature").tolist() == list(range(30))
    with pytest.raises(InputError, match="Choose pca or umap"):
        mt.feature_space(one, method="tsne")


def planted(count: int = 40, width: int = 24) -> Dictionary:
    """Features of three directions with a little noise; the first has most."""
    random = torch.Generator().manual_seed(0)
    ways = torch.eye(width)[:3][[0, 0, 1, 2] * (count // 4)]
    noise = torch.randn((count, width), generator=random)
    one = small_dictionary()
    weights = Weights(w_enc=ways.clone(), b_enc=torch.zeros(count), w_dec=ways + 0.02 * noise,
                      b_dec=torch.zeros(width))  # fmt: skip
    told = replace(one.identity, name="planted", d_in=width, d_out=width, d_sae=count,
                   fingerprint="c" * 64)  # fmt: skip
    return Dictionary(weights, one.settings, told)


def test_clusters_are_those_of_the_directions_and_repeat_with_the_seed() -> None:
    one = planted()
    unit = unit_directions(one)
    found = direction_clusters(unit, 3, 0, Job())
    assert np.array_equal(found.reshape(-1, 4), np.tile(found[:4], (10, 1)))
    assert found[0] == found[1] == 0  # the largest comes first
    assert {*found[:4].tolist()} == {0, 1, 2}
    assert np.array_equal(found, direction_clusters(unit, 3, 0, Job()))
    cosines = unit @ unit.T
    assert cosines[0, found == 0].min() > cosines[0, found != 0].max()


def test_a_point_tells_rate_purity_and_the_tokens_of_its_cluster(
    embedded: Callable, tmp_path: Path
) -> None:
    words, one = embedded("words-4l"), small_dictionary()
    index = mt.feature_index(words, one, some_text(tmp_path), context=CONTEXT)
    space = direction_space(one, index)
    assert np.array_equal(space.array("point_rate"), np.float32(table_of(index)["rate"]))
    assert space.params["method"] == "pca"
    assert space.id == "projection/features of mine"
    names = space.array("point_cluster")
    assert names[0].split(":")[0] in {str(number) for number in range(1, 13)}
    first = {name.split(": ", 1)[1].split(" / ")[0] for name in names if ": " in name}
    assert first <= {*space.array("point_token").tolist()}
    plain = direction_space(one)
    assert "point_rate" not in plain.arrays
    assert np.array_equal(plain.array("points"), space.array("points"))


def test_umap_is_asked_for_by_name_where_it_is_not_installed(monkeypatch) -> None:
    monkeypatch.setattr("microtome.analysis.neighbours.has_umap", lambda: False)
    with pytest.raises(InputError, match=r"UMAP is not installed.*Install microtome\[umap\]"):
        direction_space(small_dictionary(), method="umap")


@pytest.mark.skipif(not has_umap(), reason="UMAP is not installed: microtome[umap]")
@pytest.mark.timeout(900)  # it compiles itself for a minute in each process
def test_umap_keeps_near_directions_near_repeats_with_the_seed_and_can_be_stopped() -> None:
    one, seen = planted(), []
    job = Job(on_progress=lambda told: seen.append((told.title, told.done, told.total)))
    space = direction_space(one, method="umap", seed=3, job=job)
    places = space.array("points")
    assert places.shape == (40, 3)
    assert any(title == "Placing by UMAP" and done == total for title, done, total in seen)
    apart = np.linalg.norm(places[:, None] - places[None], axis=-1)
    np.fill_diagonal(apart, np.inf)
    nearest = apart.argmin(axis=1)
    kind = np.tile([0, 0, 1, 2], 10)
    assert (kind[nearest] == kind).mean() > 0.9
    again = direction_space(one, method="umap", seed=3)
    assert np.array_equal(again.array("points"), places)
    assert space.id.endswith("(UMAP)")
    stopped = Job(on_progress=lambda told: stopped.cancel())
    with pytest.raises(Cancelled):
        direction_space(one, method="umap", job=stopped)
