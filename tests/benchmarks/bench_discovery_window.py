"""The dial of the discovery panel: a GPT-2-small shape, and one of 32 layers of 32 heads.

A step is all that the GUI thread does for one move of the slider: masks by size, what leads
nowhere dropped, graph, curve, numbers. The edges' picture is painted in slices behind it and is
told apart, as are a step with two rivals in one graph and the first drawing of a circuit. Sizes
run through the whole slider in each of five rounds. What a worker makes ready for 1.6 million
edges is told as well; the window is free meanwhile. Times of steps are processor times of the GUI
thread, so that other programs do not count; the clock is printed beside them.
"""

from __future__ import annotations

import time
from functools import partial

import numpy as np
import pytest
from PySide6.QtCore import QCoreApplication, Qt
from PySide6.QtWidgets import QSplitter

from microtome.records.discovery import discovery_analysis
from microtome.records.edges import Edges
from microtome.records.faithfulness import Faithfulness, faithfulness_analysis
from microtome.records.model import ModelIdentity
from microtome.records.session import Session
from microtome_desktop.presenters.contest import Contest
from microtome_desktop.views.discovery_dial import DiscoveryDial
from microtome_desktop.views.discovery_middle import DiscoveryMiddle, Page

pytestmark = pytest.mark.benchmark
SHAPES = {"GPT-2 small": (Edges(12, 12), 16), "32 layers x 32 heads": (Edges(32, 32), 50)}
ROUNDS, STEPS = 5, 60
SIZES = np.array([0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0])


def analyses(edges, seed):
    draw = np.random.default_rng(seed)
    told = {
        "method": "eap", "title": f"EAP {seed}", "scale": "change", "sign": "positive",
        "aggregated": True, "fingerprint": "0f", "ablation": "resample", "over": [],
        "metric": "logit", "metrics": ["logit"], "read_at": [-1], "prompts": [f"a{seed}"],
        "corrupt": ["b"], "seconds": 1.0,
    }  # fmt: skip
    # Edges of the input and into the logits are the strong ones, as in real circuits.
    scores = draw.standard_normal(edges.exists.shape) ** 3
    scores[0] *= 6
    scores[:, -1] *= 6
    rise = 1 - np.exp(-9 * SIZES)
    curve = Faithfulness(
        sizes=SIZES, counts=(SIZES * edges.count).astype(int), faithfulness=rise,
        by_magnitude=rise, cpr=0.9, cmd=0.1, values=rise[:, None] * np.ones(32),
        whole=np.ones(32), none=np.zeros(32), metric="logit",
        band=np.stack([rise - 0.1, rise + 0.1]), params={**told, "id": f"faithfulness-{seed}"},
    )  # fmt: skip
    return discovery_analysis(edges.as_circuit(scores, told)), faithfulness_analysis(curve)


@pytest.fixture(params=SHAPES)
def shape(request):
    return request.param


@pytest.fixture
def right(qtbot, shape):
    edges, _ = SHAPES[shape]
    held = [one for seed in (1, 2) for one in analyses(edges, seed)]
    identity = ModelIdentity(
        name=shape, architecture="gpt2", fingerprint="0f", n_layers=edges.n_layers,
        n_heads=edges.n_heads, n_kv_heads=edges.n_heads, d_model=768, d_head=64, d_mlp=3072,
        vocabulary=50257, context=1024, n_parameters=124_000_000,
    )  # fmt: skip
    contest, middle = Contest(), DiscoveryMiddle()
    contest.use(Session(model=identity, analyses={one.id: one for one in held}))
    made = DiscoveryDial(contest, middle)
    both = QSplitter(Qt.Orientation.Horizontal)
    qtbot.addWidget(both)
    both.addWidget(middle)
    both.addWidget(made)
    both.resize(800, 430)
    with qtbot.waitExposed(both):
        both.show()
    made.both = both
    return made


def milliseconds(act):
    """By the processor and by the clock."""
    used, start = time.thread_time(), time.perf_counter()
    act()
    return 1e3 * (time.thread_time() - used), 1e3 * (time.perf_counter() - start)


def steps_of(right):
    """The time of each step, and of what is painted before the next one can come."""
    taken, painted = [], []
    for step in np.linspace(200, 1000, STEPS).astype(int):
        taken.append(milliseconds(lambda step=step: right.dial.slider.setValue(int(step))))
        painted.append(milliseconds(QCoreApplication.processEvents))
    return taken, painted


@pytest.mark.timeout(600)
def test_a_step_of_the_dial(right, shape, measuring):
    edges, most = SHAPES[shape]
    front, other = right.contest.held
    ticks, contest = (front.id, other.id), right.contest
    ready = [milliseconds(partial(contest.ranked, one))[1] for one in contest.held]
    measuring.figure(f"making {edges.count:,} edges ready, for the worker", ready, "ms")
    both = partial(contest.beside, *map(contest.ranked, contest.held))
    measuring.figure("joining two of these, for the worker", [milliseconds(both)[1]], "ms")
    first = [milliseconds(lambda: right.show_front(front, ticks, ""))[0]]
    right.middle.graph.canvas.finish()
    measuring.figure(f"first drawing of {edges.count:,} edges", first, "ms")
    for page in (Page.GRAPH, Page.COMPARE):
        right.middle.show_page(page)
        QCoreApplication.processEvents()
        rounds = [steps_of(right) for _ in range(ROUNDS)]
        name = page.name.lower()
        for way, by in enumerate(("", ", by the clock")):
            steps = [[each[way] for each in taken] for taken, _ in rounds]
            figure, limit = measuring.figure, None if way else most
            medians = [np.median(step) for step in steps]
            figure(f"a step of the dial, {shape}, {name}{by}", medians, "ms", most=limit)
            figure(f"longest step, {shape}, {name}{by}", [max(step) for step in steps], "ms")
        painted = [np.median([each[0] for each in behind]) for _, behind in rounds]
        measuring.figure(f"painting behind a step, {name}", painted, "ms")
