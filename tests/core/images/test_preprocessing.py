"""What a model sees of an image is what the transformers library's own processors make of it.

Compared are the processors that work by Pillow; the others need torchvision, which is not
installed here, and resize a little differently.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
import transformers

from microtome.errors import ImageError, ModelDamaged, ModelError
from microtome.images.model_settings import read_preprocessing
from microtome.images.preprocessing import Preprocessing
from microtome.prompts import ImageInput

EDGES = {"height": 40, "width": 28}
# Name of the library's processor, and what its file says: forms of today and of before.
FILES = {
    "vit": ("ViT", {"image_processor_type": "ViTImageProcessor", "size": EDGES}),
    "vit-before": ("ViT", {"feature_extractor_type": "ViTFeatureExtractor", "size": 30}),
    "vit-fast": ("ViT", {"image_processor_type": "ViTImageProcessorFast", "resample": 1}),
    "deit": ("DeiT", {"feature_extractor_type": "DeiTFeatureExtractor", "size": 50,
                      "crop_size": 41}),
    "clip-before": ("CLIP", {"feature_extractor_type": "CLIPFeatureExtractor", "size": 32,
                             "crop_size": 32}),
    "clip": ("CLIP", {"image_processor_type": "CLIPImageProcessor",
                      "size": {"shortest_edge": 33}, "crop_size": {"height": 40, "width": 24}}),
    "dinov2": ("Bit", {"image_processor_type": "BitImageProcessor", "do_center_crop": True,
                       "size": {"shortest_edge": 48}, "crop_size": {"height": 42, "width": 42},
                       "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}),
    "convnext": ("ConvNext", {"image_processor_type": "ConvNextImageProcessor", "crop_pct": 0.9,
                              "size": {"shortest_edge": 36}}),
    "resnet": ("ConvNext", {"feature_extractor_type": "ConvNextFeatureExtractor", "size": 35,
                            "crop_pct": 0.875, "do_normalize": True, "resample": 3}),
    "convnext-large": ("ConvNext", {"image_processor_type": "ConvNextImageProcessor"}),
    "as-they-are": ("ViT", {"image_processor_type": "ViTImageProcessor", "do_resize": False,
                            "do_normalize": False, "rescale_factor": 0.01}),
}  # fmt: skip


def folder_with(tmp_path, name="preprocessor_config.json", **settings):
    (tmp_path / name).write_text(json.dumps(settings))
    return tmp_path


def picture(seed, rows, columns, channels=3):
    values = np.random.default_rng(seed).integers(0, 256, (rows, columns, channels))
    return ImageInput(values.astype(np.uint8), "noise")


@pytest.mark.parametrize("form", FILES)
@pytest.mark.parametrize("size", [(37, 61), (90, 45)], ids=["wide", "tall"])
def test_pixels_are_those_of_the_librarys_processor(tmp_path, form, size):
    processor, settings = FILES[form]
    theirs = getattr(transformers, f"{processor}ImageProcessorPil")(
        **{key: value for key, value in settings.items() if not key.endswith("_type")}
    )
    image = picture(1, *size)
    ours = read_preprocessing(folder_with(tmp_path, **settings))
    expected = theirs(image.values, return_tensors="np", input_data_format="channels_last")
    got = ours.pixels(image)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, expected["pixel_values"][0], rtol=0, atol=1e-6)
    seen = ours.prepare(image)
    assert seen.prepared
    assert ours.prepare(seen) is seen
    np.testing.assert_array_equal(ours.pixels(seen), got)
    np.testing.assert_array_equal(ours.shown(got), seen.values)
    assert ours.shape in (None, seen.size)
    assert (ours.shape is None) == (form == "as-they-are")


def test_steps_in_words(tmp_path):
    found = read_preprocessing(folder_with(tmp_path, **FILES["resnet"][1]))
    assert found.lines() == (
        "red, green and blue",
        "resized so that the shorter edge is 40, bicubic",
        "middle 35 × 35 cut out",
        "divided by 255",
        "minus 0.5, divided by 0.5",
    )
    as_is = read_preprocessing(folder_with(tmp_path, **FILES["as-they-are"][1]))
    assert as_is.lines() == ("red, green and blue", "divided by 100")


@pytest.mark.parametrize(
    ("config", "shape", "mean", "channels"),
    [
        ({"model_type": "vit", "image_size": 32}, (32, 32), 0.5, 3),
        ({"model_type": "deit", "image_size": 112}, (112, 112), 0.5, 3),
        ({"vision_config": {"model_type": "clip_vision_model", "image_size": 56}}, (56, 56),
         0.48145466, 3),
        ({"model_type": "resnet"}, (384, 384), 0.5, 3),
        ({"model_type": "vit", "image_size": 28, "num_channels": 1}, (28, 28), 0.5, 1),
        ({"model_type": "elsewhere", "image_size": [20, 30]}, (20, 30), 0.0, 3),
    ],
)  # fmt: skip
def test_without_a_file_the_configuration_tells(tmp_path, config, shape, mean, channels):
    found = read_preprocessing(folder_with(tmp_path, "config.json", **config))
    assert (found.shape, found.mean[0], found.channels) == (shape, mean, channels)
    assert len(found.mean) == len(found.std) == channels
    assert found.source == "config.json"
    assert found.pixels(picture(2, 9, 5)).shape == (channels, *shape)


def test_a_part_of_a_processors_file_counts(tmp_path):
    inner = {"image_processor_type": "CLIPImageProcessor", "size": 20, "crop_size": 18}
    found = read_preprocessing(
        folder_with(tmp_path, "processor_config.json", image_processor=inner)
    )
    assert (found.size, found.crop, found.source) == (20, (18, 18), "processor_config.json")


def test_channels_are_made_right():
    colour, grey = picture(3, 4, 6), picture(4, 4, 6, 1)
    seeing = Preprocessing(channels=3, size=None)
    np.testing.assert_array_equal(seeing.prepare(grey).values, grey.values.repeat(3, axis=2))
    weights = np.array([0.299, 0.587, 0.114])
    found = Preprocessing(channels=1, size=None).prepare(colour).values[:, :, 0]
    assert np.abs(found - colour.values @ weights).max() <= 1


def test_an_image_for_another_model_or_one_too_narrow_is_refused():
    prepared = ImageInput(np.zeros((8, 8, 3), np.uint8), "mine", prepared=True)
    with pytest.raises(ImageError, match=r"mine is 8 × 8, prepared .* 16 × 16 was expected"):
        Preprocessing(size=(16, 16)).prepare(prepared)
    line = ImageInput(np.zeros((1, 400_000, 1), np.uint8), "line")
    with pytest.raises(ImageError, match="line is 1 × 400000, and would become 224 × 89600000"):
        Preprocessing(size=224).pixels(line)


@pytest.mark.parametrize(
    ("settings", "kind", "said"),
    [
        ({"size": {"longest_edge": 30}}, ModelDamaged, "shortest_edge was expected"),
        ({"size": 10**9}, ModelDamaged, "1 to 8192"),
        ({"size": 0}, ModelDamaged, "1 to 8192"),
        ({"size": True}, ModelDamaged, "1 to 8192"),
        ({"size": "large"}, ModelDamaged, "size = 'large'"),
        ({"resample": 9}, ModelDamaged, "filter of Pillow"),
        ({"do_resize": "yes"}, ModelDamaged, "true or false"),
        ({"image_std": [0.1, 0, 0.1]}, ModelDamaged, "above 0"),
        ({"image_mean": [0.1, 0.2]}, ModelDamaged, "one or three"),
        ({"image_mean": ["a"]}, ModelDamaged, "a number was expected"),
        ({"rescale_factor": -1}, ModelDamaged, "above 0"),
        ({"image_processor_type": "ConvNextImageProcessor", "crop_pct": 0, "size": 9},
         ModelDamaged, "a share"),
        ({"do_pad": True}, ModelError, "do_pad"),
    ],
)  # fmt: skip
def test_settings_that_make_no_sense_are_named(tmp_path, settings, kind, said):
    with pytest.raises(kind, match=said):
        read_preprocessing(folder_with(tmp_path, **settings))


def test_files_that_cannot_be_used_are_named(tmp_path):
    folder_with(tmp_path, "config.json", num_channels=4)
    with pytest.raises(ModelDamaged, match=r"num_channels = 4, but 1 \(grey\) or 3"):
        read_preprocessing(tmp_path)
    (tmp_path / "config.json").write_text("[3]")
    with pytest.raises(ModelDamaged, match=r"config\.json holds no settings"):
        read_preprocessing(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ModelDamaged, match="not readable as JSON"):
        read_preprocessing(tmp_path)
    coloured = {"image_mean": [0.1, 0.2, 0.3]}
    folder_with(tmp_path, **coloured)
    folder_with(tmp_path, "config.json", num_channels=1)
    with pytest.raises(ModelDamaged, match="one channel"):
        read_preprocessing(tmp_path)
