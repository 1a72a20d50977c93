"""The run's own tokens land where the projection's own arithmetic puts them."""

from __future__ import annotations

import numpy as np
import pytest

from microtome.analysis.placing import OWN_PROMPT, own_space, place
from microtome.analysis.projection import PointLabels, project, to_analysis
from microtome.records.model import ModelIdentity
from microtome.records.trace import Activation, Trace
from microtome.sites import Site

SITE = Site("resid_post", 1)


@pytest.fixture
def cloud():
    return np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32) + 3


@pytest.fixture
def analysis(cloud):
    zeros = np.zeros(40, np.int32)
    labels = PointLabels(zeros, np.arange(40, dtype=np.int32), zeros, ("a",) * 40, ("task",) * 40)
    return to_analysis(project(cloud, 3), SITE, labels, ["text"])


def trace_of(rows: np.ndarray) -> Trace:
    length = len(rows)
    identity = ModelIdentity("m", "gpt2", "0", 2, 1, 1, 6, 6, 8, 5, None, 10)
    values = np.stack([np.zeros_like(rows), rows])
    tops = np.zeros((length, 1), np.float32)
    return Trace(
        identity, "p", np.arange(length, dtype=np.int32), tuple("w" * length),
        tops.astype(np.int32), tops, tops, (("x",),) * length, None,
        {"resid_post": Activation(values, (0, 1))},
    )  # fmt: skip


def test_points_of_the_cloud_land_on_themselves(analysis, cloud):
    placed = place(analysis, trace_of(cloud[:5]))
    points, prompts = placed.array("points"), placed.array("point_prompt")
    assert np.allclose(points[prompts == OWN_PROMPT], analysis.array("points")[:5], atol=1e-5)
    assert np.array_equal(points[prompts != OWN_PROMPT], analysis.array("points"))
    assert placed.array("point_position")[40:].tolist() == [0, 1, 2, 3, 4]


def test_a_second_run_takes_the_place_of_the_first(analysis, cloud):
    once = place(place(analysis, trace_of(cloud[:5])), trace_of(cloud[5:8]))
    plain = place(analysis, trace_of(cloud[5:8]))
    for name in plain.arrays:
        assert np.array_equal(once.array(name), plain.array(name)), name


def test_long_tokens_are_not_cut(analysis, cloud):
    placed = place(analysis, trace_of(cloud[:1]))
    assert placed.array("point_task")[-1] == "this prompt"


def test_a_run_alone_is_projected_as_its_rows_are(cloud):
    run = trace_of(cloud[:12])
    alone = own_space(run, SITE)
    plain = project(cloud[:12], 3)
    assert np.allclose(alone.array("points"), plain.points)
    assert set(alone.array("point_prompt")) == {OWN_PROMPT}
    both = own_space(run, Site("resid_post"))
    assert both.array("point_layer").tolist() == [0] * 12 + [1] * 12
    assert both.array("point_position").tolist() == [*range(12), *range(12)]
