"""Turning clouds onto each other, against scipy's own solution."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import orthogonal_procrustes

from microtome.analysis.aligning import alignment
from microtome.errors import InputError


def test_the_rotation_is_the_nearest_orthogonal_one():
    draw = np.random.default_rng(0)
    points, reference = draw.standard_normal((2, 200, 3))
    found = alignment(points, reference)
    np.testing.assert_allclose(found, orthogonal_procrustes(points, reference)[0], atol=1e-12)
    np.testing.assert_allclose(found @ found.T, np.eye(3), atol=1e-12)


def test_a_turned_and_mirrored_cloud_is_turned_back():
    draw = np.random.default_rng(1)
    cloud = draw.standard_normal((500, 3)) * (3, 2, 1)
    turned = cloud @ np.linalg.qr(draw.standard_normal((3, 3)))[0] @ np.diag([1, -1, 1])
    back = turned.astype(np.float32) @ alignment(turned.astype(np.float32), cloud)
    np.testing.assert_allclose(back, cloud, atol=1e-5)


def test_clouds_of_other_points_are_refused_and_none_stay_as_they_are():
    with pytest.raises(InputError, match="cannot be aligned"):
        alignment(np.zeros((3, 3)), np.zeros((4, 3)))
    np.testing.assert_array_equal(alignment(np.zeros((0, 3)), np.zeros((0, 3))), np.eye(3))
