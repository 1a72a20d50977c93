"""The circuit of an image on the canvas: rows are layers, nodes are channels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

import microtome as mt
from microtome.jobs import Job
from microtome.records.circuit import CHANNEL, IMAGE, OUTPUT
from microtome.records.faithfulness import faithfulness_of
from microtome.records.marks import Marks
from microtome_desktop.jobs.engine import Engine
from microtome_desktop.jobs.examine import show_new
from microtome_desktop.jobs.requests import AblateNode, ReproducedShare, Subject
from microtome_desktop.jobs.unit_requests import UnitFaithfulness
from microtome_desktop.presenters.as_python import node_lines
from microtome_desktop.presenters.circuit import draw, inner_nodes, pruned
from microtome_desktop.presenters.circuit_search import matches
from microtome_desktop.presenters.circuit_view import Placing, View
from microtome_desktop.presenters.discovery_choice import no_edges

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture(scope="module")
def seen():
    """The embedded model that sees, and its session on a face."""
    model = mt.load_model("shapes-resnet")
    image = replace(mt.load_image_set("shapes").image(0), source="set:shapes/0")
    question = mt.Question(image, answer="Ada", wrong="Dan")
    return model, mt.examine(model, question)


@pytest.fixture
def graph(bench, seen, qtbot):
    """The circuit panel of the whole window with that session in it."""
    show_new(bench.desk, seen[1])
    panel = bench.furnishing.panels["circuit"]
    drawn = seen[1].circuit.metadata["metric"]
    qtbot.waitUntil(lambda: _metric_of(panel) == drawn and bench.runner.turns.idle)
    panel.finish_drawing()
    yield panel
    bench.desk.selection.clear()


def _metric_of(panel):
    drawing = panel.canvas.drawing
    return "" if drawing is None else drawing.circuit.metadata["metric"]


def test_a_click_selects_a_channel_and_the_card_speaks_of_it(bench, graph, qtbot):
    selection = bench.desk.selection
    assert (selection.current.node, selection.current.position) == ("OUT", None)
    assert graph.canvas.layer_axis._names[0] == IMAGE
    assert graph.canvas.layer_axis._names[-2] == "pool"
    assert not graph.canvas.token_axis.isVisible()
    assert [entry.split()[0] for entry in graph.legend.entries[:3]] == [IMAGE, CHANNEL, "metric"]
    row = graph.shown.node_id.index("stage2.block0/8")
    viewport = graph.canvas.view.viewport()
    QTest.mouseClick(viewport, LEFT, pos=graph.canvas.place_of(row).toPoint())
    assert selection.current.unit == selection.current.node == "stage2.block0/8"
    assert (selection.current.layer, selection.current.head) == (None, None)
    card = bench.furnishing.panels["node_card"]
    qtbot.waitUntil(lambda: card.heading.text() == "s2.b0 c8")
    assert card.description.text() == "channel 8 of stage2.block0, all its places together"
    assert card.node_check.isVisibleTo(card)
    assert not card.edge_check.isVisibleTo(card)
    assert not card.why.isVisibleTo(card)
    selection.update(unit="pool/27")  # from another panel
    assert selection.current.node == "pool/27"
    selection.update(unit="stem/5000")
    assert selection.current.node is None
    selection.update(node=IMAGE)
    assert selection.current.unit == "stem/5000"


def test_rows_are_layers_and_no_two_nodes_touch(seen):
    circuit = seen[1].circuit
    for nodes in (10, 40, 150):
        part = pruned(circuit, View(nodes=nodes))
        assert part.n_nodes <= nodes + 2
        layout = draw(part, 760.0, 300.0).layout
        assert len(layout.rows) == len(np.unique(part.node_layer))
        for row in np.unique(layout.y):
            line = np.flatnonzero(layout.y == row)
            line = line[np.argsort(layout.x[line])]
            radii = layout.diameter[line] / 2
            assert (np.diff(layout.x[line]) > radii[1:] + radii[:-1] - 0.5).all()
            inner = [int(part.node_feature[node]) for node in line]
            assert inner == sorted(inner)
        assert layout.x.min() > 0
        assert layout.x.max() < 760
        up = layout.y[part.edge_target] - layout.y[part.edge_source]
        assert (up > 0).all()
    drawing = draw(part, 760.0, 300.0, Placing.COMPACT)
    assert {"image", "s2.b0.conv0", "pool", "out"} <= set(drawing.layout.row_names)
    assert drawing.texts[part.node_id.index("pool/8")] == "c8"
    found = matches(circuit, Marks(), "channel pool")
    assert {circuit.node_id[row].split("/")[0] for row in found} == {"pool"}


def test_a_channel_is_cut_and_the_drawn_ones_run_alone(seen):
    model, session = seen
    engine, subject = Engine(), Subject.of(session)
    engine.take(model)
    cut = AblateNode("pool/8", subject=subject).perform(engine, Job())
    assert cut.array("true")[0] == pytest.approx(cut.array("predicted")[0], abs=1e-4)
    nodes = inner_nodes(pruned(session.circuit, View()), session.circuit)
    assert OUTPUT not in nodes
    assert IMAGE not in nodes
    alone = ReproducedShare(nodes, subject=subject).perform(engine, Job())
    assert alone.params["share"] == session.analyses["reproduced-share"].params["share"]
    measured = replace(session, analyses={**session.analyses, cut.id: cut})
    lines = "\n".join(node_lines(measured, "pool/8", None))
    assert "from microtome.vision.alone import ablate_unit" in lines


def test_units_of_a_pair_are_exchanged_with_the_other_image(seen):
    model, session = seen
    pictures = mt.load_image_set("shapes")
    other = replace(pictures.image(70), source="set:shapes/70")
    pair = mt.examine(model, replace(session.question, corrupt=other))
    engine, subject = Engine(), Subject.of(pair)
    engine.take(model)
    cut = AblateNode("pool/8", subject=subject).perform(engine, Job())
    assert "corrupt image" in cut.params["how"]
    assert cut.array("denoised")[0] == pytest.approx(cut.array("predicted")[0], abs=1e-4)
    nodes = inner_nodes(pruned(pair.circuit, View()), pair.circuit)
    alone = ReproducedShare(nodes, subject=subject).perform(engine, Job())
    assert alone.params["share"] == pair.analyses["reproduced-share"].params["share"]
    found = UnitFaithfulness(subject=subject).perform(engine, Job())
    assert "corrupt image" in faithfulness_of(found).params["how"]
    held = replace(pair, analyses={**pair.analyses, cut.id: cut, found.id: found})
    for node, name in (("pool/8", "of_node"), ("OUT", "curve")):
        made: dict[str, object] = {}
        exec("\n".join(node_lines(held, node, None)), made)  # noqa: S102 - our own lines
        assert name in made
    assert made["curve"].faithfulness[-1] == pytest.approx(1.0)
    assert made["curve"].none[0] == pytest.approx(pair.metric["value_corrupt"], abs=1e-4)


def test_the_metrics_card_tells_how_many_units_are_enough(bench, seen, graph, qtbot):
    model, session = seen
    card = bench.furnishing.panels["node_card"]
    qtbot.waitUntil(lambda: card.curve.button.isVisibleTo(card))
    assert card.curve.plot is None or not card.curve.plot.isVisibleTo(card)
    engine = Engine()
    engine.take(model)
    found = UnitFaithfulness(subject=Subject.of(session)).perform(engine, Job())
    bench.desk.workspace.add_analysis(found)
    qtbot.waitUntil(lambda: bool(card.curve.plot and card.curve.plot.isVisibleTo(card)))
    assert [line.front for line in card.curve.plot.lines] == [False, True]
    control, own = (line.curve for line in card.curve.plot.lines)
    assert own.faithfulness[-1] == pytest.approx(1.0)
    assert own.faithfulness[3] > control.band[1][3]  # better than the best of ten
    assert "Others set to zero" in card.curve.text.text()
    bench.desk.selection.update(node="pool/8")
    qtbot.waitUntil(lambda: not card.curve.isVisibleTo(card))
    made: dict[str, object] = {}
    exec("\n".join(node_lines(bench.desk.workspace.session, "OUT", None)), made)  # noqa: S102
    assert made["curve"].faithfulness == pytest.approx(own.faithfulness, abs=1e-4)


def test_discovery_says_why_there_are_no_edges(seen):
    told = no_edges(seen[1])
    assert "heads and MLPs" in told
    assert "The tab Circuit shows the channels of an image." in told
