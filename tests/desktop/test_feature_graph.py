"""Graphs of features in the window: made, edited, undone, reviewed, refused by name."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QFileDialog
from sittings import ID, LEFT, STRONGEST, WAIT, at_the_window, resources_question

import microtome as mt
from microtome.circuits.attribution.changes import changes_of as mt_changes
from microtome.features.dictionary import Dictionary
from microtome.features.formats.saving import save_transcoders
from microtome.features.transcoders import Transcoders
from microtome.records.feature_edit import FEATURE_EDIT, FEATURE_TEXT
from microtome.session.writer import save_session
from microtome_desktop.commands.table import command
from microtome_desktop.jobs.file_requests import OpenSession
from microtome_desktop.presenters.circuit import edge_names
from microtome_desktop.presenters.circuit_curves import LEVELS
from microtome_desktop.presenters.circuit_kinds import FALLS_EDGE
from microtome_desktop.presenters.exports import circuit_table
from microtome_desktop.presenters.feature_edits import feature_effects
from microtome_desktop.state.draft import as_typed
from microtome_desktop.state.features import indexes
from microtome_desktop.views.index_dialog import IndexDialog
from microtome_desktop.views.transcoders_dialog import TranscodersDialog


@pytest.fixture(scope="module")
def model():
    return mt.load_model("words-4l")


@pytest.fixture(scope="module")
def sets():
    return mt.load_transcoders("words-4l/transcoders")


@pytest.fixture
def sitting(qtbot, live):
    yield from at_the_window(qtbot, live)


def test_the_graph_of_the_prompt_is_on_screen_as_a_run_of_its_own(sitting, model, sets):
    runs = len(sitting.desk.history.runs)
    began = time.process_time()
    session = sitting.make()
    assert time.process_time() - began < 8  # 0.9 s of both threads alone; others compute here
    drawn = sitting.panels["circuit"].shown
    expected = mt.attribution_graph(model, sets, session.question.prompt)
    assert session.circuit.node_id == expected.node_id
    np.testing.assert_allclose(session.circuit.edge_weight, expected.edge_weight, atol=1e-5)
    assert drawn.node_id == mt.prune_by_influence(expected, 0.8, 0.98).node_id
    assert len(sitting.desk.history.runs) == runs + 1
    assert session.question == resources_question()
    assert session.metric["answer"] == "Mary"
    facts = [fact.text() for fact in sitting.panels["circuit"].facts.facts]
    assert {"replacement 89 %", "completeness 97 %"} <= set(facts)
    part = sitting.panels["node_card"].feature
    sitting.click(STRONGEST)
    assert sitting.desk.selection.current.node == STRONGEST
    assert part.isVisible()
    assert "Mary" in part.raised.text()
    assert "Only in a circuit" in command(ID.WHY_EDGE).blocked(_now(sitting))
    assert len(list(circuit_table(session, sitting.panels["circuit"]._view).rows)) > 50


def _now(sitting):
    from microtome_desktop.commands.command import Situation

    return Situation(sitting.desk)


@pytest.fixture
def small(sitting):
    """The graph of a short prompt; its two features of most influence, as they are drawn."""
    sitting.desk.draft.update(**as_typed(mt.Question("The nurse said that", None, "she", "he")))
    sitting.rest()
    sitting.make()
    drawn = sitting.panels["circuit"].shown
    rows = [row for row, kind in enumerate(drawn.node_kind) if kind == "feature"]
    rows.sort(key=lambda row: -float(drawn.node_influence[row]))
    sitting.best = tuple(drawn.node_id[row] for row in rows[:2])
    return sitting


def changes_of(sitting, *action):
    return mt_changes(sitting.session.circuit, sitting.best, *action)


def test_a_feature_is_edited_tried_undone_and_kept(small, tmp_path, model, sets, monkeypatch):
    """Of the prompt that is typed, not the one on screen."""
    sitting = small
    prompt, (node, _) = sitting.session.question.prompt, sitting.best
    assert prompt == "The nurse said that"
    assert sitting.session.clean.tokens[-1].strip() == "that"
    assert sitting.session.metric["wrong"] == "he"
    sitting.click(node)
    button = sitting.panels["node_card"].feature.buttons[ID.FEATURE_ABLATE]
    QTest.mouseClick(button, LEFT)
    change = changes_of(sitting)[:1]
    for mode, name in (("free", "free"), ("frozen", "direct")):
        _choose(sitting, name)
        found = sitting.result(mode)
        plain = mt.feature_intervention(model, sets, prompt, change, mode=mode)
        assert told(sitting) == pytest.approx({w: after for w, _, after in plain.predictions})
        assert found.array("after")[sitting.session.circuit.row(node)] == 0
    panel = sitting.panels["feature_edits"]
    drawing = sitting.panels["circuit"].canvas.drawing
    assert "with edits" in drawing.node_notes(drawing.circuit.row(node))
    _sides_are_drawn(sitting, node)
    QTest.mouseClick(panel.writing.button, LEFT)
    sitting.qtbot.waitUntil(lambda: FEATURE_TEXT in sitting.session.analyses, timeout=WAIT)
    file = save_session(tmp_path / "features.h5", sitting.session)
    listed = [row.what.text() for row in panel.list.rows]
    while sitting.session.marks.feature_edits:
        sitting.press(ID.UNDO)
    sitting.qtbot.waitUntil(lambda: FEATURE_EDIT not in sitting.session.analyses, timeout=WAIT)
    monkeypatch.setattr(mt, "load_model", lambda *_: model)
    _lines_run(panel, sitting)
    identity = sitting.desk.workspace.model
    sitting.desk.workspace.set_model(None)
    sitting.bench.runner.ask(OpenSession(file))
    sitting.qtbot.waitUntil(lambda: sitting.desk.workspace.path == file, timeout=WAIT)
    sitting.rest()
    assert [row.what.text() for row in panel.list.rows] == listed
    assert panel.effect.table.item(0, 0).text() == "she"
    assert not panel.list.rows[0].on.isEnabled()
    assert "attach it first" in panel.said.text()
    sitting.desk.workspace.set_model(identity)
    sitting.rest()


def _sides_are_drawn(sitting, node):
    """The change of each edge by colour, dash and width; the graph with the edits, and without."""
    panel, session = sitting.panels["circuit"], sitting.session
    drawing, held = panel.canvas.drawing, session.analyses[FEATURE_EDIT]
    whole, circuit = session.circuit, drawing.circuit
    change = dict(zip(edge_names(whole), held.array("change").tolist(), strict=True))
    change = np.array([change[name] for name in edge_names(circuit)])
    np.testing.assert_allclose(drawing.changes, change, rtol=1e-5)
    out = circuit.edge_source == circuit.row(node)
    np.testing.assert_allclose(change[out], -circuit.edge_weight[out], rtol=1e-5)  # ablated
    falls, rises = drawing.curves.kind == FALLS_EDGE, drawing.curves.hue == 1
    assert (change[falls] < 0).all()
    assert (change[rises] > 0).all()
    assert falls.any()
    assert drawing.curves.level[int(np.abs(change).argmax())] == LEVELS - 1
    assert drawing.node_shapes[circuit.row(node)] == "falls"
    assert {"weight rises", "weight falls", "as before"} <= set(panel.legend.entries)
    weights = circuit.edge_weight
    for side, shown in (("with the edits", weights + change), ("without", weights)):
        _choose_in(panel.facts.side, side)
        sitting.rest()
        drawn = panel.canvas.drawing
        assert drawn.node_shapes is None
        assert (drawn.curves.hue == (shown > 0)).all()
        assert (np.diff(np.abs(shown[drawn.curves.order])) <= 1e-6).all()
    _choose_in(panel.facts.side, "what changes")
    sitting.rest()


def _choose_in(box, text):
    box.setFocus()
    QTest.keyClick(box, Qt.Key.Key_Home)
    while box.currentText() != text:
        QTest.keyClick(box, Qt.Key.Key_Down)


def told(sitting):
    return {row.token: row.after for row in feature_effects(sitting.session)}


def _choose(sitting, text):
    box = sitting.panels["feature_edits"].mode
    box.setFocus()
    if box.currentText() != text:
        QTest.keyClick(box, Qt.Key.Key_Up if text == "direct" else Qt.Key.Key_Down)
    assert box.currentText() == text
    sitting.rest()


def _lines_run(panel, sitting):
    sitting.press(ID.REDO)
    sitting.result("free")
    lines, space = panel.exported_lines(), {}
    exec("\n".join(lines), space)  # noqa: S102  these lines are ours
    assert told(sitting) == pytest.approx({word: after for word, _, after in space["predictions"]})
    assert panel.exported_table()().rows[0][:2] == ("prediction", "she")


def test_a_node_leads_to_its_features_card_and_the_card_to_its_nodes(small, tmp_path, qtbot):
    sitting, (node, _) = small, small.best
    circuit = sitting.session.circuit
    row = circuit.row(node)
    layer, number = int(circuit.node_layer[row]), int(circuit.node_feature[row])
    before = _text_at(sitting, node)
    assert before.startswith("\N{RIGHTWARDS ARROW}")  # the word that it raises most
    sitting.click(node)
    part, panel = sitting.panels["node_card"].feature, sitting.panels["features"]
    assert "No text" in part.examples.text()
    QTest.mouseClick(part.full, LEFT)
    sitting.rest()
    assert sitting.window.centre.front == "features"
    assert panel.current.name == f"words-4l/transcoders, layer {layer}"
    text = tmp_path / "a.txt"
    text.write_text("The nurse said that she was ill .\n\nMary said that she was late .\n" * 5)
    sitting.press(ID.INDEX_FEATURES)
    (dialog,) = [one for one in sitting.window.findChildren(IndexDialog) if one.isVisible()]
    assert dialog.whole.isChecked()
    dialog._take(str(text))
    QTest.mouseClick(dialog.go, LEFT)
    known = sitting.session.circuit.metadata["transcoders_fingerprints"]
    qtbot.waitUntil(lambda: len(indexes(sitting.session)) == len(known), timeout=WAIT)
    sitting.rest()
    assert {one.params["fingerprint"] for one in indexes(sitting.session)} == set(known)
    assert panel.view.title.text().startswith(f"Feature {number} ")
    assert "[" in part.examples.text()
    QTest.keyClicks(panel.view.label, "says she")
    QTest.keyClick(panel.view.label, Qt.Key.Key_Return)
    sitting.rest()
    assert _text_at(sitting, node) == "says she"
    assert sitting.panels["node_card"].heading.text() == f"L{layer} F{number} · says she"
    sitting.desk.selection.update(node=None)
    panel.run.nodes.links.linkActivated.emit(str(row))
    sitting.rest()
    assert sitting.window.centre.front == "circuit"
    assert sitting.desk.selection.current.node == node
    sitting.press(ID.UNDO)
    assert _text_at(sitting, node) not in {"says she", before}  # the tokens of the text


def _text_at(sitting, node):
    drawing = sitting.panels["circuit"].canvas.drawing
    return drawing.texts[drawing.circuit.row(node)]


def test_a_group_is_edited_as_one_and_its_graph_made_anew(small, model, sets):
    sitting, session = small, small.session
    sitting.desk.selection.update(node=sitting.best[0], others=sitting.best[1:])
    sitting.panels["circuit"].acts.group_as(sitting.best, "both")
    sitting.rest()
    assert sitting.desk.selection.current.node == "group/both"
    sitting.press(ID.FEATURE_SCALE)
    sitting.result("free")
    panel = sitting.panels["feature_edits"]
    _group_moves_by_its_members(sitting)
    (row,) = panel.list.rows
    assert row.what.text() == "both (2 features)"
    row.amount.setFocus()
    row.amount.selectAll()
    QTest.keyClicks(row.amount, "-1")
    QTest.keyClick(row.amount, Qt.Key.Key_Return)
    sitting.rest()
    changes = changes_of(sitting, "scale", -1.0)
    prompt = session.question.prompt
    plain = mt.feature_intervention(model, sets, prompt, changes, mode="free")
    wanted = pytest.approx({word: after for word, _, after in plain.predictions})
    sitting.qtbot.waitUntil(lambda: told(sitting) == wanted, timeout=WAIT)
    sitting.press(ID.FEATURE_AFTER)
    made = sitting.session
    assert made.uuid != session.uuid
    assert made.circuit.metadata["changes"] == [str(change) for change in changes]
    edited = made.circuit.row(sitting.best[0])
    assert made.circuit.node_score[edited] < 0
    assert not len(made.circuit.incoming(edited))
    assert "has edits already" in command(ID.FEATURE_ABLATE).blocked(_now(sitting))


def _group_moves_by_its_members(sitting):
    drawing, held = sitting.panels["circuit"].canvas.drawing, sitting.session.analyses[FEATURE_EDIT]
    circuit, whole = drawing.circuit, sitting.session.circuit
    group, last = circuit.row("group/both"), circuit.node_kind.index("output")
    own = (circuit.edge_source == group) & (circuit.edge_target == last)
    change = dict(zip(edge_names(whole), held.array("change").tolist(), strict=True))
    ends = [(node, circuit.node_id[last]) for node in sitting.best]
    wanted = sum(by for (a, b, _), by in change.items() if (a, b) in ends)
    assert float(drawing.changes[own].sum()) == pytest.approx(wanted, rel=1e-4)
    assert drawing.node_shapes[group] == "rises"


def test_what_does_not_fit_is_refused_by_name(sitting, sets, monkeypatch, tmp_path):
    few = Transcoders(sets.layers[:2], None, sets.silent, "two")
    save_transcoders(few, tmp_path / "two")
    dialog = _opened(sitting, monkeypatch, tmp_path / "two")
    assert "transcoders for 2 layers" in dialog.said.text()
    assert not dialog.go.isEnabled()
    dialog.close()
    other = tuple(
        Dictionary(
            one.weights,
            one.settings,
            replace(one.identity, model="other", model_fingerprint="0" * 64),
        )
        for one in sets.layers
    )
    save_transcoders(Transcoders(other, None, sets.silent, "other"), tmp_path / "other")
    dialog = _opened(sitting, monkeypatch, tmp_path / "other")
    assert "trained on other, but the model is words-4l" in dialog.said.text()
    dialog.close()
    (tmp_path / "empty").mkdir()
    dialog = _opened(sitting, monkeypatch, tmp_path / "empty")
    assert "holds no dictionary" in dialog.said.text()
    dialog.close()
    save_transcoders(sets, tmp_path / "mine")
    dialog = _opened(sitting, monkeypatch, tmp_path / "mine")
    QTest.mouseClick(dialog.go, LEFT)
    sitting.rest()
    assert sitting.session.circuit.metadata["transcoders"] == "mine"
    long = "Mary " * 2_000
    sitting.desk.draft.fill(mt.Question(long))
    sitting.rest()
    sitting.press(ID.FEATURE_GRAPH)
    (told,) = sitting.desk.notices.history
    assert "tokens" in told.what
    sitting.desk.notices.history.clear()
    model = replace(sitting.desk.workspace.model, name="gpt2", fingerprint="1" * 64)
    held = sitting.desk.workspace.model
    sitting.desk.workspace.set_model(model)
    reason = command(ID.FEATURE_GRAPH).blocked(_now(sitting))
    sitting.desk.workspace.set_model(held)
    assert "no transcoders for gpt2" in reason
    assert "microtome train" in reason


def _opened(sitting, monkeypatch, folder):
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(folder))
    sitting.press(ID.OPEN_TRANSCODERS)
    (dialog,) = [one for one in sitting.window.findChildren(TranscodersDialog) if one.isVisible()]
    sitting.qtbot.waitUntil(lambda: not dialog.said.text().startswith("Looking"), timeout=WAIT)
    QApplication.processEvents()
    return dialog
