"""The Features panel in a real window: a table of all features, and the card of one."""

from __future__ import annotations

import json
import statistics
import time
from dataclasses import replace

import indexed
import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QColor, QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QFileDialog, QMessageBox

from microtome.errors import InputError
from microtome.records.feature_labels import FeatureLabel, LabelSet, labels_analysis
from microtome.records.marks import Note, feature_target
from microtome.records.shared_neurons import SharedNeurons, neurons_analysis
from microtome.session.reader import open_session
from microtome.session.writer import save_session
from microtome_desktop import palette as colours
from microtome_desktop.commands.command import CommandId
from microtome_desktop.jobs.file_requests import OpenSession
from microtome_desktop.presenters.feature_card import card_table, feature_card
from microtome_desktop.presenters.feature_table import KEYS
from microtome_desktop.state.label_files import labels_of_file
from microtome_desktop.views.panel_picture import RATIO

WAIT = 30_000
LEFT = Qt.MouseButton.LeftButton
LABEL = KEYS.index("label")


def rest(bench, qtbot):
    bench.runner.turns.finish()
    qtbot.waitUntil(lambda: bench.runner.idle and not bench.updating, timeout=WAIT)
    bench.runner.turns.finish()
    QApplication.processEvents()


def shown(bench, qtbot, analysis):
    """The panel in front, with an index in the session."""
    bench.desk.workspace.add_analysis(analysis)
    bench.window.show_panel("features")
    panel = bench.furnishing.panels["features"]
    qtbot.waitUntil(lambda: panel.table is not None, timeout=WAIT)
    rest(bench, qtbot)
    return panel


@pytest.fixture
def panel(bench, qtbot):
    bench.desk.selection.update(feature=None)
    made = shown(bench, qtbot, indexed.index())
    yield made
    made.search.clear()
    made.rows.search("")
    made.rows.sort_by("rate", descending=True)


def click(panel, row, column=0):
    rows = panel.rows
    place = rows.visualRect(rows.items.index(row, column)).center()
    QTest.mouseClick(rows.viewport(), LEFT, pos=place)


def cells(panel, column):
    return [panel.rows.items.item(row, column).text() for row in range(len(panel.rows.rows))]


def test_a_click_on_a_column_sorts_by_it_and_what_has_no_value_is_last(panel):
    assert cells(panel, KEYS.index("feature")) == ["5", "4", "3", "2", "1", "0"]
    header, at = panel.rows.horizontalHeader(), KEYS.index("purity")
    place = QPoint(header.sectionViewportPosition(at) + 8, header.height() // 2)
    panel.rows.horizontalScrollBar().setValue(0)
    QTest.mouseClick(header.viewport(), LEFT, pos=place)
    assert panel.rows.sorted_by()[0] == "purity"
    assert panel.rows.rows[-1] == 0  # silent: it has no purity, whichever way one sorts
    panel.rows.sort_by("purity", descending=True)
    assert panel.rows.rows[0] == 1
    assert panel.rows.items.item(0, at).text() == "100"
    assert panel.rows.rows[-1] == 0


def test_typing_shows_the_features_that_hold_the_text(panel, bench, qtbot):
    label = FeatureLabel(indexed.FINGERPRINT, 4, "a place called zanzibar")
    bench.desk.book.mark("Label", labels=(label,))
    QTest.keyClicks(panel.search, "Zanzi")
    qtbot.waitUntil(lambda: panel.rows.rows.tolist() == [4], timeout=WAIT)
    assert panel.said.text().startswith("1 of 6")
    panel.search.setText("5")
    qtbot.waitUntil(lambda: panel.rows.rows.tolist() == [5], timeout=WAIT)
    panel.search.setText("Mary")
    qtbot.waitUntil(lambda: 1 in panel.rows.rows.tolist(), timeout=WAIT)
    bench.desk.book.undo()


def test_a_row_shows_its_card_and_links_lead_on(panel, bench, qtbot):
    click(panel, 4)
    rest(bench, qtbot)
    assert bench.desk.selection.current.feature == (indexed.FINGERPRINT, 1)
    view = panel.view
    assert view.title.text() == "Feature 1 · by-hand"
    assert "on at 0.1 % of 1,000 positions" in view.figures.text()
    assert view.words["token"].text().startswith("Mary")
    title, lines = view.sections[0]
    assert title.text() == "Strongest in the text"
    values = [line.value for line in lines.lines]
    assert values == sorted(values, reverse=True)
    line = lines.lines[0]
    assert line.shares[line.peak] == pytest.approx(1)
    index = panel.table.index
    strongest = int(index.row("top_value", 1).argmax())
    row, position = divmod(int(index.row("top_place", 1)[strongest]), index.context)
    assert line.tokens[line.peak] == indexed.WORDS[panel.table.tokens[row, position]]
    view.links["alike"].linkActivated.emit("3")
    rest(bench, qtbot)
    assert view.title.text() == "Feature 3 · by-hand"
    assert panel.rows.items.item(panel.rows.currentIndex().row(), 0).text() == "3"
    QTest.keyClick(panel.rows, Qt.Key.Key_Down)
    rest(bench, qtbot)
    assert view.title.text() == "Feature 2 · by-hand"


def test_markup_in_a_token_stays_text(panel):
    panel.view.show_card(feature_card(panel.table, 2, {}), "by-hand")
    assert panel.view.words["lowered"].text().startswith("&lt;b&gt;")


def test_a_label_is_typed_undone_and_seen_in_the_table(panel, bench, qtbot):
    click(panel, 0)
    rest(bench, qtbot)
    QTest.keyClicks(panel.view.label, "a name")
    QTest.keyClick(panel.view.label, Qt.Key.Key_Return)
    rest(bench, qtbot)
    assert bench.desk.book.marks.labels == (FeatureLabel(indexed.FINGERPRINT, 5, "a name"),)
    assert cells(panel, LABEL)[0] == "a name"
    bench.window.actions_table.trigger(CommandId.UNDO)
    rest(bench, qtbot)
    assert cells(panel, LABEL)[0] != "a name"
    assert panel.view.label.text() == ""


def test_a_proposal_is_taken_alone_or_with_all_others(panel, bench, qtbot):
    click(panel, 4)
    rest(bench, qtbot)
    assert panel.view.label.placeholderText() == "proposed: “Mary”"
    QTest.mouseClick(panel.view.accept, LEFT)
    rest(bench, qtbot)
    assert panel.labels == {1: "“Mary”"}
    bench.desk.book.undo()
    rest(bench, qtbot)
    assert panel.labels == {}
    bench.window.actions_table.trigger(CommandId.ACCEPT_LABELS)
    rest(bench, qtbot)
    assert panel.labels[1] == "“Mary”"
    assert panel.labels == {row: told for row, told in enumerate(panel.table.proposed) if told}
    bench.desk.book.undo()
    rest(bench, qtbot)
    assert panel.labels == {}


def test_proposals_with_scores_are_accepted_and_rejected_and_typed_labels_are_asked_for(
    panel, bench, qtbot, monkeypatch
):
    found = LabelSet.of(indexed.FINGERPRINT, "a small model", {1: "names", 5: "late"})
    found = replace(found.scored({1: 0.75}), proposed=True, params={"method": "detection of 8"})
    bench.desk.workspace.add_analysis(labels_analysis(found))
    rest(bench, qtbot)
    assert "score" in panel.rows.columns.shown
    click(panel, 4)
    rest(bench, qtbot)
    view, book = panel.view, bench.desk.book
    assert view.label.placeholderText() == "proposed: names"
    assert view.worth.said.text() == (
        "0.75 by detection of 8 (chance 0.50) · proposed by a small model"
    )
    assert cells(panel, KEYS.index("score"))[4] == "0.75"
    assert panel.labels == {}  # what is proposed names nothing yet
    QTest.mouseClick(view.accept, LEFT)
    rest(bench, qtbot)
    assert panel.labels == {1: "names"}
    assert view.worth.said.text().startswith("0.75 by detection of 8")
    assert not view.accept.isVisible()
    view.label.setText("my own")
    QTest.keyClick(view.label, Qt.Key.Key_Return)
    rest(bench, qtbot)
    assert view.worth.said.text().startswith("proposed by a small model: names")
    for button, wanted in (("Cancel", "my own"), ("Replace", "names")):
        monkeypatch.setattr(QMessageBox, "exec", lambda box, name=button: press(box, name))
        QTest.mouseClick(view.accept, LEFT)
        rest(bench, qtbot)
        assert panel.labels == {1: wanted}
    for _ in range(3):
        book.undo()
    rest(bench, qtbot)
    assert panel.labels == {}
    QTest.mouseClick(view.worth.reject, LEFT)
    rest(bench, qtbot)
    assert view.label.placeholderText() == "proposed: “Mary”"
    book.undo()
    rest(bench, qtbot)
    assert view.label.placeholderText() == "proposed: names"
    book.mark("Label", labels=(FeatureLabel(indexed.FINGERPRINT, 5, "mine"),))
    bench.window.actions_table.trigger(CommandId.ACCEPT_LABELS)
    rest(bench, qtbot)
    assert (panel.labels[1], panel.labels[5]) == ("names", "mine")
    assert view.worth.said.text().endswith("by accepted proposals")
    book.undo()
    book.undo()
    bench.desk.workspace.put_analyses({labels_analysis(found).id: None})


def press(box, name):
    next(b for b in box.buttons() if name in b.text()).click()


def test_labels_come_from_files_and_go_into_one(panel, bench, qtbot, tmp_path, monkeypatch):
    theirs = tmp_path / "theirs.json"
    theirs.write_text(json.dumps([{"index": "3", "description": "days of the week"}]))
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(theirs), ""))
    bench.window.actions_table.trigger(CommandId.IMPORT_LABELS)
    qtbot.waitUntil(lambda: bool(panel.labels), timeout=WAIT)
    assert panel.labels == {3: "days of the week"}
    ours = tmp_path / "ours.csv"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(ours), ""))
    bench.window.actions_table.trigger(CommandId.EXPORT_LABELS)
    qtbot.waitUntil(ours.exists, timeout=WAIT)
    rest(bench, qtbot)
    assert labels_of_file(ours, indexed.FINGERPRINT, 6).as_mapping() == {3: "days of the week"}
    bench.desk.book.undo()


def test_a_note_is_written_found_listed_and_taken_back(panel, bench, qtbot):
    click(panel, 1)
    rest(bench, qtbot)
    note, shown = panel.view.note, panel.rows.columns.shown
    assert "note" not in shown
    note.setFocus()
    QTest.keyClicks(note, "Ships & harbours")
    QTest.keyClick(note, Qt.Key.Key_Return)
    QTest.keyClicks(note, "see 3")
    click(panel, 0)  # what was written counts when another card comes
    rest(bench, qtbot)
    assert panel.notes == {4: "Ships & harbours\nsee 3"}
    assert note.toPlainText() == ""
    assert panel.rows.columns.shown == (*shown, "note")
    assert cells(panel, KEYS.index("note")) == ["", "Ships & harbours", "", "", "", ""]
    QTest.keyClicks(panel.search, "HARBOURS")
    qtbot.waitUntil(lambda: panel.rows.rows.tolist() == [4], timeout=WAIT)
    notes = bench.furnishing.panels["notes"]
    listed = [notes.list.item(row).text() for row in range(notes.list.count())]
    line = "feature 4 of by-hand\nShips & harbours …"
    assert line in listed
    notes.list.itemClicked.emit(notes.list.item(listed.index(line)))
    rest(bench, qtbot)
    assert panel.feature == 4
    assert note.toPlainText() == "Ships & harbours\nsee 3"
    told = panel.exported_table()()
    assert dict(zip(told.headers, told.rows[0], strict=True))["note"] == "Ships & harbours\nsee 3"
    bench.window.actions_table.trigger(CommandId.UNDO)
    rest(bench, qtbot)
    assert panel.notes == {}
    assert note.toPlainText() == ""


def test_every_row_has_a_histogram_and_columns_are_chosen(panel):
    table = panel.table
    heights = table.densities.heights
    assert heights[0].tolist() == [0] * heights.shape[1]  # silent
    assert (heights[1:].max(axis=1) == 255).all()
    at = KEYS.index("density")
    painted = [panel.rows.visualRect(panel.rows.items.index(row, at)) for row in (0, 5)]
    picture = panel.rows.viewport().grab().toImage()
    blue = QColor(colours.ACCENT).rgb()
    full, silent = (
        sum(picture.pixelColor(x, y).rgb() == blue
            for x in range(box.left(), box.right()) for y in range(box.top(), box.bottom()))
        for box in painted
    )  # fmt: skip
    assert full > 20 > silent == 0
    menu = panel.rows.columns.menu()
    wanted = {action.text(): action for action in menu.actions()}
    assert not wanted["spread"].isChecked()
    wanted["spread"].trigger()
    wanted["density"].trigger()
    assert "words" in panel.rows.columns.shown
    assert "density" not in panel.rows.columns.shown
    held = panel.view_state()["columns"]
    wanted["spread"].trigger()
    wanted["density"].trigger()
    panel.rows.columns.restore(held)
    assert "density" not in panel.rows.columns.shown
    panel.rows.columns.restore({"off": ["words"]})
    menu.deleteLater()


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("a.json", "{", "cannot be read"), ("b.csv", "x,y\n1,2\n", "holds no labels"),
        ("c.csv", "feature,label\n9,x\n", "labels feature 9, but the dictionary has 6"),
    ],
)  # fmt: skip
def test_files_that_are_no_labels_of_it_are_refused_by_name(tmp_path, name, text, told):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(InputError, match=told):
        labels_of_file(path, indexed.FINGERPRINT, 6)


def test_it_is_reviewed_offline_from_a_file(panel, bench, qtbot, tmp_path):
    book, names = bench.desk.book, (indexed.FINGERPRINT, 5)
    target = feature_target(*names)
    book.mark("Label", labels=(FeatureLabel(*names, "mine"),))
    book.mark("Note", notes=(Note(target, "<b>two</b>\nlines"),))
    numbers = np.array([[0.5, -0.25, 0.75]])
    told = {"fingerprint": indexed.FINGERPRINT, "positions": 9}
    shared = neurons_analysis(SharedNeurons(5, (2,), numbers, numbers, numbers, told))
    bench.desk.workspace.add_analysis(shared)
    click(panel, 0)
    rest(bench, qtbot)
    before, card = panel.exported_table()().text(), panel._card_table()().text()
    file = save_session(tmp_path / "features.h5", bench.desk.workspace.session)
    assert open_session(file).analyses
    bench.desk.workspace.set_model(None)
    bench.runner.ask(OpenSession(file))
    qtbot.waitUntil(lambda: bench.desk.workspace.path == file, timeout=WAIT)
    rest(bench, qtbot)
    qtbot.waitUntil(lambda: panel.table is not None, timeout=WAIT)
    assert panel.exported_table()().text() == before
    click(panel, 0)
    rest(bench, qtbot)
    assert panel.view.title.text() == "Feature 5 · by-hand"
    assert panel._card_table()().text() == card
    assert panel.view.label.text() == "mine"
    assert panel.view.note.toPlainText() == "<b>two</b>\nlines"
    assert panel.view.sections[0][1].lines
    sharing = panel.run.sharing
    found = [line.text() for line in sharing.lines if not line.isHidden()]
    assert found == ["0.75  2  layer 2", "0.50  0  layer 2", "\N{MINUS SIGN}0.25  1  layer 2"]
    assert not sharing.seek.isEnabled()
    assert "Needs the session's model" in panel.view.run_note.text()
    assert not panel.look.isEnabled()


def test_the_card_leaves_as_rows(panel, bench, qtbot, tmp_path, monkeypatch):
    click(panel, 4)
    rest(bench, qtbot)
    path = tmp_path / "card.json"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(path), ""))
    panel.card_menu.actions()[-1].trigger()
    qtbot.waitUntil(path.exists, timeout=WAIT)
    rest(bench, qtbot)
    held = json.loads(path.read_text("utf-8"))
    assert {"what": "token", "text": "Mary", "number": 1.0} in held["rows"]
    assert "feature-index" in {one["method"] for one in held["made"]}
    for ending, begins in (("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<?xml")):
        file = tmp_path / f"card.{ending}"
        monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, to=file: (str(to), ""))
        wanted = f"Save the card as {ending.upper()}…"
        next(a for a in panel.card_menu.actions() if a.text() == wanted).trigger()
        rest(bench, qtbot)
        assert file.read_bytes().startswith(begins)
    assert QImage(str(tmp_path / "card.png")).height() == RATIO * panel.view.height()
    rows = card_table(feature_card(panel.table, 1, {}), "mine").rows
    assert ("label", "mine", None) in rows
    assert ("token", "Mary", 1.0) in rows
    assert any(what == "Strongest in the text" and "[" in text for what, text, _ in rows)


def test_a_hundred_thousand_features_scroll_sort_and_search_without_a_pause(bench, qtbot):
    panel = shown(bench, qtbot, indexed.index(100_000))
    bar, took = panel.rows.verticalScrollBar(), []
    assert len(panel.rows.rows) == 100_000
    for place in np.linspace(0, bar.maximum(), 25).astype(int):
        began = time.thread_time()  # of this thread alone: the machine may be busy
        bar.setValue(int(place))
        panel.rows.viewport().repaint()
        took.append(time.thread_time() - began)
        row = panel.rows.rowAt(2)
        assert panel.rows.items.item(row, 0).text() == str(panel.rows.rows[row])
    assert statistics.median(took) < 0.05
    made = sum(panel.rows.items.item(row, 0) is not None for row in range(0, 100_000, 10))
    assert made < 200  # cells of what was seen alone
    panel.rows.sort_by("mean", descending=False)
    means = panel.table.figures["mean"][panel.rows.rows]
    assert (np.diff(means) >= 0).all()
    panel.rows.search("gave")
    kept = len(panel.rows.rows)
    assert 0 < kept <= 100_000
    panel.rows.search("")
    panel.rows.sort_by("rate", descending=True)
