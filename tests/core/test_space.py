"""The feature space of a site against the same thing done with one array and no streaming."""

from __future__ import annotations

import numpy as np
import pytest

from microtome.activations.capture import trace
from microtome.analysis.projection import project
from microtome.analysis.space import feature_space, feature_spaces
from microtome.errors import Cancelled, InputError
from microtome.jobs import Job
from microtome.prompt_sets import PromptSet, SetPair
from microtome.sites import Site

PROMPTS = [tuple(row.tolist()) for row in np.random.default_rng(0).integers(0, 61, (20, 6))]


def test_points_are_the_projection_of_all_positions_of_all_prompts(tiny_model):
    model, site = tiny_model("llama"), Site("resid_post", 1)
    found = feature_space(model, site, PROMPTS)
    rows = np.concatenate([trace(model, ids, sites=(site,)).activation(site) for ids in PROMPTS])
    expected = project(rows)
    assert found.id == "projection/resid_post.1"
    np.testing.assert_allclose(found.array("points"), expected.points, atol=1e-5)
    np.testing.assert_allclose(found.array("mean"), expected.mean, atol=1e-6)
    assert found.array("point_prompt").tolist() == [row for row in range(20) for _ in range(6)]
    assert found.array("point_position").tolist() == [0, 1, 2, 3, 4, 5] * 20
    assert set(found.array("point_layer").tolist()) == {1}
    assert found.params["n"] == 120
    assert len(found.params["prompts"]) == 20


def test_a_site_without_a_layer_gives_points_of_every_layer(tiny_model):
    model = tiny_model("gpt2")
    found = feature_space(model, Site("mlp_out"), PROMPTS[:2])
    assert found.array("point_layer").tolist() == ([0] * 6 + [1] * 6 + [2] * 6) * 2
    runs = [trace(model, ids, sites=("mlp_out",)).activation("mlp_out") for ids in PROMPTS[:2]]
    rows = np.concatenate([run.reshape(-1, run.shape[-1]) for run in runs])
    np.testing.assert_allclose(found.array("points"), project(rows).points, atol=1e-5)


def test_one_head_and_all_heads_of_a_site(tiny_model):
    model = tiny_model("qwen3")
    head = feature_space(model, Site("z", 2, 1), PROMPTS[:4])
    every = feature_space(model, Site("z", 2), PROMPTS[:4])
    assert head.array("components").shape[1] == model.identity.d_head
    assert every.array("components").shape[1] == model.identity.d_head * model.identity.n_heads
    outside = feature_space(model, Site("embed"), PROMPTS[:4])
    assert set(outside.array("point_layer").tolist()) == {-1}


def prompt_set(name: str, rows: range) -> PromptSet:
    pairs = tuple(SetPair(PROMPTS[row], PROMPTS[row], 1, 2) for row in rows)
    return PromptSet(name, name, "tiny", "", pairs)


def test_tasks_take_turns_so_that_the_limit_cuts_all_alike(tiny_model):
    sets = [prompt_set("name", range(10)), prompt_set("agreement", range(10, 20))]
    found = feature_space(tiny_model("gpt2"), Site("resid_pre", 0), sets, limit=40)
    tasks = found.array("point_task").tolist()
    assert len(tasks) == 40
    assert tasks.count("name") == 22  # of the fourth prompt the limit leaves 4 tokens
    assert tasks[:12] == ["name"] * 6 + ["agreement"] * 6
    assert len(found.params["prompts"]) == 7


def test_texts_take_their_task_from_beside_them(tiny_model):
    tasks = ["a", "b"] * 2
    found = feature_space(tiny_model("gpt2"), Site("embed"), PROMPTS[:4], tasks=tasks)
    assert found.array("point_task")[::6].tolist() == ["a", "b", "a", "b"]
    with pytest.raises(InputError, match="2 tasks were given for 1 prompts"):
        feature_space(tiny_model("gpt2"), Site("embed"), PROMPTS[:1], tasks=["a", "b"])


def test_partial_pictures_come_while_prompts_run(tiny_model):
    partial = []
    job = Job(on_partial=lambda name, value: partial.append((name, value)))
    feature_space(tiny_model("gpt2"), Site("resid_post", 0), PROMPTS, job=job)
    assert [name for name, _ in partial] == ["analysis", "analysis"]
    assert [value.params["n"] for _, value in partial] == [48, 96]
    assert partial[0][1].id == "projection/resid_post.0"


def test_a_cancel_stops_after_what_was_already_shown(tiny_model):
    shown = []

    def stop(_name, value):
        shown.append(value)
        job.cancel()

    job = Job(on_partial=stop)
    with pytest.raises(Cancelled):
        feature_space(tiny_model("gpt2"), Site("resid_post", 0), PROMPTS, job=job)
    assert len(shown) == 1


@pytest.mark.parametrize("name", ["pattern", "norm1_scale"])
def test_a_site_without_vectors_at_positions_is_refused(tiny_model, name):
    with pytest.raises(InputError, match="no activation vector at each position"):
        feature_space(tiny_model("gpt2"), Site(name, 0), PROMPTS)


def test_no_prompts_are_refused(tiny_model):
    with pytest.raises(InputError, match="no prompts"):
        feature_space(tiny_model("gpt2"), Site("embed"), [])


def test_real_text_keeps_its_tokens(embedded):
    model = embedded("words-4l")
    found = feature_space(model, Site("resid_post", 3), ["When Mary and John went"])
    assert found.array("point_token").tolist() == list(
        model.tokenize("When Mary and John went").texts
    )


def test_several_layers_at_once_are_each_what_one_alone_is(tiny_model, monkeypatch):
    model = tiny_model("llama")
    sites = [Site("resid_post", layer) for layer in range(3)]
    one_at_a_time = 4 * 50 * max(model.identity.d_model, model.identity.d_mlp)
    for held in (2**30, one_at_a_time):  # together, and one after the other
        monkeypatch.setattr("microtome.analysis.space._HELD_BYTES", held)
        found = list(feature_spaces(model, sites, PROMPTS, limit=50))
        for site, analysis in zip(sites, found, strict=True):
            alone = feature_space(model, site, PROMPTS, limit=50)
            assert analysis.id == alone.id
            assert analysis.params == alone.params
            for name in alone.arrays:
                np.testing.assert_array_equal(analysis.array(name), alone.array(name))


def test_layers_are_named_and_come_as_they_are_ready(tiny_model):
    model, job = tiny_model("gpt2"), Job()
    with pytest.raises(InputError, match="names no layer"):
        next(feature_spaces(model, [Site("resid_post")], PROMPTS))
    layers = feature_spaces(model, [Site("embed"), Site("resid_post", 0)], PROMPTS[:4], job=job)
    assert next(layers).id == "projection/embed"
    job.cancel()
    with pytest.raises(Cancelled):
        next(layers)
