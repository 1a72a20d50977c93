"""Circuits of images while they grow: parts of the whole, when they are told, and to whom."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import microtome as mt
from microtome.circuits import growing
from microtome.errors import Cancelled
from microtome.images.sets import load_image_set
from microtome.jobs import Job
from microtome.metrics import LogitDifference
from microtome.models.model import Model
from microtome.prompts import ImageInput, PromptPair
from microtome.records.circuit import Circuit
from microtome.vision.circuit import channel_graph

METRIC = LogitDifference(0, 1)
FEW: dict[str, Any] = {"keep": 6}  # edges of a unit


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every layer that is done is told."""
    monkeypatch.setattr(growing, "EVERY", 0.0)
    monkeypatch.setattr(growing, "TIMES", 0)


def edges_of(circuit: Circuit, least: int = 0) -> dict[tuple[str, str], tuple[float, float]]:
    """Weight and influence of the edges into this layer and those above it."""
    found = {}
    for row in range(circuit.n_edges):
        source, target = int(circuit.edge_source[row]), int(circuit.edge_target[row])
        if circuit.node_layer[target] >= least:
            name = circuit.node_id[source], circuit.node_id[target]
            found[name] = float(circuit.edge_weight[row]), float(circuit.edge_influence[row])
    return found


def nodes_of(circuit: Circuit, name: str, least: int = -1) -> dict[str, float]:
    """A number of each node in this layer and those above it."""
    rows = zip(circuit.node_id, circuit.node_layer, getattr(circuit, f"node_{name}"), strict=True)
    return {node: float(value) for node, layer, value in rows if layer >= least}


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("two_images", [False, True])
@pytest.mark.parametrize("kind", ["resnet", "convnext", "dinov2", "shapes"])
def test_what_is_found_so_far_is_a_part_of_the_whole(
    kind: str,
    two_images: bool,
    random_net: Callable[[str], Model],
    shapes: Model,
    noise: ImageInput,
) -> None:
    """Layer by layer from the metric down: the same edges, scores and biases as in the end."""
    model = shapes if kind == "shapes" else random_net(kind)
    image = load_image_set("shapes").image(40) if kind == "shapes" else noise
    other = ImageInput(np.ascontiguousarray(image.values[::-1]) // 2, "other")
    asked = PromptPair(image, other) if two_images else image
    parts: list[tuple[str, Circuit]] = []
    job = Job(on_partial=lambda name, value: parts.append((name, value)))
    whole = channel_graph(model, asked, METRIC, **FEW, job=job)
    layers = len(whole.metadata["unit_layers"])
    assert "partial" not in whole.metadata
    assert [name for name, _ in parts] == ["circuit"] * (layers - 1)
    for lowest, (_, part) in zip(reversed(range(1, layers)), parts, strict=True):
        told = part.metadata
        assert (told["partial"], told["lowest"], told["unexplored"]) == (True, lowest, None)
        assert edges_of(part) == edges_of(whole, lowest)
        for name in ("score", "bias"):
            assert nodes_of(part, name).items() <= nodes_of(whole, name).items()
        final, end = (nodes_of(each, "influence", lowest - 1) for each in (part, whole))
        assert final.items() <= end.items()
        assert mt.prune(part).n_edges  # nodes whose in-edges are still to come are no dead ends
    assert set(nodes_of(parts[-1][1], "influence", 0)) == set(nodes_of(whole, "influence", 0))


@pytest.mark.usefixtures("at_once")
def test_nobody_is_told_who_does_not_listen_and_a_stop_leaves_nothing_behind(
    shapes: Model,
) -> None:
    """A job without a listener is handed nothing; one that stops hands out no more."""

    class Deaf(Job):
        def partial(self, name: str, value: Any) -> None:
            raise AssertionError(name)

    image = load_image_set("shapes").image(3)
    quiet = channel_graph(shapes, image, METRIC, **FEW, job=Deaf())
    assert edges_of(quiet) == edges_of(channel_graph(shapes, image, METRIC, **FEW))
    parts: list[Circuit] = []

    def stop(name: str, value: Circuit) -> None:
        parts.append(value)
        if len(parts) == 2:
            job.cancel()

    job = Job(on_partial=stop)
    with pytest.raises(Cancelled):
        channel_graph(shapes, image, METRIC, **FEW, job=job)
    assert len(parts) == 2
    assert not any(part._forward_hooks for part in shapes.module.modules())


@pytest.mark.parametrize(("takes", "apart"), [(0.01, 1.0), (0.5, 5.0)])
def test_it_is_told_after_a_second_then_seldom(
    takes: float, apart: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No more than once a second, and never for more than a tenth of the time."""
    clock = SimpleNamespace(now=20.0)
    monkeypatch.setattr(growing, "time", SimpleNamespace(perf_counter=lambda: clock.now))
    told: list[float] = []

    def made(found: str, more: dict[str, Any]) -> Any:
        clock.now += takes
        return found, more

    job = Job(on_partial=lambda name, value: told.append(clock.now))
    circuits = growing.Growing(job, made, clock.now - 0.5)  # begun half a second before
    for layer in reversed(range(1000)):
        circuits.tell(layer, lambda: "what is found")
        clock.now += 0.03
    assert told[0] == pytest.approx(20.5 + takes, abs=0.03)
    waits = np.diff(told) - takes
    assert waits.min() >= apart - 1e-9
    assert waits.max() < apart + 0.04
    assert len(told) * takes <= 0.1 * (clock.now - 19.5)
