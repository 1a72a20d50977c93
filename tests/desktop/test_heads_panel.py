"""The table of heads in a real window, by mouse and keyboard, with sweeps made by hand."""

from __future__ import annotations

from dataclasses import replace
from time import process_time
from types import MappingProxyType

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QColor, QContextMenuEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QComboBox, QMenu

import microtome_resources as resources
from microtome.prompts import Question
from microtome.records.sweep import Sweep, sweep_analysis
from microtome.session.writer import save_session
from microtome_desktop.commands.command import CommandId
from microtome_desktop.jobs.examine import Examine
from microtome_desktop.jobs.file_requests import OpenSession
from microtome_desktop.jobs.sweep_requests import analysis_for
from microtome_desktop.presenters.head_effects import (
    ABLATION,
    PATCHING,
    effect_in,
    missing,
    wish_for,
)
from microtome_desktop.presenters.head_table import head_table

WAIT = 30_000
LEFT, RIGHT = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton
LAYERS, HEADS = 4, 4
DETECTORS = ("previous token", "duplicate token", "induction")


def swept(session, effect, *, gaps=0, seed=0, **asked):
    """A sweep of the heads as the engine hands it over; the last ``gaps`` are not there yet."""
    effects = np.random.default_rng(seed).normal(0, 0.3, (LAYERS, HEADS)).astype(np.float32)
    effects.flat[effects.size - gaps :] = np.nan
    clean, corrupt = (run.tokens for run in session.traces[:2])
    pair = {"tokens": corrupt, "source_tokens": clean} if effect is PATCHING else {"tokens": clean}
    params = {"id": f"sweep-{effect.name}{seed}", "partial": gaps > 0, **asked}
    return Sweep(
        "z", ("layer", "head"), effects * 4, effects, 3.2, -1.1, session.metric["name"],
        mode=effect.recorded, normalised=effect is PATCHING, params=params, **pair,
    )  # fmt: skip


def answered(session, effect, **more):
    """The same with the wish that the panel has."""
    return analysis_for(wish_for(session, effect), swept(session, effect, **more))


def holding(session, *analyses):
    held = {**session.analyses, **{one.id: one for one in analyses}}
    return replace(session, analyses=MappingProxyType(held))


def without(session, name):
    held = {key: one for key, one in session.analyses.items() if key != name}
    return replace(session, analyses=MappingProxyType(held))


def column(table, name):
    return next(one for one in table.columns if one.name == name)


# ---------------------------------------------------------------- what the table says


def test_every_number_is_that_of_its_analysis(sample_session):
    session = holding(
        sample_session, answered(sample_session, PATCHING), answered(sample_session, ABLATION)
    )
    table = head_table(session)
    scores, direct = session.analyses["head-scores"], session.analyses["direct-attribution"]
    for at, name in enumerate(DETECTORS):
        np.testing.assert_array_equal(column(table, name).values, scores.array("score")[at])
        here = column(table, f"{name} here").values
        np.testing.assert_array_equal(here, scores.array("on_prompt")[at])
    np.testing.assert_array_equal(column(table, "direct attribution").values, direct.array("heads"))
    for effect in (PATCHING, ABLATION):
        wanted = swept(session, effect).effects
        np.testing.assert_array_equal(column(table, effect.name).values, wanted)
    assert missing(session) == ()
    assert "induction" in table.searched(table.row(2, 2))
    assert "induction" not in table.searched(table.row(2, 1))


def test_what_is_not_there_says_why(sample_session):
    table = head_table(sample_session)
    assert "Compute" in column(table, "patching").why_not
    scores = sample_session.analyses["head-scores"]
    unable = replace(scores, params={**scores.params, "on_prompt_applies": [True, False, True]})
    told = column(head_table(holding(sample_session, unable)), "duplicate token here")
    assert "nothing to look at" in told.why_not
    assert np.isnan(told.values).all()
    kept = replace(scores, arrays={"score": scores.arrays["score"]})
    assert "not kept" in column(head_table(holding(sample_session, kept)), "induction here").why_not
    bare = head_table(without(without(sample_session, "head-scores"), "direct-attribution"))
    assert all(one.why_not for one in bare.columns)
    alone = replace(sample_session, question=replace(sample_session.question, corrupt=None))
    assert "corrupt prompt" in column(head_table(alone), "patching").why_not
    assert [wish.mode for wish in missing(alone)] == ["zero"]


def test_only_a_sweep_of_the_same_question_counts(sample_session):
    wish = wish_for(sample_session, PATCHING)
    other = analysis_for(replace(wish, metric="kl"), swept(sample_session, PATCHING))
    assert effect_in(holding(sample_session, other), PATCHING) is None
    # What was made in Python tells its runs and metric, but not what was wished for.
    plain = swept(sample_session, ABLATION, how="zero")
    for sweep, counts in (
        (plain, True),
        (replace(plain, metric="loss"), False),
        (replace(plain, tokens=plain.tokens[:-1]), False),
        (replace(plain, params={**plain.params, "how": "mean"}), False),
    ):
        held = holding(sample_session, sweep_analysis(sweep))
        assert (effect_in(held, ABLATION) is not None) is counts
    begun, whole = (answered(sample_session, PATCHING, gaps=gaps, seed=gaps) for gaps in (3, 0))
    for pair in ((begun, whole), (whole, begun)):
        assert effect_in(holding(sample_session, *pair), PATCHING).complete
    assert wish in missing(holding(sample_session, begun))


# ---------------------------------------------------------------- the panel


@pytest.fixture(scope="module", autouse=True)
def pop_ups(shared_bench):
    """A list makes its pop-up when it is first used: no test is to leave one behind."""
    for box in shared_bench.window.findChildren(QComboBox):
        box.view()


@pytest.fixture
def panel(bench, qtbot, sample_session):
    """The panel in front, with both effects in the session."""
    for effect in (PATCHING, ABLATION):
        bench.desk.workspace.add_analysis(answered(sample_session, effect, seed=len(effect.name)))
    bench.window.docks["heads"].show()
    bench.window.docks["heads"].raise_()
    made = bench.furnishing.panels["heads"]
    made.words.clear()
    made.table.sort_by(0, descending=False)
    bench.desk.selection.clear()
    rest(bench, qtbot)
    return made


def rest(bench, qtbot):
    bench.runner.turns.finish()
    qtbot.waitUntil(lambda: bench.runner.idle and not bench.updating, timeout=WAIT)
    bench.runner.turns.finish()
    QApplication.processEvents()


def spot(panel, row, at=0):
    """The middle of a cell, by the row of the table of heads."""
    index = panel.table.sorted.mapFromSource(panel.table.items.index(row, at))
    panel.table.scrollTo(index)
    return panel.table.visualRect(index).center()


def click(panel, row):
    QTest.mouseClick(panel.table.viewport(), LEFT, pos=spot(panel, row))


def click_title(panel, at):
    header = panel.table.horizontalHeader()
    panel.table.scrollTo(panel.table.sorted.index(0, at))
    x = header.sectionViewportPosition(at) + header.sectionSize(at) // 2
    QTest.mouseClick(header.viewport(), LEFT, pos=QPoint(x, header.height() // 2))


def selected(bench):
    now = bench.desk.selection.current
    return now.layer, now.head


def marked(panel):
    rows = panel.table.selectionModel().selectedRows()
    return [panel.table.row_at(index) for index in rows]


def test_a_click_on_a_title_sorts_by_it_and_again_the_other_way(panel):
    assert panel.table.rows() == tuple(range(16))
    for at, column in enumerate(panel.table.shown.columns, 1):
        values = column.values.ravel()
        ways = []
        for _ in range(2):
            click_title(panel, at)
            ways.append(values[list(panel.table.rows())].tolist())
        assert sorted(ways) == [sorted(values.tolist()), sorted(values.tolist())[::-1]]


def test_heads_without_a_number_come_last_and_fill_as_they_come(bench, panel, qtbot):
    session = bench.desk.workspace.session
    for gaps in (5, 2):
        held = without(session, f"sweep-patching{len(PATCHING.name)}")
        bench.desk.workspace.show(
            holding(held, answered(session, PATCHING, gaps=gaps)), dirty=False
        )
        rest(bench, qtbot)
        panel.table.sort_by(2, descending=True)
        rows = panel.table.rows()
        assert set(rows[-gaps:]) == set(range(16 - gaps, 16))
        assert panel.table.items.item(15, 2).text() == ""
    wanted = swept(session, PATCHING, gaps=2).effects.ravel()
    click(panel, 3)
    bench.desk.workspace.add_analysis(answered(session, PATCHING))
    rest(bench, qtbot)
    assert marked(panel) == [3]
    texts = [panel.table.items.item(row, 2).text() for row in range(14)]
    read = [float(text.replace("\N{MINUS SIGN}", "-")) for text in texts]
    np.testing.assert_allclose(read, wanted[:14], atol=6e-4)


def test_colours_follow_the_sign_and_text_stays_readable(panel):
    shown, items = panel.table.shown, panel.table.items
    values = column(shown, "ablation").values.ravel()
    for row in (int(values.argmax()), int(values.argmin())):
        item = items.item(row, 3)
        fill, ink = item.background().color(), item.foreground().color()
        assert (fill.blue() > fill.red()) is bool(values[row] > 0)
        assert abs(fill.lightness() - ink.lightness()) > 60
    assert items.item(0, 0).background().color() == QColor(Qt.GlobalColor.black)  # no brush


def test_a_row_selects_the_head_in_every_view_and_follows_it(bench, panel, qtbot):
    click(panel, 9)
    assert selected(bench) == (2, 1)
    rest(bench, qtbot)
    assert bench.furnishing.panels["attention"]._shown == (2, 1)
    QTest.keyClick(panel.table, Qt.Key.Key_Down)
    assert selected(bench) == (2, 2)
    circuit = bench.desk.workspace.session.circuit
    row = circuit.node_kind.index("head")
    place = int(circuit.node_layer[row]), int(circuit.node_head[row])
    bench.desk.selection.update(node=circuit.node_id[row], layer=place[0], head=place[1])
    rest(bench, qtbot)
    assert marked(panel) == [place[0] * HEADS + place[1]]
    assert bench.desk.selection.current.node == circuit.node_id[row]  # following tells nobody
    click_title(panel, 1)
    assert marked(panel) == [place[0] * HEADS + place[1]]
    bench.desk.selection.clear()
    rest(bench, qtbot)
    assert marked(panel) == []


def test_the_filter_takes_every_word_and_leaves_the_selection(bench, panel, qtbot):
    click(panel, 9)
    QTest.keyClicks(panel.words, "l2")
    assert set(panel.table.rows()) == {8, 9, 10, 11}
    QTest.keyClicks(panel.words, " induc")
    assert panel.table.rows() == (10,)
    assert panel.count.text() == "1 of 16"
    assert selected(bench) == (2, 1)
    table = panel.exported_table()()
    assert [row[:2] for row in table.rows] == [(2, 2)]
    panel.words.clear()
    assert marked(panel) == [9]
    QTest.keyClicks(panel.words, "[(")  # no pattern, just letters that nothing has
    assert panel.table.rows() == ()


def test_the_exported_table_is_what_is_shown_at_full_precision(panel):
    panel.table.sort_by(1, descending=True)
    table = panel.exported_table()()
    assert table.headers[:5] == ("layer", "head", "direct attribution", "patching", "ablation")
    values = np.array([row[2] for row in table.rows], np.float32)
    wanted = column(panel.table.shown, "direct attribution").values.ravel()
    np.testing.assert_array_equal(values, np.sort(wanted)[::-1])


def test_offline_the_table_comes_from_the_file_as_it_was_left(bench, panel, qtbot, tmp_path):
    before = head_table(bench.desk.workspace.session)
    click_title(panel, 3)
    QTest.keyClicks(panel.words, "L3")
    order = panel.table.rows()
    session, _ = bench.handlers.to_save(tmp_path / "heads.h5")
    file = save_session(tmp_path / "heads.h5", replace(session, uuid="heads"))
    panel.words.clear()
    panel.table.sort_by(0, descending=True)
    bench.desk.workspace.set_model(None)
    bench.runner.ask(OpenSession(file))
    qtbot.waitUntil(lambda: bench.desk.workspace.path == file and bench.runner.idle, timeout=WAIT)
    rest(bench, qtbot)
    assert all(a.same(b) for a, b in zip(before.columns, panel.table.shown.columns, strict=True))
    assert panel.table.rows() == order
    assert not panel.compute.isVisible()
    bench.desk.workspace.show(without(bench.desk.workspace.session, "sweep-ablation8"), dirty=False)
    rest(bench, qtbot)
    assert panel.compute.text() == "Compute"
    assert panel.told.text() == "Not measured yet: the effect of ablation."
    assert not panel.compute.isEnabled()
    assert "attach" in panel.compute.toolTip()
    assert bench.window.actions_table.actions[CommandId.HEAD_EFFECTS].toolTip()


def test_a_large_model_is_listed_within_a_moment(bench, panel, qtbot):
    """Forty layers of forty heads: the window does not wait for the table, nor for a sweep."""
    session = bench.desk.workspace.session
    table = head_table(session)
    shape = (40, 40)
    draw = np.random.default_rng(0)
    columns = tuple(
        replace(one, values=draw.random(shape, dtype=np.float32)) for one in table.columns
    )
    large = replace(table, n_layers=40, n_heads=40, columns=columns, kinds=("",) * 1600)
    other = replace(columns[1], values=draw.random(shape, dtype=np.float32))
    moved = replace(large, columns=(columns[0], other, *columns[2:]))
    panel.table.sort_by(2, descending=True)
    for shown, seconds in ((large, 1.0), (moved, 0.3)):
        begun = process_time()
        panel.table.show_table(shown)
        assert process_time() - begun < seconds
        assert panel.table.rows()[0] == int(shown.columns[1].values.argmax())
    assert panel.table.sorted.rowCount() == 1600
    panel._stale = True
    panel._fill()


# ---------------------------------------------------------------- with a model


@pytest.fixture(scope="module")
def live_pop_ups(live_bench):
    """The same of the window with a model."""
    for box in live_bench.window.findChildren(QComboBox):
        box.view()
    live_bench.furnishing.panels["edits"].form.site.completer().popup()


@pytest.fixture
def measured(live, live_pop_ups, qtbot):
    """The panel of a live window on a pair of which nothing was swept."""
    example = resources.START_EXAMPLE
    pair = Question(example.clean, example.corrupt, example.answer, example.wrong)
    live.runner.ask(Examine(pair))
    rest(live, qtbot)
    live.window.docks["heads"].show()
    live.window.docks["heads"].raise_()
    live.furnishing.panels["heads"].words.clear()
    rest(live, qtbot)
    yield live.furnishing.panels["heads"]
    live.desk.book.mark("No edits", edits=())
    live.desk.workspace.mark_clean()
    rest(live, qtbot)


def test_the_button_measures_and_a_right_click_ablates_the_head(live, measured, qtbot):
    panel, session = measured, live.desk.workspace.session
    assert panel.compute.toolTip() == "Measure patching and ablation of every head"
    QTest.mouseClick(panel.compute, LEFT)
    live.runner.turns.finish()
    assert panel.compute.text() == "Stop"
    rest(live, qtbot)
    assert not panel.compute.isVisible()
    ablated = column(panel.table.shown, "ablation").values
    row = int(np.abs(ablated).argmax())
    at = spot(panel, row)
    viewport = panel.table.viewport()
    QTest.mouseClick(viewport, RIGHT, pos=at)
    context = QContextMenuEvent(QContextMenuEvent.Reason.Mouse, at, viewport.mapToGlobal(at))
    QApplication.sendEvent(viewport, context)
    (menu,) = (m for m in panel.findChildren(QMenu, "edit_menu") if m.isVisible())
    assert panel.table.shown.label(row) in menu.title()
    zero = next(action for action in menu.actions() if action.text().startswith("Ablate to zero"))
    QTest.mouseClick(menu, LEFT, pos=menu.actionGeometry(zero).center())
    rest(live, qtbot)
    layer, head = panel.table.shown.place(row)
    (edit,) = live.desk.book.marks.edits
    assert (edit.site, edit.action) == (f"z.{layer}.{head}", "zero")
    # What the column says of the head is what the edit does to the metric.
    metric = session.metric
    edited = live.desk.workspace.session.edited.logits[metric["position"]]
    change = edited[metric["answer_id"]] - edited[metric["wrong_id"]] - metric["value"]
    np.testing.assert_allclose(ablated[layer, head], change, rtol=1e-3)
