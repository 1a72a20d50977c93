"""Images as what dictionaries of features learn from: the patches of a set."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from microtome.activations.capture import trace
from microtome.activations.harvest import harvest
from microtome.corpora.reading import read_corpus
from microtome.errors import CorpusError, PromptError
from microtome.features.evaluation import evaluate_dictionary, token_rows
from microtome.features.indexing import feature_index
from microtome.features.training.single import train_dictionary
from microtome.models.loading import load_model
from microtome.records.feature_card import feature_card
from microtome.records.feature_selectivity import selectivity_of
from microtome.records.image_set import ImageSet
from microtome.vision.feature_selectivity import feature_selectivity


@pytest.fixture(scope="module")
def noise():
    random = np.random.default_rng(3)
    values = random.integers(0, 256, (12, 16, 16, 3), dtype=np.uint8)
    return ImageSet("noise", values, np.arange(12) % 2, ("cup", "house"), ("objects", "objects"))


def test_what_is_kept_of_a_set_are_the_activations_of_its_patches(
    sees, sight_folder, noise, tmp_path
):
    model = sees("deit")
    kept = harvest(model, noise, ["resid_post.0"], tmp_path, seed=1)
    assert kept.n == 12 * 16  # the class and the distillation token are left out
    whole = np.zeros((12 * 18, 16), np.float32)
    whole[kept.where] = kept.rows("resid_post.0", np.arange(kept.n))
    for at in (0, 7):
        own = trace(model, noise.image(at)).activation("resid_post.0")
        np.testing.assert_allclose(whole[at * 18 + 2 : (at + 1) * 18], own[2:], rtol=0, atol=1e-5)
    assert kept.readable(model.lexicon.mark)
    other = load_model(sight_folder("deit"))
    assert not kept.readable(other.lexicon.mark)
    again = harvest(other, noise, ["resid_post.0"], tmp_path, seed=1)  # goes on, with ids anew
    assert again.readable(other.lexicon.mark)
    assert again.n == kept.n


def test_a_dictionary_of_patches_is_trained_measured_and_looked_through(sees, noise):
    model, corpus = sees("vit"), read_corpus(noise)
    made = train_dictionary(model, corpus, "resid_post.0", width=24, k=4, steps=40, batch=32)
    scores = evaluate_dictionary(model, made.dictionary, token_rows(model, corpus))
    assert scores.positions == 12 * 16
    assert 0.2 < scores.explained_variance < 1
    assert scores.cross_entropy <= scores.reconstructed
    index = feature_index(model, made.dictionary, corpus, examples=3, near=1)
    best = int(np.argmax(index.array("count")))
    (example, *_) = feature_card(index, best).top
    assert all(text.startswith(("cup", "house", "[CLS]", "")) for text in example.tokens)
    assert example.tokens[example.peak].split(" ")[0] in ("cup", "house")
    seen = selectivity_of(feature_selectivity(model, made.dictionary, noise))
    np.testing.assert_allclose(seen.rate * 12 * 16, index.array("count"))
    at = int(seen.number[best, 0])
    rows = trace(model, noise.image(at)).activation("resid_post.0")[1:]  # without the class token
    codes = made.dictionary.encode(torch.tensor(rows))[:, best].reshape(4, 4)
    np.testing.assert_allclose(seen.map_of(best, 0), codes.numpy(), atol=1e-4)
    np.testing.assert_array_equal(seen.thumbnails[0], noise.images[seen.shown[0]])


def test_what_cannot_be_learned_from_is_refused(sees, tiny_model, noise, tmp_path):
    with pytest.raises(CorpusError, match="reads an image whole"):
        token_rows(sees("resnet"), read_corpus(noise))
    with pytest.raises(CorpusError, match="reads images of 17"):
        token_rows(sees("vit"), read_corpus(noise), context=8)
    with pytest.raises(PromptError, match="reads text, but an image was given"):
        token_rows(tiny_model("gpt2"), read_corpus(noise))
    (tmp_path / "a.txt").write_text("words")
    with pytest.raises(PromptError, match="reads images, but a text was given"):
        token_rows(sees("vit"), read_corpus(tmp_path / "a.txt"))
