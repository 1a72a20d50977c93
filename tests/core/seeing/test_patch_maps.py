"""Attention over the image, its rollout, and the lens over patches."""

from __future__ import annotations

import numpy as np
import pytest

from microtome.activations.capture import trace
from microtome.errors import AnswerError, InputError
from microtome.vision.patches import attention_maps, attention_rollout, patch_lens


@pytest.mark.parametrize(("name", "leading"), [("vit", 1), ("deit", 2)])
def test_attention_of_the_class_token_and_of_a_patch_lies_over_the_image(
    sees, pictures, name, leading
):
    run = trace(sees(name), pictures[0])
    pattern = run.activation("pattern")
    found = attention_maps(run)
    assert found.kind == "attention-maps"
    assert found.array("maps").shape == (2, 2, 4, 4)
    assert found.array("maps")[1, 0, 2, 3] == pattern[1, 0, 0, leading + 2 * 4 + 3]
    whole = found.array("maps").sum((2, 3)) + found.array("leading").sum(2)
    np.testing.assert_allclose(whole, 1, atol=1e-5)
    of_patch = attention_maps(run, (2, 1))
    np.testing.assert_array_equal(
        of_patch.array("maps")[0, 1].ravel(), pattern[0, 1, leading + 9, leading:]
    )
    with pytest.raises(InputError, match="a patch's row below 4"):
        attention_maps(run, (4, 0))


def test_rollout_is_that_of_a_plain_loop(sees, pictures):
    run = trace(sees("vit"), pictures[0])
    found = attention_rollout(run)
    count, so_far = len(run.tokens), None
    for layer, pattern in enumerate(run.activation("pattern")):
        step = np.zeros((count, count))
        for query in range(count):
            for key in range(count):
                heads = [float(head[query, key]) for head in pattern]
                step[query, key] = sum(heads) / len(heads) / 2 + (0.5 if query == key else 0)
        so_far = step if so_far is None else step @ so_far
        np.testing.assert_allclose(found.array("rollout")[layer], so_far, atol=1e-6)
        np.testing.assert_allclose(found.array("maps")[layer].ravel(), so_far[0, 1:], atol=1e-6)
    np.testing.assert_allclose(found.array("rollout").sum(-1), 1, atol=1e-5)


def test_the_lens_reads_every_patch_as_if_it_were_the_class_token(sees, pictures):
    model = sees("vit")
    run = trace(model, pictures[0])
    found = patch_lens(run, "dog")
    odds = np.exp(run.logits - np.logaddexp.reduce(run.logits, -1, keepdims=True))
    np.testing.assert_allclose(found.array("probability")[-1].ravel(), odds[1:, 1], atol=1e-5)
    np.testing.assert_array_equal(found.array("class")[-1].ravel(), odds[1:].argmax(-1))
    np.testing.assert_allclose(found.array("token")[-1], odds[0, 1], atol=1e-5)
    assert found.array("probability").shape == (2, 4, 4)
    assert patch_lens(run).params["answer"] == int(run.logits[0].argmax())
    with pytest.raises(AnswerError, match="'car' is no class"):
        patch_lens(run, "car")


def test_a_run_without_patches_is_refused(sees, pictures, tiny_model):
    for run in (trace(sees("resnet"), pictures[0]), trace(tiny_model("gpt2"), [3, 4])):
        with pytest.raises(InputError, match="is not of an image in patches"):
            attention_rollout(run)
