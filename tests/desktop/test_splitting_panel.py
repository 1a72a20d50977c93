"""Feature splitting in a real window: a table, a drawing, and what leaves them, without a model."""

from __future__ import annotations

from dataclasses import replace

import indexed
import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest

from microtome.records.dictionary import DictionaryIdentity
from microtome.records.feature_labels import FeatureLabel
from microtome.records.feature_splits import FeatureSplits, splits_analysis
from microtome.session.writer import save_session
from microtome_desktop.jobs.file_requests import OpenSession
from microtome_desktop.presenters.splitting import pairs_offered
from microtome_desktop.state.splits import Side, why_no_pair

WAIT = 30_000
LEFT = Qt.MouseButton.LeftButton
SMALL, LARGE = "5" * 64, "1" * 64
NAMES = {SMALL: "few", LARGE: "many"}


def an_index(fingerprint, features):
    made = indexed.index(features)
    params = {**made.params, "fingerprint": fingerprint, "dictionary": NAMES[fingerprint]}
    return replace(made, id=f"feature-index-{fingerprint[:12]}", params=params)


def a_comparison():
    """Feature 0 has no part, 1 has one, 2 has two, 3 has three that are on, one of another way."""
    none = -1
    covering = np.array([[none] * 3, [4, none, none], [5, 2, none], [1, 3, 4]], np.int32)
    share = np.array([[0, 0, 0], [0.9, 0, 0], [0.8, 0.4, 0], [0.9, 0.5, 0.25]], np.float32)
    cosine = np.array([[0, 0, 0], [0.95, 0, 0], [0.7, 0.6, 0], [0.1, 0.5, 0.4]], np.float32)
    params = {
        "small": "few", "small_fingerprint": SMALL, "large": "many", "large_fingerprint": LARGE,
        "site": "resid_post.1", "corpus": "some.txt", "positions": 1_000, "text": "words-4l",
        "limit": 500,
    }  # fmt: skip
    return splits_analysis(FeatureSplits(covering, cosine, covering, share, cosine, params))


def rest(bench, qtbot):
    bench.runner.turns.finish()
    qtbot.waitUntil(lambda: bench.runner.idle and not bench.updating, timeout=WAIT)
    bench.runner.turns.finish()


@pytest.fixture
def panel(bench, qtbot):
    bench.desk.selection.update(feature=None, hovered_feature=None)
    for analysis in (an_index(SMALL, 4), an_index(LARGE, 6), a_comparison()):
        bench.desk.workspace.add_analysis(analysis)
    bench.window.show_panel("splitting")
    made = bench.furnishing.panels["splitting"]
    qtbot.waitUntil(lambda: made.table is not None, timeout=WAIT)
    rest(bench, qtbot)
    yield made
    made.rows.sort_by("parts", descending=True)
    bench.desk.selection.update(feature=None)


def click(panel, row):
    place = panel.rows.visualRect(panel.rows.items.index(row, 1)).center()
    QTest.mouseClick(panel.rows.viewport(), LEFT, pos=place)


def parts(panel):
    return [(box.part.feature, round(box.part.share, 2)) for box in panel.drawing.boxes()]


def test_a_row_shows_its_parts_and_a_part_is_chosen_in_the_drawing(panel, bench, qtbot):
    counts = {int(f): panel.rows.items.item(r, 2).text() for r, f in enumerate(panel.rows.rows)}
    assert counts == {0: "0", 1: "1", 2: "2", 3: "2"}  # cosine 0.1 is no part
    assert "2 of 4 features have several parts, 1 none" in panel.said.toolTip()
    click(panel, panel.rows.rows.tolist().index(3))
    rest(bench, qtbot)
    assert bench.desk.selection.current.feature == (SMALL, 3)
    assert parts(panel) == [(3, 0.5), (4, 0.25)]
    area = panel.drawing.boxes()[1].area.center().toPoint()
    QTest.mouseMove(panel.drawing, area)
    assert bench.desk.selection.current.hovered_feature == (LARGE, 4)
    QTest.mouseClick(panel.drawing, LEFT, pos=area)
    rest(bench, qtbot)
    assert bench.desk.selection.current.feature == (LARGE, 4)
    assert panel.feature == 3  # still that, though 4 is a larger part of feature 1
    QTest.mouseClick(panel.drawing, LEFT, pos=panel.drawing.whole_area().center().toPoint())
    rest(bench, qtbot)
    assert bench.desk.selection.current.feature == (SMALL, 3)
    bench.desk.selection.update(feature=(LARGE, 5))  # as another panel does
    rest(bench, qtbot)
    assert panel.feature == 2
    assert panel.rows.items.item(panel.rows.currentIndex().row(), 0).text() == "2"


def test_titles_sort_and_the_search_looks_into_parts_and_labels(panel, bench, qtbot):
    header = panel.rows.horizontalHeader()
    place = QPoint(header.sectionViewportPosition(4) + 8, header.height() // 2)
    QTest.mouseClick(header.viewport(), LEFT, pos=place)
    panel.rows.sort_by("cosine", descending=True)
    assert panel.rows.rows.tolist() == [1, 2, 3, 0]  # what has none comes last
    panel.rows.sort_by("cosine", descending=False)
    assert panel.rows.rows.tolist() == [3, 2, 1, 0]
    bench.desk.book.mark("Label", labels=(FeatureLabel(SMALL, 0, "zanzibar"),))
    rest(bench, qtbot)
    QTest.keyClicks(panel.search, "Zanzi")
    qtbot.waitUntil(lambda: panel.rows.rows.tolist() == [0])
    panel.search.clear()
    qtbot.waitUntil(lambda: len(panel.rows.rows) == 4)
    bench.desk.book.undo()


def test_it_is_reviewed_from_a_file_and_leaves_as_a_table_and_lines(panel, bench, qtbot, tmp_path):
    click(panel, panel.rows.rows.tolist().index(2))
    rest(bench, qtbot)
    table = panel.exported_table()()
    held = [dict(zip(table.headers, row, strict=True)) for row in table.rows]
    assert [(row["feature"], row["part"]) for row in held] == [
        (0, None), (1, 4), (2, 5), (2, 2), (3, 3), (3, 4),
    ]  # fmt: skip
    assert held[2]["share"] == pytest.approx(0.8)
    assert held[2]["part tokens"].split()[0] in indexed.WORDS
    lines = panel.exported_lines()
    assert lines[-1] == "values = splits.parts(2)"
    assert "small = mt.load_dictionary('few')" in lines
    view = {"splitting": panel.view_state()}
    session = replace(bench.desk.workspace.session, view=view)
    file = save_session(tmp_path / "splits.h5", session)
    bench.desk.workspace.set_model(None)
    bench.runner.ask(OpenSession(file))
    qtbot.waitUntil(lambda: bench.desk.workspace.path == file, timeout=WAIT)
    rest(bench, qtbot)
    qtbot.waitUntil(lambda: panel.table is not None, timeout=WAIT)
    assert panel.exported_table()().text() == table.text()
    assert panel.feature == 2
    assert parts(panel) == [(5, 0.8), (2, 0.4)]
    assert not panel.asking.compare.isEnabled()
    assert "words-4l" in panel.asking.compare.toolTip()


def test_only_dictionaries_of_one_site_and_of_different_sizes_are_offered(bench, sample_identity):
    few = DictionaryIdentity("few", "topk sae", 8, 4, 8, "resid_post.1", "resid_post.1",
                             fingerprint=SMALL)  # fmt: skip
    many = replace(few, name="many", d_sae=6, fingerprint=LARGE)
    there = replace(many, name="there", writes="resid_post.2", fingerprint="2" * 64)
    pair = (Side("few", SMALL), Side("many", LARGE))
    assert pairs_offered(None, (few, many, there), None) == (pair,)
    assert pairs_offered(None, (few, there), None) == ()
    desk = bench.desk
    embedded = pairs_offered(None, (), sample_identity)
    assert [side.name for side in embedded[0]] == [
        "words-4l/resid_post.2-small", "words-4l/resid_post.2-large",
    ]  # fmt: skip
    desk.workspace.set_model(None)
    assert "Open two dictionaries" in why_no_pair(desk.workspace, desk.dictionaries)
