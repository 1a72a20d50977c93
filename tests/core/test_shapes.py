"""The images of shapes and the models that name them, measured on the committed files."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from transformers import AutoModelForImageClassification

import microtome_resources as resources
from training.shapes import digits
from training.shapes.data import CLASSES, DOMAIN_OF, DOMAINS, Labelled, draw
from training.shapes.lesions import most_selective, selectivity
from training.shapes.measure import GOALS, Goal, measure, missed
from training.shapes.sets import LOCALIZER, PER_CLASS, TEST, images_of
from training.shapes.split import Split
from training.shapes.train import pixels

DRAWN = tuple(name for name in CLASSES if name not in digits.DIGITS)
CONV = "shapes-resnet"


def read(name: str) -> Labelled:
    tensors = load_file(resources.image_set_path(name) / "images.safetensors")
    return Labelled(tensors["images"], tensors["labels"])


@pytest.fixture(scope="module")
def test_set() -> Labelled:
    return read("shapes")


@pytest.fixture(scope="module")
def localizer() -> Labelled:
    return read("shapes-localizer")


def single(data: Labelled) -> set[bytes]:
    return {image.tobytes() for image in data.images}


def test_images_are_drawn_from_their_seed_alone() -> None:
    first, again = (draw(Split.TRAINING, 2, 7, DRAWN) for _ in range(2))
    assert first.images.dtype == np.uint8
    assert first.images.shape == (2 * len(DRAWN), 32, 32, 1)
    assert np.array_equal(first.images, again.images)
    assert [CLASSES[at] for at in first.labels] == [name for name in DRAWN for _ in range(2)]
    assert len(single(first)) == len(first.images)
    assert first.images.std((1, 2, 3)).min() > 15  # every one shows something
    for split, seed in ((Split.TEST, 7), (Split.LOCALIZER, 7), (Split.TRAINING, 8)):
        assert not single(first) & single(draw(split, 2, seed, DRAWN))


def test_classes_stand_in_four_domains() -> None:
    counts = {domain: len(names) for domain, names in DOMAINS.items()}
    assert counts == {"face": 6, "object": 6, "texture": 4, "digit": 6}
    assert len(set(CLASSES)) == len(DOMAIN_OF) == 22


@pytest.mark.parametrize("plan", [TEST, LOCALIZER], ids=lambda plan: plan.name)
def test_embedded_set_is_what_its_script_draws(plan) -> None:
    stored = read(plan.name)
    told = json.loads((resources.image_set_path(plan.name) / "set.json").read_text("utf-8"))
    assert told["name"] == plan.name
    assert (tuple(told["classes"]), tuple(told["domains"])) == (CLASSES, DOMAIN_OF)
    assert all(told[key] for key in ("title", "model", "note"))
    assert "CC BY 4.0" in told["source"]
    assert np.array_equal(np.bincount(stored.labels), [PER_CLASS] * len(CLASSES))
    assert sum(path.stat().st_size for path in resources.image_set_path(plan.name).iterdir()) < 5e5
    drawn = draw(plan.split, PER_CLASS, 1, ("Eva", "fish", "waves"))
    own = np.isin(stored.labels, np.unique(drawn.labels))
    # Another processor may round a sine otherwise: a grey step at most, of 255.
    far = np.abs(stored.images[own].astype(int) - drawn.images)
    assert far.max() <= 1


def test_no_image_is_in_two_sets(test_set, localizer) -> None:
    assert len(single(test_set)) == len(single(localizer)) == PER_CLASS * len(CLASSES)
    assert not single(test_set) & single(localizer)


def test_real_digits_are_in_one_split_only() -> None:
    pytest.importorskip("sklearn", reason="the real digits come with scikit-learn")
    for name in digits.DIGITS:
        parts = [{one.tobytes() for one in digits.samples(name, split)} for split in Split]
        assert all(len(part) >= PER_CLASS for part in parts)
        assert not parts[0] & parts[1] | parts[0] & parts[2] | parts[1] & parts[2]
    assert np.array_equal(images_of(TEST).labels, read("shapes").labels)


def test_digits_say_what_they_need_where_it_is_missing(monkeypatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "sklearn.datasets", None)
    digits.samples.cache_clear()
    digits._all.cache_clear()
    with pytest.raises(ModuleNotFoundError, match="pip install scikit-learn"):
        draw(Split.TEST, 1, 0, ("3",))


@pytest.mark.parametrize("name", ["shapes-resnet", "shapes-resnet-b"])
def test_model_reaches_its_goals_whole_and_damaged(name, test_set, localizer) -> None:
    model = AutoModelForImageClassification.from_pretrained(resources.model_path(name)).eval()
    assert tuple(model.config.id2label.values()) == CLASSES
    assert resources.embedded_model(name).weights.stat().st_size < 5e5
    found = measure(model, test_set, localizer)
    assert not missed(found)
    with torch.no_grad():
        right = model(pixels(test_set.images)).logits.argmax(-1).numpy() == test_set.labels
    faces = np.array(DOMAIN_OF)[test_set.labels] == "face"
    assert found["none"]["face"] == right[faces].mean()
    assert found["none"]["digit"] < 1 or right.all()


def test_preprocessing_is_what_the_models_were_trained_with(test_set) -> None:
    folder = resources.model_path(CONV)
    told = json.loads((folder / "preprocessor_config.json").read_text("utf-8"))
    assert told["size"] == {"height": 32, "width": 32}
    scaled = test_set.images[:1, :, :, 0].astype(np.float32) * told["rescale_factor"]
    wanted = (scaled - told["image_mean"][0]) / told["image_std"][0]
    assert np.allclose(pixels(test_set.images[:1])[:, 0].numpy(), wanted, atol=1e-6)


def test_the_goals_are_those_that_were_promised() -> None:
    intact = {goal.domain: goal.bound for goal in GOALS if goal.lesion == "none"}
    assert intact == {"face": 0.99, "object": 0.99, "texture": 0.99, "digit": 0.94}
    assert {*GOALS[4:]} == {
        Goal("12 face", "face", 0.40, at_most=True),
        Goal("12 face", "object", 0.98),
        Goal("10 texture", "texture", 0.20, at_most=True),
        Goal("10 texture", "face", 0.97),
        Goal("12 random", "face", 0.85),
    }


def test_selectivity_is_the_difference_of_means_over_both_deviations() -> None:
    labels = np.array([0, 1, 6, 7, 12, 16])
    pooled = torch.tensor([[3.0, 1, 0], [5, 1, 2], [1, 1, 1], [1, 1, 3], [2, 1, 0], [0, 1, 4]])
    index = selectivity(pooled, labels, "face")
    inside, outside = pooled[:2, 0].numpy(), pooled[2:, 0].numpy()
    spread = inside.std(ddof=1) + outside.std(ddof=1)
    assert index[0] == pytest.approx((inside.mean() - outside.mean()) / spread)
    assert index[1] == 0  # it never varies
    assert most_selective(index, 2) == [0, 1]
