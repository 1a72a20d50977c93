"""Transformers that see, through the engine made for text: equal to transformers' own runs."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tiny_sight
import torch

import microtome as mt
from microtome.activations.capture import trace
from microtome.analysis.direct import direct_logit_attribution
from microtome.errors import ModelDamaged, PromptError
from microtome.examining import examine
from microtome.interventions.edits import Ablate, Patch, Steer
from microtome.metrics import LogitDifference
from microtome.models.arithmetic import run
from microtome.models.coverage import coverage
from microtome.models.loading import load_model
from microtome.prompts import Question


def own(name, model, image):
    """What the library computes by itself: a fresh module with eager attention."""
    net = tiny_sight.build(name)
    with torch.inference_mode():
        return net(
            pixel_values=model.sight.pixels([image]),
            output_hidden_states=True,
            output_attentions=True,
        )


def logits_of(output):
    for name in ("logits", "image_embeds", "pooler_output"):
        if hasattr(output, name):
            return getattr(output, name)[0].numpy()
    raise AssertionError(output)


@pytest.mark.parametrize("name", tiny_sight.TRANSFORMERS)
def test_logits_hidden_states_and_patterns_are_the_library_s(sees, pictures, name):
    model = sees(name)
    theirs, ours = own(name, model, pictures[0]), trace(model, pictures[0])
    assert ours.tokens[0] == "[CLS]"
    np.testing.assert_allclose(ours.logits[0], logits_of(theirs), rtol=0, atol=2e-5)
    states = torch.cat(theirs.hidden_states).numpy()
    np.testing.assert_allclose(ours.activation("resid_pre"), states[:2], rtol=0, atol=1e-5)
    np.testing.assert_allclose(ours.activation("resid_post.0"), states[1], rtol=0, atol=1e-5)
    patterns = torch.cat(theirs.attentions).numpy()
    np.testing.assert_allclose(ours.activation("pattern"), patterns, rtol=0, atol=1e-6)
    assert patterns.std() > 0.03
    # What is added to the stream, LayerScale included, is what the sites hold.
    before, mlp = ours.activation("resid_mid.1"), ours.activation("mlp_out.1")
    np.testing.assert_allclose(ours.activation("resid_post.1"), before + mlp, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", tiny_sight.TRANSFORMERS)
def test_pixels_give_exactly_the_library_s_numbers_with_gradients(sees, pictures, name):
    model, net = sees(name), tiny_sight.build(name)
    pixels = [model.sight.pixels([pictures[1]]).requires_grad_() for _ in range(2)]
    ours = model.sight.logits(pixels[0])
    output = net(pixel_values=pixels[1])
    theirs = next(
        getattr(output, key)
        for key in ("logits", "image_embeds", "pooler_output")
        if hasattr(output, key)
    )
    assert torch.equal(ours, theirs)
    gradients = torch.autograd.grad(ours.sum(), pixels[0]) + torch.autograd.grad(
        theirs.sum(), pixels[1]
    )
    assert torch.equal(*gradients)
    assert gradients[0].abs().max() > 0


@pytest.mark.parametrize("name", tiny_sight.WHOLE)
def test_the_anatomy_alone_gives_the_logits(sees, pictures, name):
    model = sees(name)
    tokens = model.tokenize(pictures[2])  # patches that were not known before
    found = run(model.anatomy, torch.from_numpy(tokens.ids)).logits()
    np.testing.assert_allclose(found, model.run(tokens), rtol=0, atol=2e-5)


@pytest.mark.parametrize("name", ["deit", "clip"])
def test_an_image_and_a_pair_have_circuit_lens_and_attribution(sees, pictures, name):
    model, (clean, corrupt) = sees(name), pictures[:2]
    for question in (Question(clean), Question(clean, corrupt=corrupt)):
        session = examine(model, question)
        assert session.metric["read_at"] == "the class token"
        assert {"logit-lens", "direct-attribution", "reproduced-share"} <= set(session.analyses)
        circuit = session.circuit
        assert circuit is not None
        assert {"head", "mlp"} <= set(circuit.node_kind)
        assert len(set(circuit.node_position.tolist())) > 5  # patches, not the class token alone
    assert len(session.traces) == 2


@pytest.mark.parametrize("name", tiny_sight.WHOLE)
def test_direct_contributions_sum_to_the_difference(sees, pictures, name):
    run_ = trace(sees(name), pictures[0])
    metric = LogitDifference(0, position=0, wrong=1)
    found = direct_logit_attribution(run_, metric)
    assert found.total == pytest.approx(run_.logits[0, 0] - run_.logits[0, 1], abs=2e-5)


def test_edits_act_on_heads_patches_and_the_class_token(sees, pictures):
    model, image = sees("vit"), pictures[0]
    plain = trace(model, image)
    ablated = trace(model, image, edits=[Ablate("z.0.1")])
    heads = ablated.activation("z.0")
    assert not heads[:, 1].any()
    assert heads[:, 0].all()
    assert np.abs(ablated.logits[0] - plain.logits[0]).max() > 1e-3
    other = trace(model, pictures[1])
    moved = trace(model, image, edits=[Patch("resid_pre.1", other.activation("resid_pre.1"))])
    np.testing.assert_allclose(moved.logits, other.logits, rtol=0, atol=1e-5)
    steered = trace(model, image, edits=[Steer("resid_post.0", np.arange(16.0))])
    assert np.abs(steered.logits[0] - plain.logits[0]).max() > 1e-3


@pytest.mark.parametrize("name", ["deit_teacher", "dinov2", "clip_classes"])
def test_an_answer_read_at_several_places_is_explained_by_units_instead(sees, pictures, name):
    model = sees(name)
    session = examine(model, Question(pictures[0]))
    assert "direct-attribution" not in session.analyses
    reason = str(session.analyses["coverage"].params)
    assert "there is no rule yet" in reason
    assert "logit-lens" in session.analyses


def _read(name, net, normed):
    if name == "clip_classes":
        return net.classifier(normed[1:].mean(0))
    if name == "deit_teacher":
        return (net.cls_classifier(normed[0]) + net.distillation_classifier(normed[1])) / 2
    return net.classifier(torch.cat([normed[0], normed[1:].mean(0)]))


_NORMS = {"deit_teacher": "deit.layernorm", "dinov2": "dinov2.layernorm"}


@pytest.mark.parametrize("name", ["deit_teacher", "dinov2", "dinov2_gated", "clip_classes"])
def test_evidence_of_an_answer_read_at_several_places_sums_to_the_logit(sees, pictures, name):
    """Each part is what the logit loses without it, the last norm's scale as it was."""
    model, path = sees(name), _NORMS.get(name.removesuffix("_gated"))
    ran = trace(model, pictures[1])
    net = model.sight.module
    norm = net.get_submodule(path) if path else None
    last = torch.tensor(ran.activation(f"resid_post.{model.identity.n_layers - 1}"))
    root = (last.var(-1, unbiased=False, keepdim=True) + norm.eps).sqrt() if norm else 1

    def score(stream):
        normed = stream
        if norm:
            normed = (stream - stream.mean(-1, keepdim=True)) / root * norm.weight + norm.bias
        logits = _read(name, net, normed)
        return float(logits[2] - logits[0])

    found = mt.unit_evidence(model, pictures[1], 2, 0)
    with torch.inference_mode():
        logits = model.sight.logits(model.sight.pixels([pictures[1]]))[0]
        summed = float(found.array("contribution").sum()) + found.params["bias"]
        assert found.params["score"] == pytest.approx(float(logits[2] - logits[0]), abs=1e-5)
        assert summed == pytest.approx(found.params["score"], abs=1e-4)
        parts = dict(zip(found.array("unit"), found.array("contribution"), strict=True))
        for layer, block in enumerate(model.anatomy.blocks):
            z = torch.tensor(ran.activation(f"z.{layer}"))
            for head, matrix in enumerate(block.attention.w_o):
                without = score(last) - score(last - z[:, head] @ matrix.T)
                assert parts[f"z.{layer}/{head}"] == pytest.approx(without, abs=1e-4)
            without = score(last) - score(last - torch.tensor(ran.activation(f"mlp_out.{layer}")))
            assert parts[f"mlp_out.{layer}"] == pytest.approx(without, abs=1e-4)
        without = score(last) - score(last - torch.tensor(ran.activation("resid_pre.0")))
    assert parts["embedding"] == pytest.approx(without, abs=1e-4)


def test_of_a_whole_clip_model_the_vision_part_is_opened(pictures, tmp_path):
    whole = tiny_sight.save_whole_clip(tmp_path)
    model = load_model(tmp_path)
    with torch.inference_mode():
        found = whole.get_image_features(pixel_values=model.sight.pixels([pictures[0]]))
    found = getattr(found, "pooler_output", found)
    ours = trace(model, pictures[0]).logits[0]
    np.testing.assert_allclose(ours, found[0], rtol=0, atol=1e-5)
    assert model.labels.names[0] == "output 0"


@pytest.mark.parametrize("name", ["resnet", "vit", "clip_classes"])
@pytest.mark.parametrize("names", [None, {"0": "cat", "1": "dog"}])
def test_a_model_whose_files_do_not_name_its_classes_is_opened(pictures, tmp_path, name, names):
    tiny_sight.save(name, tmp_path)
    before = trace(load_model(tmp_path), pictures[0])
    told = tmp_path / "config.json"
    settings = {**json.loads(told.read_text()), "id2label": names, "label2id": None}
    told.write_text(json.dumps({key: value for key, value in settings.items() if value}))
    model = load_model(tmp_path)
    assert (model.sight.classes, model.sight.named) == (("output 0", "output 1", "output 2"), False)
    np.testing.assert_array_equal(trace(model, pictures[0]).logits, before.logits)


def test_a_config_of_other_shapes_than_the_weights_is_refused(tmp_path):
    tiny_sight.save("resnet", tmp_path)
    told = tmp_path / "config.json"
    settings = {**json.loads(told.read_text()), "hidden_sizes": [4, 6]}
    told.write_text(json.dumps(settings))
    with pytest.raises(ModelDamaged, match=r"other shapes than its config\.json announces"):
        load_model(tmp_path)


def test_files_that_describe_images_of_another_size_are_refused(tmp_path):
    tiny_sight.save("vit", tmp_path)
    told = tmp_path / "preprocessor_config.json"
    told.write_text(told.read_text().replace("16", "20"))
    with pytest.raises(ModelDamaged, match=r"Input image size \(20\*20\) doesn't match"):
        load_model(tmp_path)


def test_more_tokens_than_the_model_has_positions_are_refused(sees):
    model = sees("vit")
    assert trace(model, [0, 5, 5]).logits.shape == (3, 3)
    with pytest.raises(PromptError, match=r"has 18 tokens, but .* reads at most 17"):
        trace(model, [0] * 18)


def test_what_can_be_seen_of_a_convolutional_net_is_said_plainly(sees):
    found = coverage(sees("resnet"))
    assert found.summary.startswith("ResNet has layers of channels: shown are tokens, logits")
    assert "layers of units instead" in found.reason("pattern")
    assert coverage(sees("vit")).summary == "All panels work on this model."
