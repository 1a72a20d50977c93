"""Feature visualisations of the embedded model: seconds, and channels beyond all it has seen."""

from __future__ import annotations

import time
from importlib.util import find_spec

import numpy as np
import pytest

import microtome as mt
from microtome.models.devices import use_threads
from microtome.records.visualisation import visualisation_of
from microtome.vision.visualise import visualise_all
from training.shapes.data import CLASSES, DOMAIN_OF, draw
from training.shapes.split import Split

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(600)]
ROUNDS, MOST_S = 5, 5.0


@pytest.mark.parametrize("results", [1, 4, 16])
def test_a_picture_is_there_soon(results, record_property):
    use_threads(2)
    model = mt.load_model("shapes-resnet")
    mt.visualise(model, "Ada", results=1, settings=mt.VisualSettings(steps=2))
    clock, used = [], []
    for seed in range(ROUNDS):
        began, processor = time.monotonic(), time.process_time()
        mt.visualise(model, "Ada", results=results, seed=seed)
        clock.append(time.monotonic() - began)
        used.append(time.process_time() - processor)
    wall, cpu = sorted(clock)[ROUNDS // 2], sorted(used)[ROUNDS // 2]
    record_property("seconds", wall)
    print(f"\n{results} results: {wall:.2f} s, {cpu:.2f} CPU s, {wall / results:.2f} s a picture")
    assert wall / results < MOST_S


def test_channels_of_all_layers_go_beyond_the_training_images(record_property):
    """The pooled channels stand for those of the last block; digits come with scikit-learn."""
    classes = CLASSES if find_spec("sklearn") else CLASSES[:16]
    drawn = draw(Split.TRAINING, 364, 0, classes)
    images = mt.ImageSet("training", drawn.images, drawn.labels, CLASSES, DOMAIN_OF)
    model = mt.load_model("shapes-resnet")
    layers = [one for name, one in model.sight.layers.items() if name != "stage2.block0"]
    units = [f"{one.name}/{at}" for one in layers for at in range(one.n_units)]
    made = visualise_all(model, units, results=1, references=images)
    found = [visualisation_of(one) for one in made]
    short = [one.text for one in found if one.final[0] <= np.percentile(one.reference, 99.9)]
    record_property("short", ", ".join(short))
    print(f"\n{len(units) - len(short)} of {len(units)} beyond; not {', '.join(short)}")
    assert len(units) == 176
    assert len(short) <= 8
    assert not any(text.startswith("pool/") for text in short)
