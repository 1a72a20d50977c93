"""Small nets that see, as a user would have them in folders, and a set of labelled images."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from microtome.models.loading import load_model
from microtome.models.model import Model
from microtome.records.image_set import ImageSet

_BLOCKS = {
    "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24,
    "image_size": 16, "patch_size": 4, "num_channels": 1,
}  # fmt: skip
CONFIGS = {
    "resnet": (
        "ResNetForImageClassification",
        {"num_channels": 1, "embedding_size": 4, "hidden_sizes": [4, 8], "depths": [1, 1],
         "layer_type": "basic", "num_labels": 3},
    ),
    "convnext": (
        "ConvNextForImageClassification",
        {"num_channels": 1, "hidden_sizes": [4, 8], "depths": [1, 1], "num_stages": 2,
         "num_labels": 3, "patch_size": 4},
    ),
    "vit": ("ViTForImageClassification", {**_BLOCKS, "num_labels": 3}),
    "clip": ("CLIPVisionModelWithProjection", {**_BLOCKS, "projection_dim": 8}),
}  # fmt: skip
SIDE = 16


@pytest.fixture(scope="session")
def seeing(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Model]:
    """``seeing(kind)``: a random net for grey images of 16 × 16, of a family of ``CONFIGS``."""
    made: dict[str, Model] = {}

    def model(kind: str) -> Model:
        if kind not in made:
            made[kind] = load_model(saved(kind, tmp_path_factory.mktemp(kind)))
        return made[kind]

    return model


def saved(kind: str, folder: Path) -> Path:
    """Write the files of a random net."""
    name, settings = CONFIGS[kind]
    made_by = getattr(transformers, name)
    config = made_by.config_class(**settings)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = made_by(config)
        for weight in net.parameters():
            torch.nn.init.normal_(weight, std=0.3)
    net.save_pretrained(folder)
    told = {
        "do_resize": True, "size": {"height": SIDE, "width": SIDE}, "do_center_crop": False,
        "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True,
        "image_mean": [0.5], "image_std": [0.5],
    }  # fmt: skip
    (folder / "preprocessor_config.json").write_text(json.dumps(told))
    return folder


@pytest.fixture(scope="session")
def images() -> ImageSet:
    """Forty grey noise images of four classes in two domains; class 0 is bright on the left."""
    random = np.random.default_rng(0)
    values = random.integers(0, 256, (40, SIDE, SIDE, 1), dtype=np.uint8)
    labels = np.arange(40) % 4
    values[labels == 0, :, : SIDE // 2] = 255 - values[labels == 0, :, : SIDE // 2] // 4
    return ImageSet(
        "noise", values, labels, ("left", "b", "c", "d"), ("lit", "lit", "plain", "plain")
    )
