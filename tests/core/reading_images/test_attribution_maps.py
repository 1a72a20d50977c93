"""Attribution maps against plain computations of our own, and against known truth."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from microtome.errors import AnswerError, Cancelled, InputError, SiteMissing
from microtome.jobs import Job
from microtome.prompts import ImageInput
from microtome.vision.attribution import METHODS, attribution_map, baseline_pixels


def _score(model, pixels, answer=1, wrong=None):
    logits = model.sight.logits(pixels)
    return logits[:, answer] - (0 if wrong is None else logits[:, wrong])


@pytest.mark.parametrize("kind", ["resnet", "vit"])
def test_integrated_gradients_are_a_riemann_sum_and_complete(seeing, images, kind):
    model, image = seeing(kind), images.image(3)
    found = attribution_map(model, image, 1, wrong=0, steps=80, baseline="black")
    pixels, black = model.sight.pixels([image]), baseline_pixels(model.sight, "black")
    steps = 200
    shares = ((torch.arange(steps) + 0.5) / steps).view(-1, 1, 1, 1)
    path = (black + shares * (pixels - black)).requires_grad_()
    (slope,) = torch.autograd.grad(_score(model, path, 1, 0).sum(), path)
    plain = ((pixels - black) * slope.mean(dim=0, keepdim=True)).sum(dim=1)[0]
    size = float(plain.abs().max())
    np.testing.assert_allclose(found.array("map"), plain, atol=0.05 * size)
    change = float((_score(model, pixels, 1, 0) - _score(model, black, 1, 0)).detach())
    error = found.array("map").sum() - change
    assert found.params["completeness_error"] == pytest.approx(error, abs=1e-4 * (1 + abs(change)))
    assert abs(error) < 0.05 * (1 + abs(change))


def test_baselines_are_what_the_model_reads_of_even_images(seeing):
    model = seeing("resnet")
    for name, level in (("black", 0), ("white", 255)):
        even = ImageInput(np.full((16, 16, 1), level, np.uint8), name, prepared=True)
        read = model.sight.pixels([even])
        torch.testing.assert_close(baseline_pixels(model.sight, name), read)


def test_occlusion_is_what_covering_each_part_takes_away(seeing, images):
    model, image = seeing("resnet"), images.image(5)
    found = attribution_map(
        model, image, 2, method="occlusion", window=6, stride=5, baseline="white"
    )
    pixels, white = model.sight.pixels([image]), baseline_pixels(model.sight, "white")
    total, times = np.zeros((16, 16)), np.zeros((16, 16))
    with torch.no_grad():
        whole = float(_score(model, pixels, 2))
        for row in (0, 5, 10):  # the last window ends with the image
            for column in (0, 5, 10):
                covered = pixels.clone()
                part = (slice(row, row + 6), slice(column, column + 6))
                covered[0, 0][part] = white[0, 0][part]
                total[part] += whole - float(_score(model, covered, 2))
                times[part] += 1
    np.testing.assert_allclose(found.array("map"), total / times, atol=1e-5)


@pytest.mark.parametrize(("kind", "layer"), [("resnet", "stage0.block0"), ("vit", "resid_post.0")])
def test_grad_cam_weights_maps_by_their_mean_gradient(seeing, images, kind, layer):
    model, image = seeing(kind), images.image(7)
    found = attribution_map(model, image, 0, method="grad-cam", layer=layer)
    kept = []
    watched = lambda values: kept.append(values.detach().clone().requires_grad_()) or kept[0]  # noqa: E731
    with model.sight.changing({layer: watched}):
        (slope,) = torch.autograd.grad(_score(model, model.sight.pixels([image]), 0).sum(), kept)
    maps, slopes = kept[0].detach()[0], slope[0]
    if kind == "vit":  # without the class token
        maps, slopes = (each[:, 1:].reshape(-1, 4, 4) for each in (maps, slopes))
    plain = (slopes.mean(dim=(1, 2))[:, None, None] * maps).sum(dim=0).clamp(min=0)
    large = torch.nn.functional.interpolate(plain[None, None], size=(16, 16), mode="bilinear")[0, 0]
    np.testing.assert_allclose(found.array("map"), large, rtol=1e-4, atol=1e-6)
    assert found.params["layer"] == layer


def test_gradient_times_input(seeing, images):
    model, image = seeing("convnext"), images.image(1)
    found = attribution_map(model, image, 1, method="gradient-x-input")
    pixels = model.sight.pixels([image]).requires_grad_()
    (slope,) = torch.autograd.grad(_score(model, pixels).sum(), pixels)
    np.testing.assert_allclose(found.array("map"), (slope * pixels)[0, 0].detach(), rtol=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_a_net_that_looks_at_one_patch_is_seen_to(seeing, images, method, monkeypatch):
    model, image = seeing("convnext"), images.image(2)
    # Nothing but rows 4 to 8 and columns 8 to 12 reaches the net.
    mask = torch.zeros(1, 1, 16, 16)
    mask[..., 4:8, 8:12] = 1
    call = model.sight.call
    object.__setattr__(model.sight, "call", lambda net, pixels: call(net, pixels * mask))
    try:
        found = attribution_map(model, image, 1, method=method, window=1, stride=1).array("map")
    finally:
        object.__setattr__(model.sight, "call", call)
    outside = np.abs(np.where(mask[0, 0] > 0, 0, found)).max()
    if method == "grad-cam":  # maps of a coarse grid: elsewhere they are the same everywhere
        return
    assert outside == 0
    assert np.abs(found[4:8, 8:12]).max() > 1e-4


def test_what_cannot_be_asked_is_said(seeing, images):
    model, image = seeing("resnet"), images.image(0)
    with pytest.raises(InputError, match="Methods are integrated-gradients"):
        attribution_map(model, image, method="guessing")
    with pytest.raises(InputError, match="There are grey"):
        attribution_map(model, image, baseline="pink")
    with pytest.raises(InputError, match="at most 16"):
        attribution_map(model, image, method="occlusion", window=17)
    with pytest.raises(SiteMissing, match="Take of stem"):
        attribution_map(model, image, method="grad-cam", layer="pool")
    with pytest.raises(AnswerError, match="Both classes"):
        attribution_map(model, image, 1, wrong=1)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_can_be_stopped(seeing, images, method):
    job = Job(on_progress=lambda _: job.cancel())
    with pytest.raises(Cancelled):
        attribution_map(seeing("resnet"), images.image(0), 1, method=method, job=job)
