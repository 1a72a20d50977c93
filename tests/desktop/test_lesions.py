"""The tab Lesions in a real window: from the lesson to a double dissociation, and by task."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QTabBar

from microtome.records.lesion import Chosen, Lesion, lesion_analysis, lesion_of
from microtome.records.made import Made
from microtome.records.units import Unit
from microtome.session.reader import open_session
from microtome.session.writer import save_session
from microtome_desktop.commands.command import CommandId
from microtome_desktop.presenters.lesions import NO_LESION, OTHER, rows_of, said_of
from microtome_desktop.state.lesions import LesionWish, beside, lesions_in
from microtome_desktop.views.lesion_plots import DosePlot

WAIT = 60_000
LEFT = Qt.MouseButton.LeftButton


def rest(bench, qtbot):
    bench.runner.turns.finish()
    qtbot.waitUntil(lambda: bench.runner.idle and not bench.updating, timeout=WAIT)
    bench.runner.turns.finish()
    QApplication.processEvents()


def front(bench, qtbot):
    bench.window.show_panel("lesions")
    rest(bench, qtbot)
    return bench.furnishing.panels["lesions"]


def press_tab(window, title):
    for bar in window.findChildren(QTabBar):
        for at in range(bar.count()):
            if bar.isVisible() and bar.tabText(at) == title:
                QTest.mouseClick(bar, LEFT, pos=bar.tabRect(at).center())
                return
    raise LookupError(title)


def held_lesion(units=("z.1/2", "z.0/3")):
    """Two tasks of four cases; the first is lost."""
    right = np.ones((2, 2, 8), dtype=np.bool_)
    right[1, :, :4] = False
    before, after = np.ones((2, 3)), np.array([[0.5, 0.0, 1.0], [0.5, 0.0, 1.0]])
    curve = np.stack([before, (before + after) / 2, after], axis=1)
    control = np.stack([np.repeat(before[:, None], 3, 1), curve * 0.5 + 0.5])
    bands = np.clip(np.stack([np.stack([s - 0.1, s + 0.1], 2) for s in (before, after)]), 0, 1)
    confusion = np.array([[[4, 0, 0], [4, 0, 0]], [[0, 4, 0], [4, 0, 0]]])
    said = np.array([[0] * 8, [1] * 4 + [0] * 4])
    return Lesion(
        Chosen(tuple(map(Unit.parse, units)), (0.75, float("nan")), "needed for name"),
        ("all", "name", "fact"), ("all", "task", "task"), np.array([8, 4, 4]), ("top", "above"),
        before, after, bands, np.array([0, 1, 2]), curve, control, ("name", "fact"),
        ("answer", "wrong answer", "something else"), confusion, np.array([0] * 4 + [1] * 4), said,
        right, {"id": "lesion-1", "how": "zero", "amount": 0.0, "title": "2 tasks", "units":
                list(units), "tasks": ["name", "fact"], "set": "name, fact", "controls": 2,
                "seed": 0, "complete": True},
    )  # fmt: skip


def the_other_alone(live, qtbot, panel):
    """The other lesion in front has the first beside it; alone it is asked for without one."""
    desk, table = live.desk, panel.result.table
    panel.held.setCurrentIndex(1)
    panel.held.activated.emit(1)
    assert table.horizontalHeaderItem(OTHER).text() == "face"
    panel.form.target.setCurrentText("texture")
    panel.form.count.setValue(9)
    panel.form.beside.setCurrentIndex(0)
    assert not panel.form.beside_count.isVisible()
    QTest.mouseClick(panel.run, LEFT)
    rest(live, qtbot)
    assert len(lesions_in(desk.workspace.session)) == 3
    again = lesion_of(lesions_in(desk.workspace.session)[0])
    assert dict(zip(again.groups, again.after[0], strict=True))["texture"] <= 0.2


def test_three_clicks_from_the_window_as_it_opens_lead_to_a_double_dissociation(live, qtbot):
    desk, lessons = live.desk, live.furnishing.panels["lessons"]
    press_tab(live.window, "Lessons")
    QTest.mouseClick(lessons.starts["lesion"], LEFT)
    panel = live.furnishing.panels["lesions"]
    qtbot.waitUntil(lambda: panel.run.isVisible() and panel.run.isEnabled(), timeout=WAIT)
    qtbot.waitUntil(lambda: panel.form.offered is not None and panel.form.offered.sees,
                    timeout=WAIT)  # fmt: skip
    rest(live, qtbot)
    assert desk.workspace.session.clean.image is not None
    QTest.mouseClick(panel.run, LEFT)
    rest(live, qtbot)
    analysis, textures = lesions_in(desk.workspace.session)
    found, other = lesion_of(analysis), lesion_of(textures)
    after = dict(zip(found.groups, found.after[0], strict=True))
    assert len(found.units) == 12
    assert after["face"] <= 0.4
    assert after["object"] >= 0.98
    assert (desk.course.lesson.id, desk.course.place) == ("lesion", 1)
    assert "face from 100% to 33%" in panel.result.said.text()
    table = panel.result.table
    texts = [table.item(1, column).text() for column in range(4)]
    assert texts == ["face", "120", "100%", "33.3%"]
    assert table.horizontalHeaderItem(OTHER).text() == "texture"
    beside = dict(zip(other.groups, other.after[0], strict=True))
    assert len(other.units) == 10
    assert beside["texture"] <= 0.2
    assert beside["face"] >= 0.97
    shown = [table.item(row, OTHER).text() for row in range(table.rowCount())]
    assert not table.isColumnHidden(OTHER)
    assert [shown[found.groups.index(name)] for name in ("face", "texture")] == ["100%", "3.8%"]
    exec("\n".join(panel.exported_lines()), lines := {})  # noqa: S102  it is what is tested
    np.testing.assert_allclose(lines["values"], found.after[0])
    units = panel.result.units
    place = units.visualItemRect(units.item(0, 0)).center()
    QTest.mouseClick(units.viewport(), LEFT, pos=place)
    assert desk.selection.current.unit == str(found.units[0])
    the_other_alone(live, qtbot, panel)
    desk.course.leave()
    live.window.show_panel("circuit")


def test_units_are_chosen_by_hand_in_other_views_and_undone(bench, qtbot):
    panel, desk = front(bench, qtbot), bench.desk
    head = next(n for n in desk.workspace.session.circuit.node_id if n.startswith("L0H"))
    desk.selection.update(node=head)
    bench.window.actions_table.trigger(CommandId.ADD_TO_LESION)
    added = f"z.0/{head.partition('H')[2].partition('@')[0]}"
    assert desk.book.marks.lesion == (added,)
    assert panel.form.kind == "hand"
    assert panel.form.units.text() == added
    panel.form.units.setFocus()
    panel.form.units.clear()
    QTest.keyClicks(panel.form.units, "z.1/2, nothing")
    QTest.keyClick(panel.form.units, Qt.Key.Key_Return)
    assert "'nothing' is no unit" in panel.problem.text()
    assert desk.book.marks.lesion == (added,)
    panel.form.units.selectAll()
    QTest.keyClicks(panel.form.units, "z.1/2 z.0/3")
    QTest.keyClick(panel.form.units, Qt.Key.Key_Return)
    assert desk.book.marks.lesion == ("z.1/2", "z.0/3")
    bench.runner.turns.finish()
    desk.book.undo()
    rest(bench, qtbot)
    assert desk.book.marks.lesion == (added,)
    assert panel.form.units.text() == added
    QTest.mouseClick(panel.form.clear, LEFT)
    assert desk.book.marks.lesion == ()
    bench.window.actions_table.trigger(CommandId.LESION)
    assert any("No unit is chosen" in n.as_text for n in desk.notices.history)


def test_a_lesion_is_reviewed_from_a_file_without_the_model(bench, qtbot, tmp_path):
    panel = front(bench, qtbot)
    assert panel.exported_table() == NO_LESION
    assert panel.empty.isVisible()
    desk = bench.desk
    desk.book.mark("Choose", lesion=("z.1/2",))
    desk.workspace.add_analysis(lesion_analysis(held_lesion()))
    rest(bench, qtbot)
    before = panel.exported_table()().text()
    path = tmp_path / "lesion.h5"
    save_session(path, desk.workspace.session)
    desk.workspace.set_model(None)
    desk.workspace.show(open_session(path))
    rest(bench, qtbot)
    assert panel.exported_table()().text() == before
    assert desk.book.marks.lesion == ("z.1/2",)
    assert not panel.run.isVisible()
    assert "New ones need its model, words-4l" in panel.needs.text()
    assert panel.needs.isVisible()
    result = panel.result
    assert "name from 100% to 0% (random units: 75%)" in result.said.text()
    result.table.selectRow(2)
    assert "fact" in result.dose.getPlotItem().titleLabel.text
    matrix = result.matrix
    place = matrix.cell(0, 1).center()
    assert matrix.told(place) == "name: 4 of 4 said to be wrong answer"
    result.side.setCurrentIndex(1)
    result.side.activated.emit(1)
    assert matrix.told(place) == "name: 0 of 4 said to be wrong answer"
    QTest.mouseClick(result.units.viewport(), LEFT, pos=QPoint(10, 8))
    assert (desk.selection.current.layer, desk.selection.current.head) == (1, 2)


def test_the_name_of_a_group_is_no_markup_above_its_curve(qtbot):
    name = "<b>name</b>"
    plot = DosePlot()
    qtbot.addWidget(plot)
    plot.show_group(replace(held_lesion(), groups=("all", name, "fact")), 0, 1)
    assert plot.plotItem.titleLabel.item.toPlainText().startswith(f"{name} by units changed")


def test_words_and_colours_tell_what_is_beyond_random_lesions():
    found = held_lesion()
    assert said_of(found, 0).endswith("name from 100% to 0% (random units: 75%) · fact stay")
    cells = rows_of(found, 0)[1]
    assert [cell.text for cell in cells] == ["name", "4", "100%", "0%", "-100%", "75.0%"]
    assert "95 %" in cells[2].tip
    assert "random lesions" in cells[5].tip


@pytest.mark.parametrize("held", [None, {"by": "luck"}, {"units": [3]}, {"count": "two"}])
def test_a_wish_that_is_none_is_not_taken(held):
    assert LesionWish.of(held) is None
    wish = LesionWish("hand", units=("z.0/1",), how="add", amount=2.0)
    assert LesionWish.of(wish.told()) == wish


def test_only_lesions_that_were_made_alike_are_beside_one_another():
    made = Made("net", "1" * 64, dtype="float32")
    one = replace(lesion_analysis(held_lesion()), id="one", made=made)
    for other, found in (
        (made, True), (replace(made, threads=9), True), (None, True),
        (replace(made, dtype="bfloat16"), False), (replace(made, fingerprint="2" * 64), False),
    ):  # fmt: skip
        second = replace(one, id="second", made=other)
        assert (beside(one, (one, second)) is second) == found
    one = replace(one, params={**one.params, "metric_kind": "LogitDifference"})
    for asked, found in (
        ({"units": ["z.0/1"]}, True), ({"seed": 1}, False), ({"edits": ["zero L0H0"]}, False),
        ({"metric_kind": "Probability"}, False),
    ):  # fmt: skip
        second = replace(one, id="second", params={**one.params, **asked})
        assert (beside(one, (one, second)) is second) == found
