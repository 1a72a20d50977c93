"""Random nets that see, in double precision, with constants everywhere; and images for them."""

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
from microtome.prompts import ImageInput

_CONFIGS = {
    "resnet": (
        "ResNetForImageClassification",
        {"embedding_size": 4, "hidden_sizes": [8, 12], "depths": [1, 2],
         "layer_type": "bottleneck", "num_labels": 3},
    ),
    "convnext": (
        "ConvNextForImageClassification",
        {"hidden_sizes": [4, 6], "depths": [1, 1], "num_stages": 2, "num_labels": 3,
         "patch_size": 4, "layer_scale_init_value": 0.5},
    ),
    "dinov2": (
        "Dinov2ForImageClassification",
        {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "mlp_ratio": 1,
         "image_size": 16, "patch_size": 4, "num_labels": 3},
    ),
}  # fmt: skip


@pytest.fixture(scope="session")
def random_net(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Model]:
    """``random_net(kind)``: a random net of a family, in double precision."""
    made: dict[str, Model] = {}

    def model(kind: str) -> Model:
        if kind not in made:
            made[kind] = load_model(_saved(kind, tmp_path_factory.mktemp(kind)))
            made[kind].module.double()
        return made[kind]

    return model


def _saved(kind: str, folder: Path) -> Path:
    name, settings = _CONFIGS[kind]
    made_by = getattr(transformers, name)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        net = made_by(made_by.config_class(**settings))
        for weight in (*net.parameters(), *net.buffers()):
            if weight.is_floating_point() and weight.dim() <= 1:
                weight.data = torch.rand_like(weight) + 0.2  # biases, scales and variances
    net.save_pretrained(folder)
    seen = {"size": {"height": 16, "width": 16}, "do_resize": True, "do_normalize": False}
    (folder / "preprocessor_config.json").write_text(json.dumps(seen))
    return folder


@pytest.fixture(scope="session")
def noise() -> ImageInput:
    """An image of nothing."""
    rng = np.random.default_rng(5)
    return ImageInput(rng.integers(0, 255, (32, 32, 3), dtype=np.uint8), "noise")


@pytest.fixture(scope="session")
def shapes(embedded: Callable[[str], Model]) -> Model:
    """The embedded model that sees."""
    return embedded("shapes-resnet")
