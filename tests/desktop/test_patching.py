"""The patching panel in a real window, by mouse and keyboard, on sweeps made by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QColor
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QMenu, QTabBar

from microtome.records.edits import EditSpec
from microtome.records.sweep import Sweep
from microtome.session.writer import save_session
from microtome_desktop.commands.command import CommandId
from microtome_desktop.jobs.file_requests import OpenSession
from microtome_desktop.jobs.sweep_requests import analysis_for, foreseen_key
from microtome_desktop.state.sweeps import Foreseen, Wish, sweeps_in

WAIT = 60_000
LEFT = Qt.MouseButton.LeftButton
SHIFT = Qt.KeyboardModifier.ShiftModifier
LAYERS, HEADS, TOKENS = 4, 4, 15


def made(session, what, axes, shape, *, missing=0, seed=0, **more):
    """A sweep as the engine would hand it over, with the wish that it answers."""
    wish = Wish(session.question, what=what)
    effects = np.random.default_rng(seed).normal(0, 0.3, shape).astype(np.float32)
    effects.flat[effects.size - missing :] = np.nan
    clean, corrupt = (trace.tokens for trace in session.traces[:2])
    sweep = Sweep(
        wish.row.site, axes, effects * 4, effects, 3.2, -1.1, "logit(Mary)",
        tokens=corrupt, source_tokens=clean, skipped=9, seconds=0.25,
        params={"id": f"sweep-{what.replace(' ', '')}", "partial": missing > 0}, **more,
    )  # fmt: skip
    return analysis_for(wish, sweep)


def stream(session, **more):
    return made(session, "resid_pre", ("layer", "position"), (LAYERS, TOKENS), **more)


@pytest.fixture
def panel(bench, qtbot):
    """The panel in front, with a sweep of the stream in the session."""
    workspace, words = bench.desk.workspace, {"answer_id": 2, "wrong_id": 4}
    workspace.change("metric", metric={**workspace.session.metric, **words})
    workspace.add_analysis(stream(workspace.session))
    dock = bench.window.docks["patching"]
    dock.show()
    dock.raise_()
    bench.window.resizeDocks([dock], [620], Qt.Orientation.Vertical)  # nothing behind a scroll bar
    asking = bench.furnishing.panels["patching"].asking
    asking._folded = None
    asking.controls.show_wish(Wish(workspace.session.question))  # whatever was asked before
    rest(bench, qtbot)
    bench.desk.notices.history.clear()  # the sample's model is not in the model thread
    return bench.furnishing.panels["patching"]


def rest(bench, qtbot):
    bench.runner.turns.finish()
    qtbot.waitUntil(lambda: bench.runner.idle and not bench.updating, timeout=WAIT)
    bench.runner.turns.finish()
    QApplication.processEvents()


def centre(panel, row, column):
    return panel.map.cell_centre(row, column).toPoint()


def click(panel, row, column):
    QTest.mouseClick(panel.map.plot.viewport(), LEFT, pos=centre(panel, row, column))


def drag(panel, start, end):
    viewport = panel.map.plot.viewport()
    QTest.mousePress(viewport, LEFT, pos=centre(panel, *start))
    QTest.mouseMove(viewport, centre(panel, *end) - QPoint(2, 2))
    QTest.mouseMove(viewport, centre(panel, *end))
    QTest.mouseRelease(viewport, LEFT, pos=centre(panel, *end))


def edits(bench):
    return bench.desk.book.marks.edits


def test_a_click_selects_layer_and_position_and_the_selection_frames_a_cell(bench, panel):
    click(panel, 2, 9)
    selected = bench.desk.selection.current
    assert (selected.layer, selected.position) == (2, 9)
    assert panel.map.cells == ((2, 9),)
    value = panel.map.grid.values[2, 9]
    assert f"effect {value:.3g}" in panel.map.caption.text()
    bench.desk.selection.update(layer=1, position=3, head=None)
    bench.runner.turns.finish()
    assert panel.map.cells == ((1, 3),)


def test_arrows_move_the_cell_and_with_shift_stretch_a_region(bench, panel):
    click(panel, 1, 4)
    assert panel.map.hasFocus()
    for key in (Qt.Key.Key_Right, Qt.Key.Key_Up, Qt.Key.Key_Left, Qt.Key.Key_Down):
        QTest.keyClick(panel.map, key)
        bench.runner.turns.finish()
    assert panel.map.cells == ((1, 4),)
    QTest.keyClick(panel.map, Qt.Key.Key_Right, SHIFT)
    QTest.keyClick(panel.map, Qt.Key.Key_Up, SHIFT)
    bench.runner.turns.finish()
    assert panel.map.cells == ((1, 4), (1, 5), (2, 4), (2, 5))
    selected = bench.desk.selection.current
    assert (selected.layer, selected.position) == (2, 5)
    assert panel.map.caption.text().startswith("4 cells")


def test_a_double_click_makes_an_edit_that_can_be_undone(bench, panel, qtbot):
    corrupt = bench.desk.workspace.session.question.corrupt
    QTest.mouseDClick(panel.map.plot.viewport(), LEFT, pos=centre(panel, 3, 10))
    rest(bench, qtbot)
    assert edits(bench) == (EditSpec("resid_pre.3", "patch", positions=(10,), prompts=(corrupt,)),)
    bench.window.actions_table.trigger(CommandId.UNDO)
    assert edits(bench) == ()


def test_a_dragged_region_becomes_edits_by_the_keyboard(bench, panel, qtbot):
    drag(panel, (1, 8), (2, 10))
    assert len(panel.map.cells) == 6
    QTest.keyClick(panel.map, Qt.Key.Key_Return)
    rest(bench, qtbot)
    assert [edit.site for edit in edits(bench)] == ["resid_pre.1", "resid_pre.2"]
    assert {edit.positions for edit in edits(bench)} == {(8, 9, 10)}


def test_the_button_makes_edits_of_heads_or_says_what_is_missing(bench, panel, qtbot):
    session = bench.desk.workspace.session
    bench.desk.workspace.add_analysis(made(session, "z", ("layer", "head"), (LAYERS, HEADS)))
    rest(bench, qtbot)
    panel.shown.setCurrentIndex(panel.shown.count() - 1)
    panel.shown.activated.emit(panel.shown.currentIndex())
    panel.map.choose(None)
    bench.desk.selection.clear()
    rest(bench, qtbot)
    QTest.mouseClick(panel.edit_button, LEFT)
    assert "Click a cell first" in bench.desk.notices.history[-1].as_text
    click(panel, 2, 1)
    selected = bench.desk.selection.current
    assert (selected.layer, selected.head) == (2, 1)
    QTest.mouseClick(panel.edit_button, LEFT)
    assert [edit.site for edit in edits(bench)] == ["z.2.1"]
    assert edits(bench)[0].positions is None


def test_all_of_a_sweep_is_in_view_at_the_usual_size_of_the_window(bench, panel, qtbot):
    bench.window.resize(1760, 1080)
    bench.window.reset_layout()
    bench.window.docks["patching"].raise_()
    rest(bench, qtbot)
    assert panel.edit_button.visibleRegion().boundingRect() == panel.edit_button.rect()
    assert panel.map.visibleRegion().boundingRect() == panel.map.rect()
    heights = [panel.map.cell_centre(row, 0).y() for row in range(LAYERS)]
    assert min(-np.diff(heights)) > 15  # every layer has its name


def test_on_a_low_screen_nothing_is_cut_and_nothing_scrolls(bench, panel, qtbot):
    edits, window, docks = bench.furnishing.panels["edits"], bench.window, bench.window.docks
    window.resize(1366, 768)
    window.reset_layout()
    docks["patching"].raise_()
    docks["edits"].raise_()
    try:
        rest(bench, qtbot)
        for part in (panel, panel.map, panel.prompts, panel.edit_button, panel.told, edits):
            assert part.visibleRegion().boundingRect() == part.rect(), part
        QTest.mouseClick(panel.asking.fold, LEFT)  # the settings take the place of the map
        rest(bench, qtbot)
        for part in (panel, panel.asking.controls, panel.asking.run_button):
            assert part.visibleRegion().boundingRect() == part.rect(), part
        assert panel.map.isHidden()
        QTest.mouseClick(panel.asking.fold, LEFT)
        assert not panel.map.isHidden()
        assert edits.pages.tabText(0) == "List"
        edits.pages.setCurrentWidget(edits.writing)
        rest(bench, qtbot)
        button = edits.writing.button
        assert button.visibleRegion().boundingRect() == button.rect()
        bars = [bar for bar in window.findChildren(QTabBar) if bar.isVisible()]
        for bar in bars:  # every tab can be read, or is listed at the end of them
            if bar is window.centre.tabs and window.centre.all_cards.isVisible():
                continue
            assert sum(bar.tabRect(at).width() for at in range(bar.count())) <= bar.width()
    finally:
        window.resize(1760, 1080)
        window.reset_layout()
        docks["edits"].raise_()
        rest(bench, qtbot)
    edits.pages.setCurrentWidget(edits.effect)
    assert edits.parts.indexOf(edits.list) == 0  # above what the edits do, where there is room
    assert edits.pages.count() == 3


def test_a_right_click_on_a_cell_or_a_region_offers_edits_of_its_places(bench, panel, qtbot):
    menu = right_click(bench, panel, 2, 9)
    assert "resid_pre.2 at “" in menu.title()
    choose(menu, "Patch from the corrupt prompt")
    (edit,) = edits(bench)
    assert (edit.site, edit.action, edit.positions) == ("resid_pre.2", "patch", (9,))
    drag(panel, (1, 8), (2, 10))
    choose(right_click(bench, panel, 2, 9), "Ablate to zero")
    made = [(edit.site, edit.action, edit.positions) for edit in edits(bench)[1:]]
    assert made == [(f"resid_pre.{layer}", "zero", (8, 9, 10)) for layer in (1, 2)]


def right_click(bench, panel, row, column):
    QTest.mouseClick(
        panel.map.plot.viewport(), Qt.MouseButton.RightButton, pos=centre(panel, row, column)
    )
    QApplication.processEvents()
    (menu,) = (m for m in panel.findChildren(QMenu, "edit_menu") if m.isVisible())
    return menu


def choose(menu, text):
    (action,) = (one for one in menu.actions() if one.text().startswith(text))
    assert action.isEnabled(), action.toolTip()
    QTest.mouseClick(menu, LEFT, pos=menu.actionGeometry(action).center())


def colour_at(panel, row, column):
    """The colours around the middle of a cell."""
    image = panel.map.plot.viewport().grab().toImage()
    middle = centre(panel, row, column)
    return {
        QColor(image.pixel(middle.x() + x, middle.y() + y)).name()
        for x in range(-6, 7) for y in range(-6, 7)
    }  # fmt: skip


def test_cells_that_are_not_there_yet_look_unlike_zero(bench, panel, qtbot):
    session = bench.desk.workspace.session
    part = stream(session, missing=TOKENS)
    values = part.arrays["effects"].values
    values[1, 4] = 0.0
    bench.desk.workspace.add_analysis(part)
    rest(bench, qtbot)
    zero, missing = colour_at(panel, 1, 4), colour_at(panel, 3, 4)
    assert len(zero) == 1  # the card's own colour
    assert len(missing) > 1  # hatched
    assert "45 of 60 cells" in panel.told.text()
    assert "not finished" in panel.shown.itemText(0)


def test_what_is_under_the_cursor_is_said_and_the_token_is_marked_elsewhere(bench, panel):
    QTest.mouseMove(panel.map.plot.viewport(), centre(panel, 0, 6) + QPoint(2, 1))
    QTest.mouseMove(panel.map.plot.viewport(), centre(panel, 0, 6))
    assert panel.map.caption.text() == panel.map.grid.describe(0, 6)
    assert "L0 · 6 to" in panel.map.caption.text()
    assert bench.desk.selection.current.hovered_position == 6


def test_the_prompts_stand_above_their_columns(panel):
    prompts = panel.prompts
    assert prompts.isVisible()
    left = panel.map.plot.viewport().mapTo(panel, centre(panel, 0, 10)).x()
    assert prompts.x() + panel.map.column_middle(10) == pytest.approx(left, abs=1.5)
    image = prompts.grab().toImage()
    row = [QColor(image.pixel(x, image.height() // 4)).name() for x in range(image.width())]
    assert row[round(panel.map.column_middle(10))] != row[round(panel.map.column_middle(2))]


def test_heads_by_position_are_shown_all_or_a_layer_at_a_time(bench, panel, qtbot):
    session = bench.desk.workspace.session
    shape = (LAYERS, HEADS, TOKENS)
    bench.desk.workspace.add_analysis(made(session, "z at", ("layer", "head", "position"), shape))
    rest(bench, qtbot)
    panel.shown.setCurrentIndex(panel.shown.count() - 1)
    panel.shown.activated.emit(panel.shown.currentIndex())
    assert len(panel.map.grid.rows) == LAYERS * HEADS
    assert panel.heads.isVisible()
    panel.heads.setCurrentText("Layer 2")
    panel.heads.activated.emit(panel.heads.currentIndex())
    assert panel.map.grid.rows == ("L2H0", "L2H1", "L2H2", "L2H3")
    click(panel, 3, 7)
    selected = bench.desk.selection.current
    assert (selected.layer, selected.head, selected.position) == (2, 3, 7)
    assert panel.asking.controls.row.name == "z at"


def test_a_file_opens_for_review_with_its_sweeps(bench, panel, qtbot, tmp_path):
    session = bench.desk.workspace.session
    bench.desk.workspace.add_analysis(made(session, "z", ("layer", "head"), (LAYERS, HEADS)))
    rest(bench, qtbot)
    panel.shown.setCurrentIndex(0)
    panel.shown.activated.emit(0)
    held, _ = bench.handlers.to_save(tmp_path / "x.h5")
    before, table = panel.map.grid.values, panel.exported_table()().text()
    file = save_session(tmp_path / "sweeps.h5", replace(held, uuid="reviewed"))
    bench.desk.workspace.set_model(None)
    bench.runner.ask(OpenSession(file))
    qtbot.waitUntil(lambda: bench.desk.workspace.path == file, timeout=WAIT)
    rest(bench, qtbot)
    assert panel.shown.count() == len(sweeps_in(bench.desk.workspace.session)) == 2
    np.testing.assert_array_equal(panel.map.grid.values, before)
    assert panel.exported_table()().text() == table
    assert not panel.asking.run_button.isEnabled()
    assert "Needs the model words-4l" in panel.asking.estimate.text()
    assert not panel.edit_button.isEnabled()
    assert "Needs the model words-4l" in panel.edit_button.toolTip()
    assert "mt.patching_sweep(" in "\n".join(panel.exported_lines())


def test_a_file_with_a_sweep_and_no_circuit_opens_on_its_sweep(bench, panel, qtbot, tmp_path):
    held, _ = bench.handlers.to_save(tmp_path / "x.h5")
    file = save_session(tmp_path / "sweep.h5", replace(held, uuid="bare", circuit=None))
    bench.window.docks["heatmap"].raise_()
    bench.desk.workspace.set_model(None)
    bench.runner.ask(OpenSession(file))
    qtbot.waitUntil(lambda: bench.desk.workspace.path == file, timeout=WAIT)
    rest(bench, qtbot)
    assert panel.map.isVisible()
    strip = bench.furnishing.panels["token_strip"]
    assert strip.explanation.text().startswith("This session holds no circuit")
    bench.desk.workspace.set_model(held.model)
    rest(bench, qtbot)
    assert strip.explanation.text().startswith("No circuit yet")


def test_the_estimate_stands_before_the_start_and_a_problem_blocks_it(bench, panel):
    asking, prepared = panel.asking, bench.desk.workspace.prepared
    controls = asking.controls
    controls.what.setCurrentIndex(1)
    prepared.put(foreseen_key(controls.wish()), Foreseen(60, 44, 0.3, 2_000_000))
    assert asking.estimate.text() == "60 cells, 44 of them change nothing · about 0.3 s · 2.0 MB"
    assert asking.run_button.isEnabled()
    controls.budget.setValue(1)
    prepared.put(
        foreseen_key(controls.wish()), Foreseen(problem="One cell needs 3 MB.", unequal=False)
    )
    assert asking.estimate.text() == "One cell needs 3 MB."
    assert not asking.run_button.isEnabled()
    assert not controls.align.isVisible()
    controls.budget.setValue(2)
    prepared.put(foreseen_key(controls.wish()), Foreseen(problem="14 and 15.", unequal=True))
    asking._on_fold(True)
    assert controls.align.isVisible()
    controls.align.setChecked(True)
    assert controls.wish().align
    controls.align.setChecked(False)
