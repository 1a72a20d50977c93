"""Processor seconds of the circuit of channels of random nets of the size of those in use."""

from __future__ import annotations

import resource
import time

import numpy as np
import pytest
import torch
import transformers

import microtome as mt
from microtome.models.devices import use_threads

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(600)]
ROUNDS, MOST_S = 3, 7.0
NETS = {
    "ResNet-18": ("ResNet", {"hidden_sizes": [64, 128, 256, 512], "depths": [2, 2, 2, 2],
                             "layer_type": "basic"}),
    "ResNet-50": ("ResNet", {}),
    "ConvNeXt-T": ("ConvNext", {}),
    "DINOv2-S": ("Dinov2", {"hidden_size": 384, "num_attention_heads": 6, "image_size": 224,
                            "patch_size": 14}),
}  # fmt: skip


@pytest.mark.parametrize("images", [1, 2])
@pytest.mark.parametrize("size", NETS)
def test_a_circuit_of_channels_is_there_soon(size, images, tmp_path, record_property):
    use_threads(1)
    torch.manual_seed(0)
    family, settings = NETS[size]
    made_by = getattr(transformers, f"{family}ForImageClassification")
    made_by(made_by.config_class(num_labels=1000, **settings)).save_pretrained(tmp_path)
    model, rng = mt.load_model(tmp_path), np.random.default_rng(0)
    noise = rng.integers(0, 256, (2, 224, 224, 3)).astype(np.uint8)
    given = [mt.ImageInput(each, f"noise {number}") for number, each in enumerate(noise)]
    asked = given[0] if images == 1 else mt.PromptPair(*given)
    used = []
    for _ in range(ROUNDS):
        began = time.process_time()
        circuit = mt.channel_graph(model, asked)
        used.append(time.process_time() - began)
    seconds = sorted(used)[ROUNDS // 2]
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    record_property("seconds", seconds)
    print(
        f"\n{size}, {images} image(s): {seconds:.2f} CPU s, {circuit.metadata['units']} units "
        f"a layer, {circuit.n_nodes} nodes, {circuit.n_edges} edges, {most:.2f} GB at most so far"
    )
    assert seconds < MOST_S * images
