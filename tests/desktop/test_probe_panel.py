"""Probes in a real window: prompts are typed or an example, sites appear, directions steer."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QFileDialog

import microtome as mt
from microtome.analysis.labelled import parse_labelled
from microtome.records.probe import Probe, probe_analysis, probe_of
from microtome.session.reader import open_session
from microtome.session.writer import save_session
from microtome_desktop.commands.command import CommandId
from microtome_desktop.presenters.probes import NO_PROBE, probe_table
from microtome_desktop.state.probings import ProbeWish, probes_in

WAIT = 60_000
LEFT = Qt.MouseButton.LeftButton
FEW = 6  # lines of the example


def rest(bench, qtbot):
    bench.runner.turns.finish()
    qtbot.waitUntil(lambda: bench.runner.idle and not bench.updating, timeout=WAIT)
    bench.runner.turns.finish()
    QApplication.processEvents()


def front(bench, qtbot):
    bench.window.show_panel("probes")
    rest(bench, qtbot)
    return bench.furnishing.panels["probes"]


def held_probe(session):
    """Three sites of a model of the sample's width, made by hand."""
    random = np.random.default_rng(0)
    accuracy = np.array([[0.5, 0.5], [0.75, 1.0], [1.0, 1.0]])
    direction = random.standard_normal((3, 2, session.model.d_model)).astype(np.float32)
    direction /= np.linalg.norm(direction, axis=2, keepdims=True)
    params = {"labels": ["no", "yes"], "position": -1, "folds": 2, "seed": 0, "prompts": 4,
              "repeats": 1.0, "asked": [["a", "no", 0], ["b", "yes", 1]]}  # fmt: skip
    sites = ("resid_pre.0", "resid_post.0", "resid_post.1")
    return Probe(sites, accuracy, np.full((3, 2), 0.5), 0.5, params, direction)


def one_label_is_refused(live, qtbot, panel):
    panel.form.show_wish(ProbeWish("a | The key\na | The keys", "resid", -1, 2, 0))
    QTest.mouseClick(panel.run, LEFT)
    rest(live, qtbot)
    assert "All prompts are labelled 'a'" in panel.problem.text()


def test_an_example_is_probed_site_by_site_and_is_the_engine_s(live, qtbot, tmp_path):
    panel, desk = front(live, qtbot), live.desk
    desk.book.clear_edits()
    rest(live, qtbot)
    assert not panel.run.isEnabled()
    panel.form.example.setCurrentIndex(panel.form.example.findData("grammar"))
    panel.form.example.activated.emit(panel.form.example.currentIndex())
    qtbot.waitUntil(lambda: panel.form.readable, timeout=WAIT)
    assert panel.form.counted.text() == "60 prompts in 30 groups: 30 plural, 30 singular"
    text = "\n".join(panel.form.prompts.toPlainText().splitlines()[: 2 * FEW])
    panel.form.show_wish(ProbeWish(text, "resid", -1, 2, 0))
    qtbot.waitUntil(lambda: panel.outlook.text().startswith("About"), timeout=WAIT)
    seen = []
    desk.workspace.part_changed.connect(seen.append)
    QTest.mouseClick(panel.run, LEFT)
    rest(live, qtbot)
    desk.workspace.part_changed.disconnect(seen.append)
    assert sum(part.startswith("analyses/probe") for part in seen) == 6  # five sites, and all
    (analysis,) = probes_in(desk.workspace.session)
    given = parse_labelled(text)
    model = mt.load_model("words-4l")
    wanted = probe_of(mt.probe(model, given.prompts, given.labels, groups=given.groups, folds=2))
    found = probe_of(analysis)
    np.testing.assert_array_equal(found.accuracy, wanted.accuracy)
    np.testing.assert_allclose(found.direction, wanted.direction, atol=1e-5)
    assert found.best in panel.said.text()
    assert "the control task can say little" in panel.said.text()
    exec("\n".join(panel.exported_lines()), lines := {})  # noqa: S102  it is what is tested
    # Six prompts a fold, some on the border: where arrays lie in memory moves the last bits, and
    # with them one prompt now and then.
    moved = np.abs(lines["values"] - found.accuracy)
    assert (moved > 1e-9).sum() <= 1
    assert moved.max() <= 1 / 6 + 1e-9
    headers, rows = panel.exported_table()().headers, panel.exported_table()().rows
    assert headers[:5] == ("site", "accuracy", "error", "control", "selectivity")
    assert [row[0] for row in rows] == list(found.sites)
    place = panel.plot.place(1, 0.5)
    QTest.mouseClick(panel.plot, LEFT, pos=QPoint(int(place.x()), int(place.y())))
    assert panel.place.currentText() == "resid_post.0"
    QTest.mouseClick(panel.steer, LEFT)
    (edit,) = desk.book.marks.edits
    at = found.labels.index(panel.label.currentText())
    assert (edit.site, edit.action, edit.direction.kind) == ("resid_post.0", "add", "values")
    np.testing.assert_allclose(edit.direction.values, found.direction[1, at], atol=1e-6)
    desk.book.undo()
    rest(live, qtbot)
    one_label_is_refused(live, qtbot, panel)
    panel.form.show_wish(ProbeWish())
    desk.workspace.put_analyses({analysis.id: None})
    live.window.show_panel("circuit")


def test_it_is_reviewed_offline_from_a_file(bench, qtbot, tmp_path):
    panel = front(bench, qtbot)
    assert panel.exported_table() == NO_PROBE
    assert panel.empty.isVisible()
    session = bench.desk.workspace.session
    bench.desk.workspace.add_analysis(probe_analysis(held_probe(session)))
    rest(bench, qtbot)
    before = panel.exported_table()().text()
    assert panel.plot.isVisible()
    assert "100% right over 2 folds" in panel.said.text()
    path = tmp_path / "probes.h5"
    save_session(path, bench.desk.workspace.session)
    bench.desk.workspace.set_model(None)
    bench.desk.workspace.show(open_session(path))
    rest(bench, qtbot)
    assert panel.exported_table()().text() == before
    assert not panel.run.isEnabled()
    assert not panel.steer.isEnabled()
    assert "words-4l" in panel.run.toolTip() or "model" in panel.run.toolTip()


def test_lines_are_read_as_they_are_typed_and_what_is_none_is_named(bench, qtbot, tmp_path,
                                                                    monkeypatch):  # fmt: skip
    panel = front(bench, qtbot)
    panel.form.prompts.setFocus()
    QTest.keyClicks(panel.form.prompts, "good | The film was fine")
    assert panel.form.counted.text() == "1 prompts: 1 good"
    QTest.keyClick(panel.form.prompts, Qt.Key.Key_Return)
    QTest.keyClicks(panel.form.prompts, "no bar")
    assert "Line 2 is no label | prompt: 'no bar'" in panel.form.counted.text()
    assert not panel.run.isEnabled()
    path = tmp_path / "mine.csv"
    path.write_text("prompt,label,group\nA key,one,1\nSome keys,many,1\n")
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(path), ""))
    QTest.mouseClick(panel.form.file, LEFT)
    rest(bench, qtbot)
    assert panel.form.prompts.toPlainText() == "one | A key | 1\nmany | Some keys | 1"
    path.write_text("x,y\n1,2\n")
    QTest.mouseClick(panel.form.file, LEFT)
    rest(bench, qtbot)
    assert any("no prompt and label in row 1" in n.as_text for n in bench.desk.notices.history)
    panel.form.show_wish(ProbeWish())
    bench.window.actions_table.trigger(CommandId.PROBE)
    assert panel.form.prompts.hasFocus() or not panel.run.isEnabled()


def test_a_row_tells_means_errors_and_folds(sample_session):
    found = held_probe(sample_session)
    table = probe_table(found)
    held = dict(zip(table.headers, table.rows[1], strict=True))
    assert held["accuracy"] == pytest.approx(0.875)
    assert held["error"] == pytest.approx(0.125)
    assert (held["fold 1"], held["fold 2"], held["chance"]) == (0.75, 1.0, 0.5)
