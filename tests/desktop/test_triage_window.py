"""The window goes on when the children that look at files crash on what was opened."""

from __future__ import annotations

import shutil
from dataclasses import replace

import graph_samples as samples
import pytest
from acts import drop, rest

import microtome as mt
import microtome_resources as resources
from microtome.errors import DictionaryError, GraphError
from microtome.features.formats.finding import embedded_dictionaries
from microtome.session.writer import save_session
from microtome.triage import examination, kinds, programs, server, trust
from microtome_desktop.state.notices import Level

WAIT = 60_000
CRASHING = """
import json, signal, sys, types
sys.path[:] = json.loads(sys.argv[1])
from microtome.triage.programs import run_child
look = lambda _: signal.raise_signal(signal.SIGSEGV)
sys.modules["planted"] = types.SimpleNamespace(look=look)
sys.exit(run_child(sys.argv[2], sys.argv[3:]))
"""


@pytest.fixture
def crashing(monkeypatch):
    """Every look at a file ends its child by a fault of memory."""
    rows = {name: replace(row, check="planted:look") for name, row in kinds.KINDS.items()}
    monkeypatch.setattr(examination, "KINDS", rows)
    monkeypatch.setattr(programs, "_START", CRASHING)
    monkeypatch.setattr(trust, "_known", set())
    server.dismiss()
    yield
    server.dismiss()


def test_files_that_crash_their_child_are_refused_and_the_window_goes_on(
    qtbot, bench, tmp_path, sample_session, crashing
):
    before = bench.desk.workspace.session
    graph = samples.write(tmp_path / "graph.json", samples.current())
    packed = shutil.copy(graph, tmp_path / "other.graphml")
    session = save_session(tmp_path / "own.h5", sample_session)
    foreign = shutil.copy(session, tmp_path / "foreign.h5")
    model = tmp_path / "model"
    shutil.copytree(resources.embedded_model("words-4l").folder, model)
    for act, name in (
        (lambda: drop(bench.window, graph), "graph.json"),
        (lambda: drop(bench.window, packed), "other.graphml"),
        (lambda: bench.handlers.open_path(foreign), "foreign.h5"),
        (lambda: bench.handlers.load(str(model)), "model"),
        (lambda: drop(bench.window, graph), "graph.json"),
    ):
        bench.desk.notices.history.clear()
        act()
        qtbot.waitUntil(lambda: bool(bench.desk.notices.history), timeout=WAIT)
        rest(bench, qtbot)
        notice = bench.desk.notices.history[-1]
        assert notice.level is Level.ERROR
        assert name in f"{notice.title} {notice.what}"
        assert "SIGSEGV" in f"{notice.title} {notice.what}"
        assert bench.desk.workspace.session is before
    (child,) = server._idle  # one and the same: its copies crashed
    assert not child.ended
    with pytest.raises(GraphError, match="SIGSEGV"):
        mt.read_graph(graph)
    dictionary = tmp_path / "dictionary"
    shutil.copytree(next(iter(embedded_dictionaries().values())), dictionary)
    with pytest.raises(DictionaryError, match="SIGSEGV"):
        mt.load_dictionary(dictionary)
