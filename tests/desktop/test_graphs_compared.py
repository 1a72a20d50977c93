"""Circuits of several runs or files beside each other: in one graph, and counted."""

from __future__ import annotations

import json

import graph_samples as samples
from acts import rest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QFileDialog

from microtome_desktop.jobs.graph_requests import ImportGraph
from microtome_desktop.presenters.circuit_curves import ONLY_FIRST, ONLY_SECOND, SHARED
from microtome_desktop.presenters.circuit_look import EDGE_INFLUENCE, NODE_INFLUENCE
from microtome_desktop.views.comparison_window import ComparisonWindow
from microtome_desktop.views.graph_comparison import ConsensusWindow

WAIT = 30_000


def second():
    """The same question of other tokens: one feature and one link are others."""
    value = samples.current()
    value["nodes"][1] = samples.feature(3, 123, 3, influence=0.4)
    for each in value["links"]:
        each.update({end: "3_123_3" for end in ("source", "target") if each[end] == "3_70000_3"})
    value["metadata"] = value["metadata"] | {"prompt_tokens": ["<bos>", " A", " town", " is"]}
    value["qParams"] = {}
    return value


def choose(panel, rows, modifier=Qt.KeyboardModifier.ControlModifier):
    keys = Qt.KeyboardModifier.NoModifier
    for row in rows:
        place = panel.list.visualItemRect(panel.list.topLevelItem(row)).center()
        QTest.mouseClick(panel.list.viewport(), Qt.MouseButton.LeftButton, keys, place)
        keys = modifier


def test_two_files_are_one_graph_in_colours_and_many_are_counted(
    qtbot, bench, tmp_path, monkeypatch
):
    for look in (NODE_INFLUENCE, EDGE_INFLUENCE):
        look.set(bench.desk.book, 1.0)
    graph = samples.write(tmp_path / "a.json", samples.current())
    for path in (graph, samples.write(tmp_path / "b.json", second()), graph):
        bench.runner.ask(ImportGraph(path))
    rest(bench, qtbot)
    bench.window.docks["history"].raise_()
    panel = bench.furnishing.panels["history"]
    qtbot.waitUntil(lambda: not panel.visibleRegion().isEmpty(), timeout=WAIT)
    choose(panel, (1, 2))
    QTest.mouseClick(panel.compare, Qt.MouseButton.LeftButton)
    (window,) = bench.window.findChildren(ComparisonWindow)
    window.tabs.setCurrentWidget(window.graph)
    qtbot.waitUntil(lambda: window.graph.canvas.drawing is not None, timeout=WAIT)
    rest(bench, qtbot)
    drawing = window.graph.canvas.drawing
    hue = dict(zip(drawing.circuit.node_id, drawing.node_hue.tolist(), strict=True))
    assert hue["3_70000_3"] == ONLY_FIRST
    assert hue["3_123_3"] == ONLY_SECOND
    assert hue["0_5_1"] == hue["6_4321_3"] == SHARED
    ends = zip(drawing.circuit.edge_source, drawing.circuit.edge_target, strict=True)
    for (source, target), edge_hue in zip(ends, drawing.curves.hue.tolist(), strict=True):
        of_ends = {hue[drawing.circuit.node_id[end]] for end in (source, target)}
        assert edge_hue in of_ends
    assert "only in the second: 1 node, 3 edges" in window.graph.legend[2].text()
    window.close()
    choose(panel, (0, 2), Qt.KeyboardModifier.ShiftModifier)
    QTest.mouseClick(panel.consensus, Qt.MouseButton.LeftButton)
    QTest.mouseClick(panel.consensus, Qt.MouseButton.LeftButton)
    other, window = bench.window.findChildren(ConsensusWindow)
    qtbot.waitUntil(lambda: other.graph.found is not None, timeout=WAIT)  # both get their answer
    other.close()
    qtbot.waitUntil(lambda: window.graph.found is not None, timeout=WAIT)
    rest(bench, qtbot)
    found = window.graph.found
    counts = dict(zip(found.circuit.node_id, found.node_counts, strict=True))
    assert [counts[node] for node in ("0_5_1", "3_70000_3", "3_123_3")] == [3, 2, 1]
    tells_no_score(window)
    exported(qtbot, bench, window.graph, counts, tmp_path, monkeypatch)
    window.close()
    QTest.mouseClick(panel.consensus, Qt.MouseButton.LeftButton)
    bench.runner.cancel_visible()
    (window,) = (each for each in bench.window.findChildren(ConsensusWindow) if each.isVisible())
    assert "stopped" in window.graph.empty.headline.text()
    window.close()
    for _ in range(2):
        bench.desk.book.undo()


def tells_no_score(window):
    """No file here has scores, so that a mean of 0 would be made up."""
    model = window.nodes.model()
    assert {model.index(row, 3).data() for row in range(model.rowCount())} == {"–"}
    assert "score" not in window.graph.canvas.drawing.node_notes(0)


def exported(qtbot, bench, shown, counts, folder, monkeypatch):
    """What both buttons save is what is shown."""
    for button, name in ((shown.json, "held.json"), (shown.csv, "held.csv")):
        chosen = str(folder / name), ""
        monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, chosen=chosen: chosen)
        QTest.mouseClick(button, Qt.MouseButton.LeftButton)
        rest(bench, qtbot)
    told = json.loads((folder / "held.json").read_text())
    assert {node["id"]: node["count"] for node in told["nodes"]} == counts
    lines = (folder / "held.csv").read_text().splitlines()
    assert lines[0].startswith("what,id,label,kind,from,to,count,run 1")
    assert len(lines) == 1 + len(told["nodes"]) + len(told["edges"])
