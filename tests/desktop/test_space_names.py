"""Names of clusters stand beside the points, inside the view, off each other."""

from __future__ import annotations

import numpy as np

from microtome_desktop.presenters.space_names import names_beside

ROOM = (400.0, 300.0)


def covered(centres, sizes, points):
    """How many points lie under each name."""
    under = np.abs(points[None] - centres[:, None]) <= sizes[:, None] / 2
    return under.all(axis=2).sum(axis=1)


def test_names_leave_their_points_and_stay_in_view():
    draw = np.random.default_rng(0)
    places = np.array([[120.0, 150.0], [280.0, 150.0], [30.0, 290.0]])
    points = np.concatenate([draw.normal(place, 14, (300, 2)) for place in places])
    sizes = np.array([[60.0, 16.0], [90.0, 16.0], [40.0, 16.0]])
    centres = places + names_beside(places, sizes, points, ROOM)
    assert covered(places, sizes, points).min() > 50
    assert covered(centres, sizes, points).max() <= 3
    assert np.all(centres >= sizes / 2)
    assert np.all(centres <= np.array(ROOM) - sizes / 2)
    assert np.hypot(*(centres - places).T).max() < 110  # but no farther than needed


def test_two_names_of_one_place_do_not_cover_each_other_and_a_free_one_stays():
    places = np.array([[200.0, 150.0], [200.0, 150.0], [60.0, 60.0]])
    sizes = np.full((3, 2), (60.0, 16.0))
    moves = names_beside(places, sizes, np.zeros((0, 2)), ROOM)
    np.testing.assert_array_equal(moves[[0, 2]], 0)
    assert np.any(np.abs(moves[1]) >= (60.0, 16.0))


def test_no_name_is_put_where_something_lies_over_the_drawing():
    corner = np.array([100.0, 15.0, 200.0, 30.0])  # middle and size
    places, sizes = np.array([[90.0, 20.0], [90.0, 44.0]]), np.full((2, 2), (60.0, 16.0))
    centres = places + names_beside(places, sizes, np.zeros((0, 2)), ROOM, corner)
    under = np.abs(centres - corner[:2]) < (sizes + corner[2:]) / 2
    assert not under.all(axis=1).any()
