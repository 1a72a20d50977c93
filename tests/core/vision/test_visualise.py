"""Feature visualisation: pictures that this model and another read, of every kind of target."""

from __future__ import annotations

import json
from importlib.util import find_spec

import numpy as np
import pytest
import torch
import transformers

import microtome as mt
from microtome.cli.commands import main
from microtome.errors import Cancelled, DictionaryMismatch, Diverged, InputError, SiteMissing
from microtome.features.dictionary import Dictionary
from microtome.features.rules import Settings, Weights
from microtome.images.decoder import decode_bytes
from microtome.jobs import Job
from microtome.records.visualisation import VISUALISATION, visualisation_of
from microtome.vision.activity import unit_activity
from microtome.vision.diversity import alikeness
from microtome.vision.objectives import objective
from microtome.vision.parametrisation import FourierPictures
from microtome.vision.robustness import transformed
from microtome.vision.targets import parse_target
from microtome.vision.visualise import visualise_all
from training.shapes.data import CLASSES as CLASSES_OF_ALL
from training.shapes.data import DOMAIN_OF, draw
from training.shapes.split import Split

FACES = ("Ada", "Ben", "Cleo", "Dan", "Eva", "Finn")
CLASSES = (*FACES, "stripes", *"012345")
DRAWN = CLASSES_OF_ALL[:16]
QUICK = mt.VisualSettings(steps=6)


@pytest.fixture(scope="module")
def shapes():
    return mt.load_model("shapes-resnet")


@pytest.fixture(scope="module")
def vit(tmp_path_factory):
    torch.manual_seed(3)
    held = transformers.ViTForImageClassification(
        transformers.ViTConfig(
            num_channels=3, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
            intermediate_size=12, image_size=16, patch_size=4, num_labels=3,
        )
    )  # fmt: skip
    for weight in held.parameters():
        weight.data += 0.3 * torch.randn_like(weight)
    folder = tmp_path_factory.mktemp("vit")
    held.save_pretrained(folder)
    processor = {
        "image_processor_type": "ViTImageProcessor", "do_resize": True, "do_normalize": True,
        "size": {"height": 16, "width": 16}, "resample": 2, "do_rescale": True,
        "rescale_factor": 1 / 255, "image_mean": [0.2, 0.5, 0.7], "image_std": [0.3, 0.5, 0.8],
    }  # fmt: skip
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return mt.load_model(folder)


def made(model, target, **given):
    return visualisation_of(mt.visualise(model, target, **{"settings": QUICK, **given}))


def test_both_models_read_the_pictures_of_classes(shapes):
    other = mt.load_model("shapes-resnet-b")
    found = visualise_all(shapes, CLASSES, results=5, second=other)
    for name, one in zip(CLASSES, map(visualisation_of, found), strict=True):
        own = one.classes.index(name)
        assert one.probabilities.shape == (5, 22)
        assert (one.probabilities[:, own] >= 0.9).all(), name
        assert (one.second.argmax(1) == one.second_classes.index(name)).sum() >= 3, name
    images = [mt.ImageInput(picture, prepared=True) for picture in one.pictures]
    with torch.no_grad():
        said = other.sight.logits(other.sight.pixels(images)).softmax(-1)
    np.testing.assert_allclose(one.second, said, atol=1e-5)


def test_channels_go_beyond_the_training_images(shapes):
    # All that the model was trained on, but for the digits, which are not drawn, where there is no
    # scikit-learn; bench_visualise has the channels of all layers.
    drawn = draw(Split.TRAINING, 364, 0, CLASSES_OF_ALL if find_spec("sklearn") else DRAWN)
    images = mt.ImageSet("training", drawn.images, drawn.labels, CLASSES_OF_ALL, DOMAIN_OF)
    units = [f"pool/{at}" for at in range(shapes.sight.layers["pool"].n_units)]
    found = visualise_all(shapes, units, results=1, references=images)
    for one in map(visualisation_of, found):
        assert one.final[0] > np.percentile(one.reference, 99.9), one.text
        assert len(one.reference) == len(images) >= 364 * 16


def test_a_percentile_is_the_share_of_the_set_that_is_below(shapes):
    images = mt.load_image_set("shapes")
    units = [f"pool/{at}" for at in range(6)]
    found = visualise_all(shapes, units, results=1, settings=QUICK, references=images)
    shares = [one.percentile[0] for one in map(visualisation_of, found)]
    plain = unit_activity(shapes, ["pool"], images)["pool"]
    for at, one in enumerate(map(visualisation_of, found)):
        np.testing.assert_allclose(one.reference, np.sort(plain[:, at]), rtol=1e-5)
    for share, one in zip(shares, map(visualisation_of, found), strict=True):
        assert share == 100 * (one.reference < one.final[0]).mean()
    assert 0 < min(shares) < 100


def test_the_same_seed_gives_the_same_pictures(shapes):
    first, again, other = (made(shapes, "stripes", results=2, seed=seed) for seed in (3, 3, 4))
    assert np.array_equal(first.pictures, again.pictures)
    assert first.id == again.id != other.id
    assert not np.array_equal(first.pictures, other.pictures)
    assert not np.array_equal(first.pictures[0], first.pictures[1])


def test_final_values_are_of_the_pictures_as_saved(shapes):
    one = made(shapes, "stage1.block0/3@centre", results=2)
    images = [mt.ImageInput(picture, prepared=True) for picture in one.pictures]
    with torch.no_grad(), shapes.sight.reading(["stage1.block0"]) as found:
        logits = shapes.sight.logits(shapes.sight.pixels(images))
    assert np.allclose(one.final, found["stage1.block0"][:, 3, 2, 2])
    assert np.allclose(one.probabilities, logits.softmax(-1))


def test_a_class_is_climbed_by_its_logit_and_its_log_probability(shapes):
    aim = objective(parse_target("Ben", shapes.sight), shapes.sight)
    logits = torch.tensor([[0.5, 2.0, -1.0]])
    climbed = float(aim.push({}, logits))
    assert climbed == pytest.approx(2.0 + float(logits.log_softmax(-1)[0, 1]))
    assert float(aim.value({}, logits)) == 2.0


def test_negative_goes_down(shapes):
    settings = mt.VisualSettings(steps=25)
    up, down = (made(shapes, text, settings=settings) for text in ("Ada", "-Ada"))
    assert down.text == "−Ada"
    assert down.final.max() < 0 < up.final.min()


def test_every_kind_of_target_rises_in_a_transformer(vit):
    torch.manual_seed(0)
    weights = Weights(w_enc=torch.randn(20, 16), w_dec=torch.randn(20, 16),
                      b_enc=torch.zeros(20), b_dec=torch.zeros(16))  # fmt: skip
    dictionary = Dictionary(weights, Settings("relu"))
    direction = np.linspace(-1, 1, 16)
    targets = [
        "z.1/1", "mlp_post.0/5", "resid_post.1/2@0,3", mt.Target.towards("resid_post.0", direction),
        mt.Target.feature(dictionary, 7, "resid_post.1"), "output 2",
    ]  # fmt: skip
    settings = mt.VisualSettings(steps=40, robustness=0, smooth=0, grey=0)
    for one in map(visualisation_of, visualise_all(vit, targets, results=2, settings=settings)):
        assert (one.final > one.values[0]).all(), one.text
    with torch.no_grad(), vit.sight.reading(["resid_post.1"]) as found:
        image = made(vit, targets[4], results=1, settings=settings).pictures[0]
        vit.sight.logits(vit.sight.pixels([mt.ImageInput(image, prepared=True)]))
        codes = dictionary.pre_activations(found["resid_post.1"].movedim(1, -1)[:, 1:])
    assert made(vit, targets[4], results=1, settings=settings).final[0] == pytest.approx(
        float(codes[..., 7].mean()), abs=1e-4
    )
    with pytest.raises(DictionaryMismatch, match="12 units"):
        made(vit, mt.Target.feature(dictionary, 7, "mlp_post.0"))
    with pytest.raises(InputError, match="heads"):
        made(vit, mt.Target.towards("z.0", direction))


def test_what_is_climbed_is_read_as_the_model_reads_images(vit):
    still = mt.VisualSettings(steps=1, rate=1e-9, robustness=0)
    one = made(vit, "resid_post.1/2", results=2, settings=still)
    np.testing.assert_allclose(one.values[-1], one.final, atol=0.02)  # pixels of 8 bits


def test_colours_are_mixed_from_those_that_are_uncorrelated_in_photographs():
    images = FourierPictures((3, 8, 8), [torch.Generator()], "cpu")
    for colour, mixed in enumerate(((0.26, 0.27, 0.27), (0.09, 0, -0.09), (0.02, -0.05, 0.03))):
        with torch.no_grad():
            images.spectra.zero_()[0, colour, 0, 0, 0] = 1.0
            raw = torch.logit(images.pictures())[0].mean((1, 2))
        torch.testing.assert_close(raw / raw.norm(), torch.tensor(mixed) / np.linalg.norm(mixed))


def test_pictures_are_moved_by_a_sixteenth_of_their_side_at_most():
    blob = torch.full((200, 1, 64, 64), 0.5)
    blob[:, :, 28:36, 28:36] = 1.0
    seen = transformed(blob, [torch.Generator().manual_seed(at) for at in range(200)], 1.0)
    bright = (seen[:, 0] > 0.8).double()  # noise of 0.06 is below
    place = torch.arange(64.0, dtype=torch.double) - 31.5
    for dim in (1, 2):
        moved = (bright.sum(3 - dim) @ place / bright.sum((1, 2))).abs()
        assert 3.5 < moved.max() < 4 * 1.1 + 0.2  # what is moved is also scaled
    assert float((seen[:, 0, 28:36, :8] - 0.5).std()) == pytest.approx(0.06, rel=0.05)
    assert transformed(blob, [], 0.0) is blob


def test_results_are_pushed_apart(shapes):
    def alike(diversity):
        settings = mt.VisualSettings(steps=30, robustness=0, diversity=diversity)
        one = made(shapes, "pool/3", results=3, settings=settings)
        images = [mt.ImageInput(picture, prepared=True) for picture in one.pictures]
        with torch.no_grad(), shapes.sight.reading(["stage2.block0"]) as found:
            shapes.sight.logits(shapes.sight.pixels(images))
        return float(alikeness(found["stage2.block0"]))

    assert alike(1.0) < alike(0.0) - 0.02


def test_directions_between_classes(shapes):
    images = mt.load_image_set("shapes")
    target = mt.class_direction(shapes, "pool", images, "face", "digit")
    one = made(shapes, target, results=1, settings=mt.VisualSettings(steps=40), references=images)
    assert one.text == "face − digit in pool"
    assert one.final[0] > np.percentile(one.reference, 95)
    with pytest.raises(InputError, match="gold"):
        mt.class_direction(shapes, "pool", images, "gold")


def test_nan_names_the_step_and_keeps_what_was_made(shapes):
    parts, runs = [], []

    def broken(values):
        runs.append(1)
        return values * float("nan") if len(runs) > 6 else values

    job = Job(on_partial=lambda name, value: parts.append((name, value)))
    with shapes.sight.changing({"pool": broken}), pytest.raises(Diverged) as caught:
        mt.visualise(shapes, "Ada", results=1, job=job)
    step = int(str(caught.value).split()[1])
    assert 1 < step <= 6
    assert "smaller rate" in caught.value.way_out
    assert parts[-1][0] == VISUALISATION
    assert visualisation_of(parts[-1][1]).done < 160


def test_stopping_leaves_the_model_and_the_pictures(shapes):
    held = mt.load_image_set("shapes").image(0)
    before = shapes.sight.logits(shapes.sight.pixels([held]))
    parts, threads, before_all = [], [], torch.get_num_threads()

    def stop(_name, value):
        parts.append(visualisation_of(value))
        threads.append(torch.get_num_threads())
        job.cancel()

    job = Job(on_partial=stop)
    torch.set_num_threads(2)
    try:
        with pytest.raises(Cancelled):
            mt.visualise(shapes, "Ada", job=job)
        threads.append(torch.get_num_threads())
    finally:
        torch.set_num_threads(before_all)
    assert threads == [1, 2]  # a second thread makes steps on small pictures slower
    assert not parts[0].complete
    assert parts[0].pictures.shape == (4, 32, 32, 1)
    assert torch.equal(before, shapes.sight.logits(shapes.sight.pixels([held])))


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("nobody", "class 'nobody'"), ("pool/99", "0 to 31"), ("gold/1", "stage2.block0"),
        ("stage2.block0/1@9,9", "2 rows"), ("pool/1@centre", "Leave the place out"),
    ],
)  # fmt: skip
def test_what_the_model_does_not_have_is_named(shapes, target, told):
    with pytest.raises((InputError, SiteMissing), match=told):
        made(shapes, target)


def test_the_command_writes_a_picture_and_a_session(tmp_path, capsys):
    picture, session = tmp_path / "ada.png", tmp_path / "ada.h5"
    given = ["visualise", "shapes-resnet", "Ada", "--seed", "2", "--results", "2", "--steps", "6"]
    status = main([*given, "--set", "shapes", "--out", str(picture), "--session", str(session)])
    assert status == 0
    assert "above" in capsys.readouterr().out
    held = visualisation_of(next(iter(mt.open_session(session).analyses.values())))
    assert held.text == "Ada"
    assert (held.seed, held.done, held.of_set) == (2, 6, "shapes")
    assert held.classes[:6] == FACES
    drawn = decode_bytes(picture.read_bytes(), "ada.png").values
    times = 8
    assert np.array_equal(drawn[: 32 * times : times, : 32 * times : times], held.pictures[0])
