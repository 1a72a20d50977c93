"""Graph files of other tools in the window: opened, pruned, worked on, and written back."""

from __future__ import annotations

import json

import graph_samples as samples
import numpy as np
import pytest
from acts import drop, rest, to_front
from PySide6.QtCore import QPoint, Qt, QTimer
from PySide6.QtGui import QKeySequence
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QApplication,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QLineEdit,
    QMessageBox,
)

import microtome as mt
from microtome.session.reader import open_session
from microtome.session.writer import save_session
from microtome_desktop.commands.command import CommandId
from microtome_desktop.commands.table import command
from microtome_desktop.jobs.drawing_request import LayOut
from microtome_desktop.jobs.graph_requests import ImportGraph
from microtome_desktop.presenters import circuit as drawings
from microtome_desktop.presenters.circuit_look import EDGE_INFLUENCE, NODE_INFLUENCE
from microtome_desktop.presenters.circuit_text import node_tip
from microtome_desktop.state.notices import Level
from microtome_desktop.views import group_proposals
from microtome_desktop.views.prompt_panel import PromptPanel

WAIT = 30_000
_ID = CommandId


@pytest.fixture
def graph(tmp_path):
    return samples.write(tmp_path / "austin.json", samples.current())


@pytest.fixture
def bring(qtbot, bench, monkeypatch):
    """Import files from the menu's dialog, and wait until the circuit is on screen."""

    def act(*paths):
        chosen = [str(path) for path in paths]
        monkeypatch.setattr(QFileDialog, "getOpenFileNames", lambda *_: (chosen, ""))
        press(qtbot, bench, _ID.IMPORT_GRAPH)
        rest(bench, qtbot)
        return bench.furnishing.panels["circuit"]

    return act


def press(qtbot, bench, wanted):
    to_front(bench.window)
    bench.window.setFocus()
    qtbot.waitUntil(bench.window.isActiveWindow, timeout=WAIT)
    QTest.keySequence(bench.window, QKeySequence(command(wanted).shortcut))


def click(bench, wanted):
    menu, action = (
        bench.window.actions_table.menus[command(wanted).menu],
        bench.window.actions_table.actions[wanted],
    )
    menu.popup(bench.window.mapToGlobal(QPoint(40, 40)))
    QTest.mouseClick(menu, Qt.MouseButton.LeftButton, pos=menu.actionGeometry(action).center())


def test_an_attribution_graph_is_looked_at_walked_and_saved(qtbot, bench, bring, graph, tmp_path):
    panel = bring(graph)
    read = mt.read_graph(graph)
    session = bench.desk.workspace.session
    assert session.circuit.node_id == read.node_id
    assert bench.desk.workspace.dirty
    assert bench.desk.workspace.offline
    assert set(session.marks.pins) == {"3_70000_3", "6_4321_3"}
    assert [group.name for group in session.marks.supernodes] == ["capital", "capital"]
    assert "7 nodes, 6 edges" in bench.desk.notices.history[-1].title
    assert panel.facts.facts[0].text() == "attribution-graph"
    assert panel.controls.node_value.text() == "80 %"
    assert panel.controls.edge_value.text() == "98 %"
    canvas = panel.canvas
    row = canvas.drawing.circuit.row("6_4321_3")
    viewport = canvas.view.viewport()
    QTest.mouseClick(viewport, Qt.MouseButton.LeftButton, pos=canvas.place_of(row).toPoint())
    assert bench.desk.selection.current.node == "6_4321_3"
    canvas.setFocus()
    QTest.keyClick(canvas.view, Qt.Key.Key_Down)
    assert bench.desk.selection.current.node != "6_4321_3"
    path = save_session(tmp_path / "kept.h5", bench.desk.workspace.session)
    assert open_session(path).circuit.metadata["format"] == "attribution-graph"


def test_the_sliders_keep_what_the_published_rule_keeps(qtbot, bench, bring, graph):
    panel = bring(graph)
    bench.desk.book.mark("None", pins=(), supernodes=())
    panel.controls.nodes.setFocus()
    for key in (Qt.Key.Key_PageDown, Qt.Key.Key_PageDown):
        QTest.keyClick(panel.controls.nodes, key)
    QTest.keyClick(panel.controls.edges, Qt.Key.Key_PageDown)
    assert NODE_INFLUENCE.of(bench.desk.book) == 0.6
    assert EDGE_INFLUENCE.of(bench.desk.book) == 0.88
    read = mt.read_graph(graph)
    wanted = mt.prune_by_influence(read, 0.6, 0.88)
    qtbot.waitUntil(lambda: panel.shown.node_id == wanted.node_id, timeout=WAIT)
    assert panel.shown.n_edges == wanted.n_edges
    bench.desk.book.undo()
    bench.desk.book.undo()


def test_a_large_graph_is_laid_out_by_a_worker(qtbot, bench, bring, graph, monkeypatch):
    monkeypatch.setattr(drawings, "_LARGE", 5)
    asked = []
    perform = LayOut.perform
    monkeypatch.setattr(
        LayOut, "perform", lambda self, *given: asked.append(1) or perform(self, *given)
    )
    panel = bring(graph)
    bench.desk.book.mark("None", pins=(), supernodes=())
    rest(bench, qtbot)
    qtbot.waitUntil(lambda: panel.canvas.drawing is not None, timeout=WAIT)
    assert asked
    before = panel.shown
    panel.controls.edges.setFocus()
    QTest.keyClick(panel.controls.edges, Qt.Key.Key_Home)
    qtbot.waitUntil(lambda: panel.shown is not before, timeout=WAIT)
    rest(bench, qtbot)
    assert panel.shown.n_edges < before.n_edges
    bench.desk.book.undo()


def test_what_the_reader_left_out_stays_to_be_read(qtbot, bench, bring, tmp_path):
    value = samples.current()
    value["links"] += [
        samples.link("gone", "6_99_3", 1.0), samples.link("0_5_1", "0_5_1", 1.0),
    ]  # fmt: skip
    panel = bring(samples.write(tmp_path / "odd.json", value))
    notice = bench.desk.notices.history[-1]
    assert notice.level is Level.WARNING
    assert "1 link had an end that is no node" in notice.what
    assert "from a node to itself" in notice.what
    assert "order" in notice.way_out
    (toast,) = bench.toasts.shown
    assert toast.isVisible()
    told = {fact.text(): fact.toolTip() for fact in panel.facts.facts}
    assert "no order" in told["⚠ cycles"]
    assert "left out" in told["⚠ 2 notes of the reader"]
    bench.desk.book.mark("None", pins=(), supernodes=())
    assert "By size" in panel.controls.nodes.toolTip()
    panel.controls.nodes.setFocus()
    QTest.keyClick(panel.controls.nodes, Qt.Key.Key_End)
    QTest.keyClick(panel.controls.edges, Qt.Key.Key_End)
    qtbot.waitUntil(lambda: panel.shown is not None and panel.shown.n_nodes == 7, timeout=WAIT)
    for _ in range(2):
        bench.desk.book.undo()


def test_a_damaged_graph_that_is_dropped_loses_nothing(qtbot, bench, tmp_path):
    before = bench.desk.workspace.session
    path = tmp_path / "cut.json"
    path.write_text(json.dumps(samples.current())[:700])
    drop(bench.window, path)
    qtbot.waitUntil(lambda: bool(bench.desk.notices.history), timeout=WAIT)
    notice = bench.desk.notices.history[-1]
    assert notice.level is Level.ERROR
    assert "cut.json" in notice.title
    assert notice.way_out
    assert bench.desk.workspace.session is before


def test_what_is_unsaved_is_asked_about_first(qtbot, bench, graph, monkeypatch):
    bench.desk.workspace.mark_dirty()
    asked = []
    monkeypatch.setattr(bench.runner, "ask", asked.append)
    monkeypatch.setattr(QMessageBox, "exec", lambda _: QMessageBox.StandardButton.Cancel)
    drop(bench.window, graph)
    assert asked == []
    monkeypatch.setattr(QMessageBox, "exec", lambda _: QMessageBox.StandardButton.Discard)
    drop(bench.window, graph)
    assert asked == [ImportGraph(graph, graph.stat().st_size)]


def test_several_files_are_runs_of_the_history(qtbot, bench, bring, graph, tmp_path):
    other = samples.write(tmp_path / "eap.json", samples.eap())
    before = len(bench.desk.history.runs)
    bring(graph, other)
    formats = [run.session.circuit.metadata["format"] for run in bench.desk.history.runs[before:]]
    assert formats == ["attribution-graph", "eap"]


def export(qtbot, bench, fill):
    seen = []

    def answer():
        dialog = QApplication.activeModalWidget()
        if dialog is None:
            QTimer.singleShot(10, answer)
            return
        seen.append(dialog)
        try:
            fill(dialog)
            save = dialog.buttons.button(QDialogButtonBox.StandardButton.Save)
            QTest.mouseClick(save, Qt.MouseButton.LeftButton)
        except AssertionError:
            dialog.reject()  # nothing may wait for a dialog that a failed check left open
            raise

    QTimer.singleShot(10, answer)
    click(bench, _ID.EXPORT_GRAPH)
    qtbot.waitUntil(lambda: bool(seen), timeout=WAIT)
    rest(bench, qtbot)


def test_a_graph_is_written_back_with_what_the_user_made(qtbot, bench, bring, graph, tmp_path):
    bring(graph)
    book = bench.desk.book
    book.mark("Pin", pins=("0_5_1",))
    book.mark("Rename", names={"0_5_1": "capitals", "E_651_1": "the"})
    path = tmp_path / "again.json"

    def fill(dialog):
        items = [dialog.formats.itemText(row) for row in range(dialog.formats.count())]
        enabled = [dialog.formats.model().item(row).isEnabled() for row in range(len(items))]
        on = {text for text, held in zip(items, enabled, strict=True) if held}
        assert {text.split("  ")[0] for text in on} == {
            "attribution graph of circuit-tracer and Neuronpedia", "GraphML",
        }  # fmt: skip
        tips = [dialog.formats.model().item(row).toolTip() for row in range(len(items))]
        off = [tip for tip, held in zip(tips, enabled, strict=True) if not held]
        assert sum("heads and MLPs" in tip for tip in off) == len(off) - 1
        assert sum("was not read from one" in tip for tip in off) == 1
        dialog.path.selectAll()
        QTest.keyClicks(dialog.path, str(path))

    export(qtbot, bench, fill)
    said, was = json.loads(path.read_text()), json.loads(graph.read_text())
    assert said["qParams"]["pinnedIds"] == ["0_5_1"]
    assert said["qParams"]["supernodes"] == was["qParams"]["supernodes"]
    assert said["extra"] == was["extra"]
    labels = {node["node_id"]: node["clerp"] for node in said["nodes"]}
    assert labels == {
        node["node_id"]: {"0_5_1": "capitals", "E_651_1": "the"}.get(node["node_id"], node["clerp"])
        for node in was["nodes"]
    }
    assert said["links"] == was["links"]


def test_what_is_shown_is_written_alone(qtbot, bench, tmp_path):
    panel = bench.furnishing.panels["circuit"]
    qtbot.waitUntil(lambda: panel.shown is not None, timeout=WAIT)
    path = tmp_path / "shown.graphml"

    def fill(dialog):
        row = next(
            r for r in range(dialog.formats.count()) if "GraphML" in dialog.formats.itemText(r)
        )
        dialog.formats.setCurrentIndex(row)
        dialog.path.selectAll()
        QTest.keyClicks(dialog.path, str(path))
        QTest.mouseClick(dialog.only_shown, Qt.MouseButton.LeftButton, pos=QPoint(8, 8))

    export(qtbot, bench, fill)
    again = mt.read_graph(path)
    assert again.node_id == panel.shown.node_id
    np.testing.assert_array_equal(again.edge_weight, panel.shown.edge_weight)


def test_proposed_groups_are_looked_at_named_and_accepted(qtbot, bench, monkeypatch):
    grown, grow = [], group_proposals.likeness_tree
    monkeypatch.setattr(
        group_proposals, "likeness_tree", lambda *a, **k: grown.append(1) or grow(*a, **k)
    )
    desk, panel = bench.desk, bench.furnishing.panels["circuit"]
    press(qtbot, bench, _ID.PROPOSE_GROUPS)
    rest(bench, qtbot)
    rest(bench, qtbot)
    window = bench.window.findChild(QDialog, "group_proposals")
    window.likeness.setFocus()
    for _ in range(2):
        QTest.keyClick(window.likeness, Qt.Key.Key_PageDown)
    rest(bench, qtbot)
    shown = set(panel.shown.node_id)
    circuit, run = desk.workspace.session.circuit, desk.workspace.session.clean
    least = window.likeness.value() / 100
    wanted = mt.propose_groups(circuit, tuple(shown), trace=run, likeness=least)
    qtbot.waitUntil(lambda: window.list.topLevelItemCount() == len(wanted), timeout=WAIT)
    count = len(wanted)
    assert count > 1
    assert grown == [1]  # another likeness cuts the same tree
    item = window.list.topLevelItem(1)
    place = window.list.visualItemRect(item).center()
    QTest.mouseClick(window.list.viewport(), Qt.MouseButton.LeftButton, pos=place)
    selected = desk.selection.current
    assert (selected.node, *selected.others) == wanted[1].nodes
    QTest.mouseDClick(window.list.viewport(), Qt.MouseButton.LeftButton, pos=place)
    field = window.list.viewport().findChild(QLineEdit)
    field.selectAll()
    QTest.keyClicks(field, "movers")
    QTest.keyClick(field, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: item.text(0) == "movers")
    QTest.mouseClick(window.accept_one, Qt.MouseButton.LeftButton)
    (group,) = desk.book.marks.supernodes
    assert (group.name, group.nodes) == ("movers", wanted[1].nodes)
    rest(bench, qtbot)
    assert "group/movers" in panel.shown.node_id
    QTest.mouseClick(window.leave_one, Qt.MouseButton.LeftButton)
    assert window.list.topLevelItemCount() == count - 2
    desk.book.undo()
    assert desk.book.marks.supernodes == ()
    window.close()


def test_an_imported_graph_is_named_everywhere(qtbot, bench, bring, graph, tmp_path):
    """By its prompt where the file tells one, else by the file; no run before shows through."""
    heatmap, prompt = bench.furnishing.panels["heatmap"], bench.window.findChild(PromptPanel)
    ticks = heatmap.map.plot.getAxis("bottom")
    assert ticks.tickValues(-0.5, 14.5, 400)
    eap = samples.write(tmp_path / "scores.json", samples.eap())
    bring(graph, eap)
    panel = bench.furnishing.panels["history"]
    runs = panel.list
    assert runs.topLevelItem(0).text(0).endswith("scores.json")
    assert "austin.json" in runs.topLevelItem(1).toolTip(0)
    assert runs.topLevelItem(1).text(0).endswith("The capital is")
    assert not ticks.tickValues(-0.5, 14.5, 400)
    for field in (prompt.prompt, prompt.corrupt):
        assert field.toPlainText() == ""
    assert (
        "imported graph scores.json, which names no model"
        in bench.furnishing.banners["offline_banner"].text.text()
    )
    bench.window.docks["history"].raise_()
    qtbot.waitUntil(lambda: not runs.visibleRegion().isEmpty(), timeout=WAIT)
    place = runs.visualItemRect(runs.topLevelItem(1)).center()
    QTest.mouseClick(runs.viewport(), Qt.MouseButton.LeftButton, pos=place)
    QTest.mouseClick(panel.reopen, Qt.MouseButton.LeftButton)
    rest(bench, qtbot)
    assert prompt.prompt.toPlainText() == "<bos> The capital is"
    assert prompt.answer.text() == ""


def test_components_stand_by_head_without_numbers_of_no_file(qtbot, bench, bring, tmp_path):
    panel = bring(samples.write(tmp_path / "scores.json", samples.eap()))
    layout = panel.canvas.drawing.layout
    assert layout.tokens == ("H0", "H1", "MLP")
    place = dict(zip(panel.shown.node_id, layout.x.tolist(), strict=True))
    assert place["a0.h0"] == place["a1.h0"] < place["a0.h1"] < place["m0"]
    assert place["input"] == place["logits"] == layout.width / 2
    circuit, card = bench.desk.workspace.session.circuit, bench.furnishing.panels["node_card"]
    bench.desk.selection.update(node="logits")
    rest(bench, qtbot)
    assert [card.stats.value(name) for name in ("score", "influence", "bias")] == ["–"] * 3
    sizes = np.abs(circuit.edge_weight[circuit.incoming(circuit.row("logits"))])
    shares = [part.share for part in card._card.incoming]
    np.testing.assert_allclose(shares, sizes / sizes.sum(), rtol=1e-6)
    assert "sizes of all weights" in card.incoming.caption.text()
    row = circuit.row("logits")
    assert node_tip(circuit, row) == "logits"
