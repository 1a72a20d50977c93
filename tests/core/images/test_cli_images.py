"""The command line asks a model about an image of a file, or of a set."""

from __future__ import annotations

import json
from argparse import Namespace

import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from safetensors.numpy import save_file

from microtome import cli
from microtome.cli.images import asked_image
from microtome.prompts import ImageInput
from microtome.selfcheck import suite
from microtome.session.reader import open_session

CLASSES = ["cup", "hat", "Ann"]
PIXELS = np.random.default_rng(3).integers(0, 256, (4, 20, 24, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def seeing(tmp_path_factory):
    """A small ResNet in a folder, and a set and a file of images beside it."""
    folder = tmp_path_factory.mktemp("seeing")
    torch.manual_seed(1)
    config = transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], num_labels=3,
        id2label=dict(enumerate(CLASSES)),
    )  # fmt: skip
    transformers.ResNetForImageClassification(config).save_pretrained(folder / "model")
    size = {"image_processor_type": "ViTImageProcessor", "size": 16}
    (folder / "model" / "preprocessor_config.json").write_text(json.dumps(size))
    (folder / "few").mkdir()
    labels = np.array([0, 1, 0, 2])
    save_file({"images": PIXELS, "labels": labels}, folder / "few" / "images.safetensors")
    settings = {"classes": CLASSES, "domains": ["objects", "objects", "faces"]}
    (folder / "few" / "set.json").write_text(json.dumps(settings))
    clear = np.concatenate([PIXELS[2], np.full((20, 24, 1), 255, np.uint8)], axis=2)
    clear[0, 0, 3] = 0
    Image.fromarray(clear).save(folder / "mine.png")
    return folder


def test_a_run_on_an_image_of_a_file_or_a_set(seeing, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(suite, "CHECKS", ())
    asked = ["run", "--model", str(seeing / "model"), "--answer", "hat", "--wrong", "cup"]
    file = [*asked, "--image", str(seeing / "mine.png"), "--out", str(tmp_path / "file.h5")]
    assert cli.main(file) == 0
    told = capsys.readouterr().out
    assert told.startswith("mine.png: Its transparent parts are laid on white.\nmodel: ")
    assert "logit(hat) − logit(cup) = " in told
    few = [
        *asked,
        "--image-set",
        f"{seeing / 'few'}:2",
        "--out",
        str(tmp_path / "set.h5"),
        "--json",
    ]
    assert cli.main(few) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["image"] == {"name": "cup 1", "rows": 16, "columns": 16, "note": ""}
    held = open_session(tmp_path / "set.h5")
    assert held.metric["value"] == pytest.approx(told["metric"]["value"])
    assert held.clean.image.name == "cup 1"
    assert {row["token"] for row in told["predictions"]} == set(CLASSES)
    pair = [*few[:-3], "--corrupt", f"{seeing / 'few'}:1", "--out", str(tmp_path / "pair.h5")]
    assert cli.main(pair) == 0
    capsys.readouterr()
    held = open_session(tmp_path / "pair.h5")
    difference = held.metric["value"] - held.metric["value_corrupt"]
    assert held.circuit.metadata["rule"] == "two-point"
    assert held.circuit.node_score[-1] == pytest.approx(difference, abs=1e-5)


def test_without_a_number_the_first_image_of_a_set_is_asked(seeing, monkeypatch):
    monkeypatch.chdir(seeing)
    options = Namespace(image=None)
    assert asked_image(options, "few") == asked_image(options, "few:0") == ImageInput(PIXELS[0])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--image", "nowhere.png"], "nowhere.png cannot be read"),
        (["--image-set", "few:9"], "few has no image 9"),
        (["--image-set", "few:two"], "'two' is no number"),
        (["--image-set", "none"], "no image set 'none'"),
        (["--image", "mine.png", "--prompt", "words"], "not allowed with"),
        (["--image", "mine.png", "--corrupt", "none.png"], "none.png"),
    ],
)
def test_an_image_that_cannot_be_asked_is_one_line(
    seeing, tmp_path, capsys, monkeypatch, given, said
):
    monkeypatch.chdir(seeing)
    out = ["--out", str(tmp_path / "never.h5")]
    assert cli.main(["run", "--model", "model", *given, *out]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert told.count("\n") == 1
    assert not list(tmp_path.iterdir())
