"""Circuits of channels: exact sums, beside the frozen net run plainly on one unit at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import Tensor, nn

import microtome as mt
from microtome.circuits.influences import has_components_alone, prune_by_influence
from microtome.errors import Cancelled, ModelError, PromptError, UnknownArchitecture
from microtome.images.sets import load_image_set
from microtome.jobs import Job
from microtome.metrics import LogitDifference, LogitOverMean
from microtome.models.model import Model
from microtome.models.vision.layouts import CHANNELS_FIRST
from microtome.models.vision.sight import Place, Sight, measured_layers
from microtome.prompts import ImageInput, PromptPair, Question
from microtome.records.circuit import IMAGE, OUTPUT, UNITS, Circuit
from microtome.vision.circuit import Seen, channel_graph
from microtome.vision.pieces import Pieces

KINDS = ("resnet", "convnext", "dinov2")
WHOLE: dict[str, Any] = {"tau": 0.0, "keep": 10**6, "units": 10**6}


def sums(circuit: Circuit) -> tuple[np.ndarray, np.ndarray]:
    """What flows into each node, its bias among it, and what flows out."""
    weight = circuit.edge_weight.astype(np.float64)
    into = np.bincount(circuit.edge_target, weight, circuit.n_nodes) + circuit.node_bias
    return into, np.bincount(circuit.edge_source, weight, circuit.n_nodes)


def pieces_of(model: Model, image: ImageInput, metric: LogitDifference) -> Pieces:
    return Seen.of(model, image, metric).pieces()


@pytest.mark.parametrize("kind", [*KINDS, "shapes"])
def test_in_edges_with_bias_and_out_edges_sum_to_every_score(
    kind: str, random_net: Callable[[str], Model], shapes: Model, noise: ImageInput
) -> None:
    """For all units, in float32 as in float64; the metric is explained to the last part."""
    model = shapes if kind == "shapes" else random_net(kind)
    image = load_image_set("shapes").image(40) if kind == "shapes" else noise
    circuit = channel_graph(model, image, LogitDifference(0, 1), **WHOLE)
    into, out = sums(circuit)
    room = 1e-5 * max(1.0, float(np.abs(circuit.node_score).max()))
    assert np.abs(into - circuit.node_score)[1:].max() < room
    assert np.abs(out - circuit.node_score)[:-1].max() < room
    assert circuit.node_score[-1] == pytest.approx(circuit.metadata["metric_value"])
    assert circuit.metadata["unexplored"] == pytest.approx(0.0, abs=1e-6)
    assert np.abs(circuit.node_bias).max() > 10 * room  # constants matter in these nets
    kinds = set(circuit.node_kind)
    assert {IMAGE, OUTPUT} < kinds <= {IMAGE, OUTPUT, *UNITS}


@pytest.mark.parametrize("kind", KINDS)
def test_every_edge_is_what_one_unit_alone_gives_in_the_frozen_net(
    kind: str, random_net: Callable[[str], Model], noise: ImageInput
) -> None:
    """The slow way: a run of the frozen net for each unit, with nothing else to read."""
    metric = LogitDifference(2, 0)
    model = random_net(kind)
    circuit = channel_graph(model, noise, metric, **WHOLE)
    pieces = pieces_of(model, noise, metric)
    checked = 0
    for row, node in list(enumerate(circuit.node_id[:-1]))[::3]:
        layer, _, number = node.partition("/")
        values = pieces.read[layer].detach()
        alone = values if layer == IMAGE else torch.zeros_like(values)
        if layer != IMAGE:
            alone[:, int(number)] = values[:, int(number)]
        found, metric_of = pieces.replayed({layer: alone})
        for edge in circuit.outgoing(row)[:12]:
            target = circuit.node_id[circuit.edge_target[edge]]
            into, _, unit = target.partition("/")
            if target == "OUT":
                given = metric_of - pieces.constant
            else:
                brought = (found[into] - pieces.constants[into]) * pieces.worth[into]
                given = float(brought[0, int(unit)].sum())
            assert circuit.edge_weight[edge] == pytest.approx(given, rel=1e-4, abs=1e-7)
            checked += 1
    assert checked > 40


@pytest.mark.parametrize("kind", KINDS)
def test_the_frozen_net_is_affine_and_gives_back_the_run(
    kind: str, random_net: Callable[[str], Model], noise: ImageInput
) -> None:
    """On its own values it is the model; on sums of values it is the sum."""
    pieces = pieces_of(random_net(kind), noise, LogitDifference(0, 1))
    own = {name: values.detach() for name, values in pieces.read.items()}
    found, value = pieces.replayed(own)
    assert value == pytest.approx(float(pieces.metric.detach()))
    for name, values in found.items():
        assert torch.allclose(values, own[name])
    half, rest = ({n: share * v for n, v in own.items()} for share in (0.3, 0.7))
    parts = [pieces.replayed(given)[1] for given in (half, rest)]
    assert sum(parts) == pytest.approx(value + pieces.constant)


def test_worths_are_the_gradients_of_a_net_of_gates(
    random_net: Callable[[str], Model], noise: ImageInput
) -> None:
    """Where all steps are ReLUs and max-pools, freezing changes no gradient of the plain model."""
    model = random_net("resnet")
    seen = Seen.of(model, noise, LogitDifference(0, 1))
    pieces = pieces_of(model, noise, LogitDifference(0, 1))
    pixels = seen.pixels.clone().requires_grad_()
    (seen.sight.logits(pixels)[0] @ seen.weights).backward()
    assert pixels.grad is not None
    assert torch.allclose(pixels.grad, pieces.worth[IMAGE])


def test_scores_predict_what_zeroing_a_channel_does(shapes: Model) -> None:
    """By rank over all channels of two images; next to the metric to the last digit."""
    pictures, rank = load_image_set("shapes"), []
    for number in (4, 150):
        seen = Seen.of(shapes, pictures.image(number))
        circuit = channel_graph(shapes, pictures.image(number), seen.metric, **WHOLE)
        scores, true = [], []
        for row, node in enumerate(circuit.node_id[1:-1], start=1):
            layer, _, unit = node.partition("/")
            with seen.sight.changing({layer: _Without(int(unit))}), torch.inference_mode():
                left = float(seen.sight.logits(seen.pixels)[0] @ seen.weights)
            scores.append(float(circuit.node_score[row]))
            true.append(seen.value - left)
            if layer == "pool":
                assert scores[-1] == pytest.approx(true[-1], abs=1e-4)
        rank.append(spearmanr(scores, true)[0])
    assert min(rank) > 0.5
    assert np.mean(rank) > 0.6


class _Without:
    def __init__(self, unit: int) -> None:
        self.unit = unit

    def __call__(self, values: Tensor) -> Tensor:
        left = values.clone()
        left[:, self.unit] = 0
        return left


def test_it_is_lazy_and_says_what_it_left_out(shapes: Model) -> None:
    """Few units and edges are expanded; the share that ended there is told, and pruning works."""
    image = load_image_set("shapes").image(3)
    whole = channel_graph(shapes, image)
    few = channel_graph(shapes, image, keep=3, units=4)
    assert few.n_edges < whole.n_edges / 10
    assert np.bincount(few.edge_target).max() == 3
    assert 0.2 < few.metadata["unexplored"] < 1.0
    assert has_components_alone(whole)
    shown = mt.prune(whole, nodes=20)
    assert shown.node_id[0] == IMAGE
    assert 8 < shown.n_nodes <= 22
    assert 0 < prune_by_influence(whole, 0.5, 0.8).n_nodes < whole.n_nodes
    steps = whole.node_layer[whole.edge_target] - whole.node_layer[whole.edge_source]
    assert steps.min() >= 1
    assert steps.max() > 1  # ways around a block


def test_a_question_names_the_classes_and_the_run_explains_the_image(shapes: Model) -> None:
    """``examine`` gives the circuit, and what its shown part reproduces."""
    pictures = load_image_set("shapes")
    asked = Question(pictures.image(0), answer="Ada", wrong="Dan")
    parts: list[str] = []
    session = mt.examine(shapes, asked, job=Job(on_partial=lambda name, _: parts.append(name)))
    assert session.circuit is not None
    assert session.circuit.metadata["metric"] == "logit(Ada) \N{MINUS SIGN} logit(Dan)"
    share = session.analyses["reproduced-share"].params
    assert 0.3 < share["share"] < 1.7
    assert share["how"] == "others set to zero"
    assert parts.index("circuit") < len(parts) - 1


def test_what_cannot_be_asked_is_refused(shapes: Model, embedded: Callable[[str], Model]) -> None:
    """Models that read, texts; and a job that is stopped leaves no hook."""
    image = load_image_set("shapes").image(0)
    with pytest.raises(ModelError, match="reads text"):
        channel_graph(embedded("induction-exact"), image)
    with pytest.raises(PromptError, match="is no image"):
        channel_graph(shapes, PromptPair(image, "a cup"))
    with pytest.raises(PromptError, match="is no image"):
        channel_graph(shapes, "a cup")
    job = Job()
    job.cancel()
    with pytest.raises(Cancelled):
        channel_graph(shapes, image, job=job)


class _Written(nn.Module):
    """Steps as authors write them by hand: a norm, gates, an attention, products, in place."""

    def __init__(self, last: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 6, 3, padding=1), nn.Conv2d(6, 6, 1)
        self.norm, self.pool = nn.GroupNorm(2, 6), nn.MaxPool2d(2)
        self.act, self.read, self.last = nn.ReLU(inplace=True), nn.Linear(6, 3), last

    def forward(self, pixels: Tensor) -> Tensor:
        x = self.pool(self.act(self.first(pixels)))
        x = x * torch.rsqrt(x.pow(2).mean(1, keepdim=True) + 1e-5)
        y = self.second(self.norm(x))
        y = nn.functional.hardswish(y) + y * torch.sigmoid(1.7 * y) * torch.tanh(y)
        x += y / (1 + x.abs().mean(1, keepdim=True))
        rows = x.flatten(2).transpose(1, 2)
        seen = torch.softmax(rows @ rows.transpose(1, 2) / math.sqrt(6), -1) @ rows
        return self.read(self.last(seen.mean(1)))


def _sight(last: Callable[[Tensor], Tensor], like: Model) -> Sight:
    with torch.random.fork_rng():
        torch.manual_seed(7)
        module = _Written(last).double()
    assert like.sight is not None
    places = (Place("first", "pool", "channel", CHANNELS_FIRST),
              Place("second", "second", "channel", CHANNELS_FIRST),
              Place("norm", "norm", "channel", CHANNELS_FIRST))  # fmt: skip
    call: Callable[[nn.Module, Tensor], Tensor] = lambda held, pixels: held(pixels)  # noqa: E731
    layers: Mapping[str, Any] = measured_layers(module, places, (1, 8, 8), call)
    return replace(like.sight, module=module, layers=layers, call=call, shape=(1, 8, 8))


def test_steps_of_many_kinds_are_frozen_and_others_refused(shapes: Model) -> None:
    """A module of hand-written steps adds up; one with a sine is refused by name."""
    pixels = torch.rand(1, 1, 8, 8, dtype=torch.float64, generator=torch.manual_seed(1))
    weights = torch.tensor([1.0, -1.0, 0.0], dtype=torch.float64)
    pieces = Pieces.of(_sight(nn.Identity(), shapes), pixels, weights, ("first", "norm", "second"))
    total = float(pieces.score(IMAGE).sum()) + pieces.constant
    total += sum(float(pieces.bias(layer).sum()) for layer in pieces.layers)
    assert pieces.layers == ["first", "norm", "second"]
    assert total == pytest.approx(float(pieces.metric.detach()), rel=1e-9)
    with pytest.raises(UnknownArchitecture, match="cannot freeze"):
        Pieces.of(_sight(torch.sin, shapes), pixels, weights, ("first", "second"))


def test_the_metric_may_stand_over_the_mean(shapes: Model) -> None:
    """As text circuits: an answer alone is measured against all classes."""
    circuit = channel_graph(shapes, load_image_set("shapes").image(0), LogitOverMean("cup"))
    assert circuit.node_label[-1] == "logit(cup) \N{MINUS SIGN} mean logit"


def test_two_images_are_compared_unit_by_unit(shapes: Model) -> None:
    """The same unit in both is one node, and the layers stay the rows of what is drawn."""
    pictures = load_image_set("shapes")
    pair = [mt.prune(channel_graph(shapes, pictures.image(row))) for row in (0, 60)]
    both = mt.graph_difference(*pair)
    units = [{node for node in each.node_id if "/" in node} for each in pair]
    assert both.circuit.n_nodes == len(units[0] | units[1]) + 2
    assert int((both.node_counts == 2).sum()) == len(units[0] & units[1]) + 2
    assert both.circuit.metadata["unit_layers"] == pair[0].metadata["unit_layers"]
