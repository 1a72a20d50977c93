"""Small models compute on one thread, and torch has its threads back afterwards."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import microtome as mt
from microtome.errors import Cancelled, SiteMissing
from microtome.jobs import Job
from microtome.models import small
from microtome.records.lesion import lesion_of


@pytest.fixture
def model():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield mt.load_model("shapes-resnet")
    torch.set_num_threads(before)


def asked(model, job):
    """All that reads a model that sees; what comes of it, as arrays."""
    images = mt.load_image_set("shapes").of("face")
    reading = mt.read_layer(model, "pool", images, job)
    lost = mt.lesion(model, ["pool/3", "pool/5"], images, controls=2, job=job)
    map_ = mt.attribution_map(model, images.image(0), 0, method="occlusion", job=job)
    return [
        reading.activity.mean,
        reading.tuning.response,
        lesion_of(lost).curve,
        map_.array("map"),
    ]


def test_a_small_model_computes_on_one_thread_and_a_large_one_on_all(model, monkeypatch):
    counts = []
    job = Job(on_progress=lambda _: counts.append(torch.get_num_threads()))
    small_found = asked(model, job)
    assert set(counts) == {1}
    assert torch.get_num_threads() == 2
    counts.clear()
    monkeypatch.setattr(small, "_WEIGHTS", sum(p.numel() for p in model.module.parameters()) - 1)
    large_found = asked(model, job)
    assert set(counts) == {2}
    for one, other in zip(small_found, large_found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_threads_come_back_where_it_is_stopped_or_fails(model):
    held = []

    def stop(_):
        assert torch.get_num_threads() == 1
        held[-1].cancel()

    images = mt.load_image_set("shapes").of("face")
    for ask in (
        lambda job: mt.read_layer(model, "pool", images, job),
        lambda job: mt.lesion(model, ["pool/3"], images, controls=2, job=job),
        lambda job: mt.visualise(model, "pool/3", results=1, job=job),
    ):
        held.append(Job(on_progress=stop))
        with pytest.raises(Cancelled):
            ask(held[-1])
        assert torch.get_num_threads() == 2
    with pytest.raises(SiteMissing):
        mt.read_layer(model, "nowhere", images)
    assert torch.get_num_threads() == 2


def test_so_do_small_models_that_read_words(model, monkeypatch):
    words, counts = mt.load_model("words-4l"), []
    hook = words.module.register_forward_pre_hook(lambda *_: counts.append(torch.get_num_threads()))
    mt.trace(words, "When")
    assert counts == [1]
    assert torch.get_num_threads() == 2
    monkeypatch.setattr(small, "_WEIGHTS", words.identity.n_parameters - 1)
    mt.trace(words, "When")
    assert counts == [1, 2]
    hook.remove()
