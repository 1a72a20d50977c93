"""Some channels run alone, one channel cut: the real net beside what the circuit says."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from microtome.errors import InputError, SiteMissing
from microtome.images.sets import load_image_set
from microtome.models.model import Model
from microtome.prompts import ImageInput
from microtome.records.circuit import Circuit
from microtome.records.faithfulness import faithfulness_analysis, faithfulness_of
from microtome.vision.alone import ablate_unit, channels_alone
from microtome.vision.circuit import Seen, channel_graph
from microtome.vision.faithful import channel_faithfulness


@pytest.fixture(scope="module")
def ada() -> ImageInput:
    """A face that the model knows."""
    return load_image_set("shapes").image(0)


@pytest.fixture(scope="module")
def circuit(shapes: Model, ada: ImageInput) -> Circuit:
    """Its circuit."""
    return channel_graph(shapes, ada)


def by_hand(model: Model, image: ImageInput, layer: str, kept: list[int], other: Tensor) -> float:
    """The metric when a layer keeps some channels and has other values for the rest."""
    seen = Seen.of(model, image)

    def change(values: Tensor) -> Tensor:
        new = other.expand_as(values).clone()
        new[:, kept] = values[:, kept]
        return new

    with seen.sight.changing({layer: change}), torch.inference_mode():
        return float(seen.sight.logits(seen.pixels)[0] @ seen.weights)


def test_one_unit_cut_is_what_the_net_does_without_it(
    shapes: Model, ada: ImageInput, circuit: Circuit
) -> None:
    """Predicted by the score; what feeds the metric straight to the last digit."""
    found = ablate_unit(shapes, ada, circuit, "pool/8")
    rest = [unit for unit in range(32) if unit != 8]
    left = by_hand(shapes, ada, "pool", rest, torch.zeros(1, 1, 1, 1))
    assert found.id == "verification/pool/8"
    assert found.params["ablated"] == pytest.approx(left, abs=1e-5)
    assert found.array("true")[0] == pytest.approx(found.array("predicted")[0], abs=1e-4)
    early = ablate_unit(shapes, ada, circuit, "stem/0")
    assert abs(early.array("true")[0] - early.array("predicted")[0]) > 1e-3  # gates move
    for node, told in (("image", "no unit"), ("OUT", "no unit"), ("pool/99", "no node")):
        with pytest.raises(InputError, match=told):
            ablate_unit(shapes, ada, circuit, node)


def test_units_alone_are_a_run_with_the_others_replaced(shapes: Model, ada: ImageInput) -> None:
    """By zero, or by the mean over images, which is named; all of them give the metric."""
    some = ["image", "pool/8", "pool/27", "OUT"]
    zero = channels_alone(shapes, ada, some, layers=("pool",)).params
    assert zero["how"] == "others set to zero"
    assert zero["nodes"] == ["pool/8", "pool/27"]
    expected = by_hand(shapes, ada, "pool", [8, 27], torch.zeros(1, 1, 1, 1))
    assert zero["ablated"] == pytest.approx(expected, abs=1e-5)
    assert zero["share"] == pytest.approx(expected / zero["base"], abs=1e-5)
    pictures = load_image_set("shapes")
    others = [pictures.image(number) for number in range(0, 80, 2)]
    mean = channels_alone(shapes, ada, some, layers=("pool",), references=others).params
    assert shapes.sight is not None
    with shapes.sight.reading(["pool"]) as read, torch.inference_mode():
        shapes.sight.logits(shapes.sight.pixels(others))
    expected = by_hand(shapes, ada, "pool", [8, 27], read["pool"].mean(0, keepdim=True))
    assert mean["how"] == "others replaced by their mean over 40 images"
    assert mean["ablated"] == pytest.approx(expected, abs=1e-4)
    every = [f"pool/{unit}" for unit in range(32)]
    assert channels_alone(shapes, ada, every, layers=("pool",)).params["share"] == pytest.approx(1)
    with pytest.raises(SiteMissing, match="no unit 99"):
        channels_alone(shapes, ada, ["pool/99"])


def test_a_fifth_of_the_units_keeps_the_metric_and_random_ones_nothing(
    shapes: Model, ada: ImageInput, circuit: Circuit
) -> None:
    """The curve goes from none to all, its control stays low, and it is kept as an analysis."""
    found = channel_faithfulness(shapes, circuit, ada, sizes=(0.05, 0.2, 1.0), seed=4)
    assert found.counts.tolist() == [10, 41, 208]
    assert 0.7 < found.faithfulness[1] < 1.5
    assert found.faithfulness[-1] == pytest.approx(1.0)
    control = np.array(found.params["random"])
    assert control.shape == (3, 10)
    assert np.abs(control[:2].mean(1)).max() < 0.3
    kept = [name for name in circuit.node_id if "/" in name]
    kept.sort(key=lambda name: -float(circuit.node_score[circuit.row(name)]))
    alone = channels_alone(shapes, ada, kept[:41]).params["ablated"]
    assert found.values[1, 0] == pytest.approx(alone, abs=1e-4)
    again = faithfulness_of(faithfulness_analysis(found))
    assert again.params["how"] == "others set to zero"
    same = channel_faithfulness(shapes, circuit, ada, sizes=(0.05, 0.2, 1.0), seed=4)
    assert same.params == found.params
    with pytest.raises(InputError, match="rising shares"):
        channel_faithfulness(shapes, circuit, ada, sizes=(0.5, 0.2))
