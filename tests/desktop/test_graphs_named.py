"""Graph files in the window: several dropped at once, what they are called, and their Python."""

from __future__ import annotations

import graph_samples as samples
import pytest
from acts import drop, rest

from microtome_desktop.commands.command import CommandId
from microtome_desktop.jobs.graph_requests import ImportGraph
from microtome_desktop.presenters.circuit_lists import nodes as listed_nodes

WAIT = 30_000
_ID = CommandId


@pytest.fixture
def graph(tmp_path):
    return samples.write(tmp_path / "austin.json", samples.current())


@pytest.fixture
def bring(qtbot, bench):
    def act(path):
        bench.runner.ask(ImportGraph(path))
        rest(bench, qtbot)
        return bench.furnishing.panels["circuit"]

    return act


def test_several_graphs_are_dropped_at_once(qtbot, bench, graph, tmp_path):
    eap = samples.write(tmp_path / "eap.json", samples.eap())
    before = len(bench.desk.history.runs)
    drop(bench.window, graph, eap)
    rest(bench, qtbot)
    files = [run.session.circuit.metadata["file"] for run in bench.desk.history.runs[before:]]
    assert files == ["austin.json", "eap.json"]
    notice = bench.desk.notices.history[-1]
    assert notice.title == "Two graphs: austin.json and eap.json"
    assert "Compare" in notice.what
    bench.desk.workspace.mark_clean()
    drop(bench.window, graph, tmp_path)  # a folder among them: not taken
    assert bench.desk.notices.history[-1].title == "These 2 files cannot be opened together"
    rest(bench, qtbot)
    assert len(bench.desk.history.runs) == before + 2


def test_a_graph_without_a_model_is_called_by_its_file(qtbot, bench, bring, tmp_path):
    bring(samples.write(tmp_path / "scores.json", samples.eap()))
    assert bench.desk.workspace.offline
    assert "imported graph scores.json" in bench.status.state.text()
    reason = bench.window.actions_table.actions[_ID.SWEEP].toolTip()
    assert "imported graph scores.json does not name" in reason
    circuit = bench.desk.workspace.session.circuit
    told = {column.title: column.texts[0] for column in listed_nodes(circuit).columns}
    assert (told["score"], told["influence"]) == ("–", "–")


def test_lines_of_python_read_the_graph_again(qtbot, bench, bring, graph, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    eap = samples.write(tmp_path / "eap.json", samples.eap())
    for path in (eap, graph):
        panel = bring(path)
        lines = panel.exported_lines()
        assert f"circuit = mt.read_graph('{path.name}')" in lines
        held = {}
        exec("\n".join(lines), held)  # noqa: S102 - it is what is handed to the user
        rest(bench, qtbot)
        assert {name for name, *_ in held["nodes"]} <= set(held["circuit"].node_id)
        assert len(held["edges"]) == held["drawn"].n_edges
    bench.desk.book.mark("None", pins=(), supernodes=())
    rest(bench, qtbot)
    qtbot.waitUntil(lambda: len(panel.shown.node_id) == len(held["nodes"]), timeout=WAIT)
    assert panel.shown.node_id == held["drawn"].node_id
    listed = bench.furnishing.panels["lists"].exported_lines()
    exec("\n".join(listed), held)  # noqa: S102
    assert len(held["rows"]) == held["circuit"].n_nodes
    bench.desk.book.undo()
