"""Principal components against a float64 singular value decomposition of all rows at once."""

import numpy as np
import pytest

from microtome.analysis.projection import (
    Axes,
    Covariance,
    PointLabels,
    from_analysis,
    project,
    to_analysis,
)
from microtome.errors import InputError
from microtome.sites import Site


def stream_like(rows: int, d: int, seed: int = 0) -> np.ndarray:
    """Rows like a residual stream: falling variances, three dimensions with a mean near 100."""
    random = np.random.default_rng(seed)
    rotation = np.linalg.qr(random.normal(size=(d, d)))[0]
    data = (random.normal(size=(rows, d)) * np.arange(1, d + 1) ** -0.7) @ rotation
    data[:, [1, 4, 7]] += [100.0, -96.0, 103.0]
    return data.astype(np.float32)


def plain(data: np.ndarray, components: int) -> Axes:
    """The definition, in float64: centre, decompose, square."""
    wide = data.astype(np.float64)
    mean = wide.mean(axis=0)
    _, singular, vectors = np.linalg.svd(wide - mean, full_matrices=False)
    variance = singular**2 / (len(wide) - 1)
    top = vectors[:components]
    top = top * np.sign(top[np.arange(len(top)), np.abs(top).argmax(axis=1)])[:, None]
    return Axes(top, mean, variance[:components], variance[:components] / variance.sum())


def test_agrees_with_the_full_decomposition_despite_means_of_100():
    data = stream_like(40_000, 24)
    found, expected = project(data, 5), plain(data, 5)
    np.testing.assert_allclose(found.explained_variance, expected.explained_variance, rtol=1e-6)
    np.testing.assert_allclose(
        found.explained_variance_ratio, expected.explained_variance_ratio, rtol=1e-6
    )
    np.testing.assert_allclose(found.mean, expected.mean, atol=1e-7)
    np.testing.assert_allclose(found.components, expected.components, atol=1e-5)
    by_hand = (data.astype(np.float64) - expected.mean) @ expected.components.T
    np.testing.assert_allclose(found.points, by_hand, atol=1e-4)


def test_points_are_float32_and_have_the_stated_variance():
    found = project(stream_like(3_000, 10))
    assert found.points.dtype == np.float32
    assert found.points.shape == (3_000, 3)
    np.testing.assert_allclose(found.points.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(
        found.points.var(axis=0, ddof=1), found.explained_variance, rtol=1e-5
    )


def test_a_stream_of_uneven_blocks_gives_the_same_as_one_array():
    data = stream_like(20_000, 12)
    blocks = np.split(data, [1, 18, 400, 17_000, 19_999])
    whole, streamed = project(data), project(block for block in blocks)
    np.testing.assert_allclose(streamed.components, whole.components, atol=1e-6)
    np.testing.assert_allclose(streamed.points, whole.points, atol=1e-4)


def test_two_halves_of_a_stream_merge_even_when_their_means_differ():
    data = stream_like(6_000, 8)
    data[3_000:] += 250.0
    first, second = Covariance(8), Covariance(8)
    first.add(data[:3_000])
    second.add(data[3_000:])
    first.merge(second)
    expected = plain(data, 3)
    found = first.axes(3)
    np.testing.assert_allclose(found.explained_variance, expected.explained_variance, rtol=1e-6)
    np.testing.assert_allclose(found.components, expected.components, atol=1e-5)


def test_merging_an_empty_accumulator_changes_nothing():
    data = stream_like(100, 9)
    covariance = Covariance(9)
    covariance.merge(Covariance(9))
    covariance.add(data)
    covariance.merge(Covariance(9))
    np.testing.assert_allclose(
        covariance.axes(2).explained_variance, plain(data, 2).explained_variance, rtol=1e-6
    )


def test_the_sign_does_not_depend_on_the_order_of_rows():
    data = stream_like(500, 9)
    forward, backward = project(data), project(data[::-1])
    np.testing.assert_allclose(forward.components, backward.components, atol=1e-6)
    largest = np.abs(forward.components).argmax(axis=1)
    assert (forward.components[np.arange(3), largest] > 0).all()


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_other_number_types_are_taken(dtype: type):
    data = np.round(stream_like(300, 9) * 4).astype(dtype)
    np.testing.assert_allclose(
        project(data).explained_variance, plain(data, 3).explained_variance, rtol=1e-5
    )


def test_few_rows_and_few_dimensions():
    assert project(np.eye(2, dtype=np.float32), 3).points.shape == (2, 2)
    alone = project(np.full((1, 5), 7.0), 3)
    np.testing.assert_array_equal(alone.explained_variance_ratio, np.zeros(3))
    np.testing.assert_allclose(alone.points, 0, atol=1e-6)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (np.zeros((0, 4)), "0 rows"),
        ([], "no activations"),
        (np.array([[1.0, np.nan], [0.0, 1.0]]), "not finite"),
        (np.array([[1e30, 0.0], [0.0, 1.0]]), "not finite"),
        ([np.zeros((2, 3)), np.zeros((2, 4))], "one width"),
    ],
)
def test_what_cannot_be_projected_is_refused(data: object, words: str):
    with pytest.raises(InputError, match=words):
        project(data)


def test_a_record_gives_the_projection_back_and_places_new_rows():
    data = stream_like(40, 9)
    found = project(data)
    rows = np.arange(40)
    labels = PointLabels(rows // 8, rows % 8, np.full(40, 2), ("a",) * 40, ("name",) * 40)
    record = to_analysis(found, Site("resid_post", 2), labels, ["text"] * 5)
    assert record.id == "projection/resid_post.2"
    assert record.kind == "projection"
    assert record.params["n"] == 40
    assert record.params["layer"] == 2
    assert record.array("point_token").dtype.kind == "U"
    assert record.array("point_position").tolist() == (rows % 8).tolist()
    again = from_analysis(record)
    np.testing.assert_array_equal(again.points, found.points)
    np.testing.assert_allclose(again.apply(data[:5]), found.points[:5], atol=1e-6)


def test_a_library_s_way_in_float32_is_wrong_where_means_are_large():
    """Centre by numpy's float32 mean, decompose in float32: what scikit-learn's ``full`` does."""
    data = stream_like(100_000, 12)
    data[:, [1, 4, 7]] += [900.0, -900.0, 900.0]
    _, singular, vectors = np.linalg.svd(data - data.mean(axis=0), full_matrices=False)
    expected, found = plain(data, 3), project(data, 3)
    theirs = singular[:3] ** 2 / (len(data) - 1)
    np.testing.assert_allclose(found.explained_variance, expected.explained_variance, rtol=1e-5)
    assert np.abs(theirs / expected.explained_variance - 1).max() > 0.05
    turned = np.abs((vectors[:3] * expected.components).sum(axis=1)).min()
    assert turned < 0.99 < np.abs((found.components * expected.components).sum(axis=1)).min()
