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
from microtome.analysis.projection import from_analysis
from microtome.errors import DictionaryMismatch, InputError
from microtome.features.dictionary import Dictionary
from microtome.features.rules import Weights
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
    try:
        import umap  # noqa: F401
    except ImportError:
        with pytest.raises(InputError, match="UMAP is not installed"):
            mt.feature_space(one, method="umap")
