"""Two rival circuits as the engine would hand them over, and what is left of them at a size."""

from __future__ import annotations

import threading

import numpy as np
from acts import rest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from microtome.records.edges import Edges
from microtome.records.faithfulness import Faithfulness
from microtome_desktop.jobs.discovery_requests import circuit_analysis, curve_analysis
from microtome_desktop.state.discoveries import Search
from microtome_desktop.views.discovery_middle import Page

WAIT = 30_000
EDGES = Edges(4, 4)
SIZES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


def found(session, method, seed):
    """A circuit and its curve, as the engine would hand them over."""
    draw = np.random.default_rng(seed)
    question = session.question
    told = {
        "method": method, "title": method, "scale": "change of the metric", "sign": "positive",
        "aggregated": True, "model": "words-4l", "fingerprint": session.model.fingerprint,
        "ablation": "resample", "over": [], "metric": "logit", "metrics": ["logit"],
        "read_at": [-1], "prompts": [question.prompt], "corrupt": [question.corrupt],
        "seconds": 0.1,
    }  # fmt: skip
    scores = draw.standard_normal(EDGES.exists.shape) ** 3
    circuit = circuit_analysis(Search(question, method), EDGES.as_circuit(scores, told))
    sizes = np.array(SIZES)
    rise = 1 - np.exp(-8 * sizes)
    values = rise[:, None] * np.array([4.0, 5.0, 6.0])
    curve = Faithfulness(
        sizes=sizes, counts=(sizes * EDGES.count).astype(int), faithfulness=rise,
        by_magnitude=rise**0.5, cpr=0.8, cmd=0.1, values=values, whole=np.array([4.0, 5.0, 6.0]),
        none=np.zeros(3), metric="logit", band=np.stack([rise - 0.1, rise + 0.1]),
        params={**told, "id": f"faithfulness-{method}", "seed": 0},
    )  # fmt: skip
    return circuit, curve_analysis(circuit.id, curve)


def best_of(panel, count, *, signed):
    """What is left of the best edges, from the scores alone."""
    scores = np.asarray(panel.right.front.array("scores"), dtype=float)
    worth = np.where(EDGES.exists, scores if signed else np.abs(scores), -np.inf)
    order = np.argsort(-worth, axis=None, kind="stable")[:count]
    mask = np.zeros(EDGES.exists.shape, dtype=bool)
    mask.flat[order] = True
    return EDGES.connected(mask)


def drawn(panel):
    circuit = panel.graph.canvas.drawing.circuit
    sides = {1: "<q>", 2: "<k>", 0: "<v>"}
    return {
        (circuit.node_id[s], circuit.node_id[t] + sides.get(int(k), ""))
        for s, t, k in zip(circuit.edge_source, circuit.edge_target, circuit.edge_kind, strict=True)
    }


def named(mask):
    rows = zip(*np.nonzero(mask), strict=True)
    return {(EDGES.writer_names[w], EDGES.reader_names[r]) for w, r in rows}


def type_into(line, text):
    line.setFocus()
    line.selectAll()
    QTest.keyClicks(line, text)
    QTest.keyClick(line, Qt.Key.Key_Return)


def elsewhere(calls, real):
    """The function, noting whether the window's own thread ran it."""

    def noted(*args):
        calls.append(threading.current_thread() is threading.main_thread())
        return real(*args)

    return noted


def two_rivals(bench, qtbot):
    """The panel with two rivals on the sample session, the later one in front."""
    workspace = bench.desk.workspace
    for method, seed in (("two-point", 1), ("eap", 2)):
        for analysis in found(workspace.session, method, seed):
            workspace.add_analysis(analysis)
    bench.window.show_panel("discovery")
    made = bench.furnishing.panels["discovery"]
    rest(bench, qtbot)
    made.middle.show_page(Page.GRAPH)
    made.right.signed = True
    made.right.turn_to(20)
    QApplication.processEvents()
    return made
