"""Circuits of two images: exact sums of the difference, beside exchanging one unit at a time."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import count
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from scipy.stats import spearmanr
from torch import Tensor, nn
from torch.nn import functional

import microtome as mt
from microtome.errors import Cancelled, UnknownArchitecture
from microtome.images.sets import load_image_set
from microtome.jobs import Job, Progress
from microtome.metrics import LogitDifference
from microtome.models.model import Model
from microtome.prompts import ImageInput, PromptPair, Question
from microtome.records.circuit import IMAGE, Circuit
from microtome.vision.alone import ablate_unit, channels_alone
from microtome.vision.circuit import Seen, channel_graph
from microtome.vision.frozen import Frozen

KINDS = ("resnet", "convnext", "dinov2")
WHOLE: dict[str, Any] = {"tau": 0.0, "keep": 10**6, "units": 10**6}
METRIC = LogitDifference(0, 1)


@pytest.fixture(scope="module")
def pair(noise: ImageInput) -> PromptPair:
    """An image of nothing, and one that is dark with a bright corner."""
    other = noise.values // 8
    other[:20, 4:, 1:] = 250
    return PromptPair(noise, ImageInput(other, "other"))


@pytest.fixture(scope="module")
def known() -> PromptPair:
    """Two faces that the model knows."""
    pictures = load_image_set("shapes")
    return PromptPair(pictures.image(0), pictures.image(110))


@pytest.mark.parametrize("kind", [*KINDS, "shapes"])
def test_in_edges_and_out_edges_sum_to_every_score_and_no_bias_is_left(
    kind: str, random_net: Callable[[str], Model], shapes: Model, pair: PromptPair,
    known: PromptPair,
) -> None:  # fmt: skip
    """The image's score is the whole difference; swapped, every score changes its sign."""
    model, asked = (shapes, known) if kind == "shapes" else (random_net(kind), pair)
    circuit = channel_graph(model, asked, METRIC, **WHOLE)
    told, room = circuit.metadata, 1e-5 * max(1.0, float(np.abs(circuit.node_score).max()))
    difference = told["metric_value"] - told["metric_value_corrupt"]
    own = [channel_graph(model, each, METRIC).metadata["metric_value"]
           for each in (asked.clean, asked.corrupt)]  # fmt: skip
    assert difference == pytest.approx(own[0] - own[1])
    assert abs(difference) > 100 * room
    assert (circuit.node_score[0], circuit.node_score[-1]) == pytest.approx((difference,) * 2)
    assert np.abs(circuit.node_bias).max() < room
    weight = circuit.edge_weight.astype(np.float64)
    into = np.bincount(circuit.edge_target, weight, circuit.n_nodes)
    out = np.bincount(circuit.edge_source, weight, circuit.n_nodes)
    assert np.abs(into - circuit.node_score)[1:].max() < room
    assert np.abs(out - circuit.node_score)[:-1].max() < room
    swapped = channel_graph(model, PromptPair(asked.corrupt, asked.clean), METRIC, **WHOLE)
    for node in set(circuit.node_id) & set(swapped.node_id):
        there = swapped.node_score[swapped.row(node)]
        assert there == pytest.approx(-circuit.node_score[circuit.row(node)], abs=10 * room)


@pytest.mark.parametrize("kind", KINDS)
def test_every_edge_is_what_one_unit_alone_brings_into_the_frozen_net(
    kind: str, random_net: Callable[[str], Model], pair: PromptPair
) -> None:
    """The slow way: all units as in the other image but one; all of them give the image's run."""
    model = random_net(kind)
    circuit = channel_graph(model, pair, METRIC, **WHOLE)
    pieces = Seen.of(model, pair, METRIC).pieces()
    assert model.sight is not None
    for asked, given in ((pair.clean, pieces.read), (pair.corrupt, {})):
        found, value = pieces.replayed({name: held.detach() for name, held in given.items()})
        pixels = model.sight.pixels([asked])
        with torch.inference_mode(), model.sight.reading(pieces.layers) as plain:
            logits = model.sight.logits(pixels)[0]
        assert value == pytest.approx(float(logits[0] - logits[1]))
        assert all(torch.allclose(found[name], plain[name]) for name in pieces.layers)
    corrupt, checked = plain, 0
    for row, node in list(enumerate(circuit.node_id[:-1]))[::4]:
        layer, _, number = node.partition("/")
        unit = slice(None) if layer == IMAGE else slice(int(number), int(number) + 1)
        alone = pieces.start(layer).clone()
        alone[:, unit] = pieces.read[layer].detach()[:, unit]
        found, reached = pieces.replayed({layer: alone})
        for edge in circuit.outgoing(row)[:12]:
            into, _, at = circuit.node_id[circuit.edge_target[edge]].partition("/")
            brought = reached - value
            if into != "OUT":
                each = (found[into] - corrupt[into]) * pieces.worth[into]
                brought = float(each[0, int(at)].sum())
            assert circuit.edge_weight[edge] == pytest.approx(brought, rel=1e-4, abs=1e-7)
            checked += 1
    assert checked > 30


def _attended(x: Tensor, **more: Any) -> Tensor:
    return functional.scaled_dot_product_attention(x, x.flip(-1), x * x, **more)


MASK = torch.tensor([[True, True, False], [True, False, True], [True, True, True]])
STEPS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "in place": lambda x: functional.relu(x * 1, True),
    "gelu": functional.gelu,
    "hardswish": functional.hardswish,
    "clamp": lambda x: x.clamp(-0.5, 0.8),
    "sigmoid": torch.sigmoid,
    "one over": lambda x: 1 / (2 + x.square()),
    "power": lambda x: (x.abs() + 1).pow(-0.5),
    "product": lambda x: x * x.flip(-1),
    "quotient": lambda x: x.flip(-2) / (2 + x.abs()),
    "matrix product": lambda x: x @ x.transpose(-1, -2),
    "einsum": lambda x: torch.einsum("bcij,bcik->bcjk", x, torch.tanh(x)),
    "standard deviation": lambda x: x.std(-1, keepdim=True),
    "variance": lambda x: torch.var(x, dim=(-1, -2), unbiased=False),
    "length": lambda x: torch.linalg.vector_norm(x, dim=1),
    "softmax": lambda x: functional.softmax(3 * x, dim=-1),
    "hidden": lambda x: x.masked_fill(~MASK, -math.inf).softmax(-1),
    "layer norm": lambda x: functional.layer_norm(x, (3,), torch.arange(3.0), torch.ones(3)),
    "group norm": lambda x: functional.group_norm(x, 2, torch.arange(4.0), torch.ones(4)),
    "max pool": lambda x: functional.max_pool2d(x, 2, stride=1),
    "attention": _attended,
    "masked attention": lambda x: _attended(x, attn_mask=MASK),
    "causal attention": lambda x: _attended(x, is_causal=True, scale=0.7),
    "biased attention": lambda x: _attended(x, attn_mask=torch.eye(3)),
}


@pytest.mark.parametrize("step", STEPS)
def test_each_step_goes_through_both_runs(step: str) -> None:
    """Its frozen map, fed with either run, gives that run's own value; also where both agree."""
    run, generator = STEPS[step], torch.Generator().manual_seed(2)
    clean, corrupt = (torch.randn(1, 4, 3, 3, generator=generator).double() for _ in range(2))
    clean[0, 1] = corrupt[0, 1]
    here, there = (run(each.float() if "norm" in step else each) for each in (clean, corrupt))
    kind = here.dtype
    clean, corrupt = clean.to(kind), corrupt.to(kind)
    frozen = Frozen()
    with torch.no_grad(), frozen.note():
        run(corrupt)
    live = clean.clone().requires_grad_()
    with frozen.record():
        made = run(live)
    room = 1e-10 if kind == torch.float64 else 1e-5
    assert torch.allclose(made, here, atol=room)
    with torch.no_grad(), frozen.replay():
        assert torch.allclose(run(corrupt), there, atol=room)
    (slope,) = torch.autograd.grad((made * made.detach().cos()).sum(), live)
    rise = ((here - there) * made.detach().cos()).sum()
    assert float((slope * (clean - corrupt)).sum()) == pytest.approx(float(rise), abs=10 * room)


def test_a_maximum_is_shared_by_the_largest_of_both_runs() -> None:
    """By how far each leads in its own run: 3 over 1 here, 2 over 1 there."""
    clean, corrupt = torch.tensor([[4.0, 1.0]]), torch.tensor([[0.0, 1.0]])
    frozen = Frozen()
    with frozen.note():
        functional.max_pool2d(corrupt[None, None], (1, 2))
    live = clean[None, None].requires_grad_()
    with frozen.record():
        made = functional.max_pool2d(live, (1, 2))
    (slope,) = torch.autograd.grad(made.sum(), live)
    assert slope.flatten().tolist() == pytest.approx([0.75, 0.25])


def test_scores_predict_what_exchanging_a_channel_does(shapes: Model) -> None:
    """By rank over all channels: better than the gradient at the clean image; last layers exact."""
    pictures, ranks = load_image_set("shapes"), []
    for clean, corrupt in ((4, 150), (210, 20)):
        pair = PromptPair(pictures.image(clean), pictures.image(corrupt))
        seen = Seen.of(shapes, pair)
        pieces, plain = seen.pieces(), Seen.of(shapes, pair.clean, seen.metric).pieces()
        circuit = channel_graph(shapes, pair, seen.metric, **WHOLE)
        found: list[tuple[float, float, float]] = []
        for node in circuit.node_id[1:-1]:
            layer, _, number = node.partition("/")
            effect = ablate_unit(shapes, pair, circuit, node, seen.metric)
            change = (pieces.read[layer].detach() - pieces.start(layer)) * plain.worth[layer]
            gradient = float(change[0, int(number)].sum())
            predicted, true = (float(effect.array(name)[0]) for name in ("predicted", "true"))
            found.append((predicted, gradient, true))
            if layer in ("stage2.block0", "pool"):
                assert predicted == pytest.approx(true, abs=1e-4)
        score, gradient, true = np.array(found).T
        ranks.append((spearmanr(score, true)[0], spearmanr(gradient, true)[0]))
    scored, gradients = np.array(ranks).T
    assert scored.min() > 0.7
    assert scored.mean() > gradients.mean() + 0.1


def test_units_are_exchanged_with_the_other_image(shapes: Model, known: PromptPair) -> None:
    """One by itself both ways, and all but some; the curve goes from the one image to the other."""
    seen = Seen.of(shapes, known)
    circuit = channel_graph(shapes, known)
    assert shapes.sight is not None
    with shapes.sight.reading(["stem"]) as read, torch.inference_mode():
        shapes.sight.logits(torch.cat([seen.pixels, seen.corrupt_pixels]))  # type: ignore[list-item]
    stem = read["stem"].clone()

    def value(pixels: Tensor, kept: list[int], other: Tensor) -> float:
        def change(values: Tensor) -> Tensor:
            new = other[None].clone()
            new[:, kept] = values[:, kept]
            return new

        with shapes.sight.changing({"stem": change}), torch.inference_mode():  # type: ignore[union-attr]
            return float(shapes.sight.logits(pixels)[0] @ seen.weights)  # type: ignore[union-attr]

    found = ablate_unit(shapes, known, circuit, "stem/3")
    rest = [unit for unit in range(16) if unit != 3]
    assert found.array("noised")[0] == pytest.approx(
        seen.value - value(seen.pixels, rest, stem[1]), abs=1e-4
    )
    assert seen.corrupt_pixels is not None
    assert found.array("denoised")[0] == pytest.approx(
        value(seen.corrupt_pixels, rest, stem[0]) - seen.corrupt_value, abs=1e-4
    )
    both = (found.array("noised")[0] + found.array("denoised")[0]) / 2
    assert found.array("true")[0] == pytest.approx(both)
    assert "mean with the reverse" in found.params["how"]
    alone = channels_alone(shapes, known, ["stem/1", "stem/5"], layers=("stem",)).params
    left = value(seen.pixels, [1, 5], stem[1])
    share = (left - seen.corrupt_value) / (seen.value - seen.corrupt_value)
    assert alone["share"] == pytest.approx(share, abs=1e-4)
    assert alone["how"] == "others replaced by their values on the corrupt image"
    curve = mt.channel_faithfulness(shapes, circuit, known, sizes=(0.5, 1.0))
    assert curve.none[0] == pytest.approx(seen.corrupt_value, abs=1e-4)
    assert curve.faithfulness[1] == pytest.approx(1.0)
    assert curve.faithfulness[0] > 0.3 + np.mean(curve.params["random"][0])
    assert "corrupt image" in curve.params["how"]


def test_a_question_with_two_images_is_explained_and_kept(
    shapes: Model, known: PromptPair, tmp_path: Any
) -> None:
    """The session has both images and the circuit of their difference, and its file too."""
    asked = Question(known.clean, corrupt=known.corrupt, answer="Ada", wrong="Ben")
    session = mt.examine(shapes, asked)
    mt.save_session(tmp_path / "pair.h5", session)
    again = mt.open_session(tmp_path / "pair.h5")
    for held in (session, again):
        circuit = held.circuit
        assert isinstance(circuit, Circuit)
        told = circuit.metadata
        difference = held.metric["value"] - held.metric["value_corrupt"]
        assert circuit.node_score[-1] == pytest.approx(difference, abs=1e-4)
        assert (told["rule"], told["metric_value_corrupt"]) == (
            "two-point", pytest.approx(held.metric["value_corrupt"], abs=1e-4),
        )  # fmt: skip
        assert not any("alone" in note for note in told["notes"])
        assert "corrupt image" in held.analyses["reproduced-share"].params["how"]
    assert again.question is not None
    assert again.question.corrupt == known.corrupt
    twice = PromptPair(known.clean, known.clean)
    same = channel_graph(shapes, twice, LogitDifference("Ada", "Ben"))
    assert (same.n_edges, same.metadata["unexplored"], same.metadata["cancellation"]) == (
        0, None, None,
    )  # fmt: skip
    assert "nothing to explain" in same.metadata["notes"][-1]


def test_progress_is_told_step_by_step_and_a_stop_acts_within_one(
    shapes: Model, known: PromptPair
) -> None:
    """While it freezes and while it goes down; after a stop nothing hangs on the module."""
    told: list[Progress] = []
    channel_graph(shapes, known, job=Job(on_progress=told.append, clock=count().__next__))
    for title in ("Freezing the run", "Finding the circuit"):
        shares = [each.fraction for each in told if each.title == title]
        assert len(shares) > 8
        assert shares == sorted(shares)
    assert shares[-1] == 1.0
    for title, done in (
        ("Freezing the run", 3),
        ("Freezing the run", 12),
        ("Finding the circuit", 2),
    ):
        reports: list[Progress] = []

        def stop(each: Progress, title: str = title, done: int = done) -> None:
            reports.append(each)  # noqa: B023
            if (each.title, each.done) == (title, done):
                job.cancel()  # noqa: B023

        job = Job(on_progress=stop, clock=count().__next__)
        with pytest.raises(Cancelled):
            channel_graph(shapes, known, job=job)
        assert (reports[-1].title, reports[-1].done) == (title, done)
        assert not any(part._forward_hooks for part in shapes.module.modules())


_LENGTHS = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.read = nn.Conv2d(3, 5, 3, padding=1), nn.Linear(5, 2)

    def forward(self, pixels):
        x = torch.relu(self.first(pixels)).mean((2, 3))
        return self.read(x / x.norm(p=3, dim=1, keepdim=True))

build = Net
IMAGE = {"channels": 3, "size": (8, 10), "mean": (0.5, 0.5, 0.5), "std": (0.25, 0.25, 0.25)}
CLASSES = ("cat", "dog")
"""


def test_a_step_without_a_rule_for_two_runs_leaves_the_first_image(tmp_path: Any) -> None:
    """A length by third powers is held in one run; between two it is refused, and told."""
    torch.manual_seed(0)
    first, read = nn.Conv2d(3, 5, 3, padding=1), nn.Linear(5, 2)
    weights = {f"{name}.{key}": value for name, held in (("first", first), ("read", read))
               for key, value in held.state_dict().items()}  # fmt: skip
    save_file(weights, tmp_path / "net.safetensors")
    (tmp_path / "net.py").write_text(_LENGTHS)
    model = mt.load_adapter(tmp_path / "net.py", tmp_path / "net.safetensors", allow_code=True)
    rng = np.random.default_rng(0)
    images = [ImageInput(rng.integers(0, 256, (8, 10, 3), dtype=np.uint8) // by) for by in (1, 9)]
    with pytest.raises(UnknownArchitecture, match="cannot freeze"):
        channel_graph(model, PromptPair(*images))
    session = mt.examine(model, Question(images[0], corrupt=images[1]))
    assert session.circuit is not None
    assert session.circuit.metadata["corrupt"] is None
    assert "first image alone" in session.circuit.metadata["notes"][-1]
