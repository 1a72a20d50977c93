"""Activation maps and class evidence, against what the net itself gives."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from microtome.activations.capture import trace
from microtome.errors import ModelError
from microtome.vision.evidence import unit_evidence
from microtome.vision.maps import image_maps


def test_maps_are_the_layers_own_values_over_the_image(seeing, images):
    model, image = seeing("vit"), images.image(4)
    found = image_maps(model, image, ["z.0", "mlp_post.1"])
    with model.sight.reading(["z.0", "mlp_post.1"]) as held, torch.no_grad():
        model.sight.logits(model.sight.pixels([image]))
    neurons = held["mlp_post.1"][0, :, 1:].reshape(24, 4, 4)
    np.testing.assert_allclose(found.array("mlp_post.1"), neurons, rtol=1e-5)
    heads = held["z.0"][0, :, 1:].norm(dim=-1).reshape(2, 4, 4)
    np.testing.assert_allclose(found.array("z.0"), heads, rtol=1e-5)
    # A head is the same one as where the transformer is read by tokens.
    tokens = trace(model, image).activation("z.0")[1:]  # [patch, head, d_head]
    plain = np.linalg.norm(tokens, axis=-1).T.reshape(2, 4, 4)
    np.testing.assert_allclose(found.array("z.0"), plain, rtol=1e-4)
    order = found.array("order/mlp_post.1")
    largest = found.array("mlp_post.1").max(axis=(1, 2))[order]
    assert (np.diff(largest) <= 0).all()
    np.testing.assert_array_equal(found.array("image"), image.values)


def test_all_layers_of_a_net_are_read_at_once(seeing, images):
    model = seeing("resnet")
    found = image_maps(model, images.image(4))
    assert found.params["layers"] == list(model.sight.layers)
    assert found.array("stem").shape == (4, 8, 8)
    assert found.array("pool").shape == (8,)
    np.testing.assert_allclose(
        found.array("pool"), found.array("stage1.block0").mean(axis=(1, 2)), rtol=1e-4
    )


@pytest.mark.parametrize("kind", ["resnet", "convnext"])
@pytest.mark.parametrize("wrong", [None, 2])
def test_what_channels_add_sums_to_the_logit(seeing, images, kind, wrong):
    model, image = seeing(kind), images.image(9)
    found = unit_evidence(model, image, 1, wrong)
    with torch.no_grad():
        logits = model.sight.logits(model.sight.pixels([image]))[0]
    score = float(logits[1] - (0 if wrong is None else logits[wrong]))
    assert found.params["score"] == pytest.approx(score, rel=1e-5)
    summed = float(found.array("contribution").sum()) + found.params["bias"]
    assert summed == pytest.approx(score, rel=1e-4, abs=1e-5)
    readout = [part for part in model.module.modules() if isinstance(part, torch.nn.Linear)][-1]
    row = readout.weight[1] - (0 if wrong is None else readout.weight[wrong])
    np.testing.assert_allclose(found.array("weight"), row.detach(), rtol=1e-3, atol=1e-5)
    bias = readout.bias[1] - (0 if wrong is None else readout.bias[wrong])
    assert found.params["bias"] == pytest.approx(float(bias), rel=1e-5)
    assert found.array("unit")[3] == "pool/3"


def test_the_most_probable_class_is_taken_where_none_is_named(seeing, images):
    model, image = seeing("resnet"), images.image(9)
    with torch.no_grad():
        best = int(model.sight.logits(model.sight.pixels([image])).argmax())
    assert unit_evidence(model, image).params["answer_id"] == best


def test_a_net_whose_readout_bends_has_no_such_evidence(seeing, images):
    model = seeing("resnet")
    call = model.sight.call
    object.__setattr__(model.sight, "call", lambda net, pixels: call(net, pixels).pow(2))
    try:
        with pytest.raises(ModelError, match="no sum over a layer"):
            unit_evidence(model, images.image(0), 1)
    finally:
        object.__setattr__(model.sight, "call", call)
