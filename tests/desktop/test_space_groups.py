"""Groups of points: caught by mouse, named, coloured, seen everywhere, and undone."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from microtome.records.marks import PointGroup
from microtome_desktop import palette
from microtome_desktop.commands.command import CommandId
from microtome_desktop.presenters.point_groups import (
    Pick,
    changed,
    colour_of,
    rows_in,
    token_colours,
)
from microtome_desktop.presenters.space import space
from microtome_desktop.presenters.space_colours import ColourBy, rgba
from microtome_desktop.state.selection import Selection
from microtome_desktop.state.workspace import Workspace
from microtome_desktop.views import feature_space_panel
from microtome_desktop.views.feature_space_panel import FeatureSpacePanel
from microtome_desktop.views.panel import PanelContext
from microtome_desktop.views.space_flat import FlatSpace
from microtome_desktop.views.space_groups import GroupMenu
from microtome_desktop.views.space_picking import Tool

LEFT = Qt.MouseButton.LeftButton
TIP = "qtooltip_label"
NO, SHIFT, ALT = (
    Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ShiftModifier,
    Qt.KeyboardModifier.AltModifier,
)  # fmt: skip


def placed(session, site="resid_post.2", sign=1):
    """The session's projection as a run leaves it: its first prompt is the one that was run."""
    analysis = next(a for a in session.analyses.values() if a.kind == "projection")
    prompts = analysis.arrays["point_prompt"].values[...] - 1
    points = sign * analysis.arrays["points"].values[...]
    arrays = {
        **analysis.arrays,
        "point_prompt": replace(analysis.arrays["point_prompt"], values=prompts),
        "points": replace(analysis.arrays["points"], values=points),
    }
    params = {**analysis.params, "site": site, "prompts": [f"prompt {n}" for n in range(30)]}
    return replace(
        analysis, id=f"projection/{site}", arrays=MappingProxyType(arrays), params=params
    )


@pytest.fixture
def panel(bench):
    found = bench.furnishing.panels["feature_space"]
    bench.desk.workspace.add_analysis(placed(bench.desk.workspace.session))
    found.active.choose("resid_post.2")
    bench.runner.turns.finish()
    assert own(found.drawing).size
    yield found
    found.grid.use_tool(Tool.TURN)
    while len(found.panes) > 1:
        found.grid.close_pane(found.panes[-1])


def settle(bench):
    bench.runner.turns.finish()


def drag(surface, corners, modifier=NO, *, release=True):
    QTest.mousePress(surface, LEFT, modifier, corners[0])
    for corner in corners[1:]:
        QTest.mouseMove(surface, corner)
    if release:
        QTest.mouseRelease(surface, LEFT, modifier, corners[-1])


def around(panel, rows, room=3):
    """The corners of a box around some points, and the points that lie in it."""
    places = panel.view.screen_places()
    low, high = places[rows].min(axis=0) - room, places[rows].max(axis=0) + room
    left, top = np.maximum(np.round(low), 1).astype(int).tolist()
    right, bottom = np.round(high).astype(int).tolist()
    inside = (places >= (left, top)) & (places < (right, bottom))
    return [QPoint(left, top), QPoint(right, bottom)], np.flatnonzero(inside.all(axis=1))


def own(drawing):
    return np.flatnonzero(drawing.prompts < 0)


def members(drawing, rows):
    return {(int(drawing.prompts[r]), int(drawing.positions[r])) for r in rows}


def name_it(panel, name):
    field = panel.grouping.naming
    assert field.isVisible()
    field.clear()
    QTest.keyClicks(field, name)
    QTest.keyClick(field, Qt.Key.Key_Return)


def boxed(bench, panel, rows, name="names"):
    """A group of what a box around some points catches."""
    panel.bar.tools[Tool.BOX].click()
    corners, inside = around(panel, rows)
    drag(panel.view.surface(), corners)
    name_it(panel, name)
    settle(bench)
    return inside


def test_a_lasso_makes_a_group_that_all_views_show_and_undo_takes_back(bench, panel):
    marks, drawing = bench.desk.workspace.session.marks, panel.drawing
    assert marks.point_groups == ()
    bench.window.actions_table.trigger(CommandId.LASSO)
    surface = panel.view.surface()
    edge = surface.rect().adjusted(2, 2, -3, -3)
    drag(surface, [edge.topLeft(), edge.topRight(), edge.bottomRight(), edge.bottomLeft()])
    name_it(panel, "all of it")
    settle(bench)
    (group,) = bench.desk.book.marks.point_groups
    assert group.name == "all of it"
    places = panel.view.screen_places()
    seen = (places > (2, 2)) & (places < (surface.width() - 3, surface.height() - 3))
    assert set(group.points) == members(drawing, np.flatnonzero(seen.all(axis=1)))
    inside = {position for prompt, position in group.points if prompt == -1}
    assert inside  # tokens of the run are among the points
    colour, panels = colour_of(group), bench.furnishing.panels
    chips = panels["token_strip"].chips._rows[0]
    assert {n for n, chip in enumerate(chips) if chip.group == colour} == inside
    assert "“all of it”" in chips[min(inside)].tip
    assert set(panels["circuit"].canvas.token_axis._groups) == inside
    for name, axes in (("heatmap", ["bottom"]), ("attention", ["bottom", "left"]),
                       ("neurons", ["bottom"])):  # fmt: skip
        for axis in axes:
            assert set(panels[name].map._axes[axis].groups) == inside
    bench.window.actions_table.trigger(CommandId.UNDO)
    settle(bench)
    assert bench.desk.book.marks.point_groups == ()
    assert not any(chip.group for chip in panels["token_strip"].chips._rows[0])
    bench.window.actions_table.trigger(CommandId.REDO)
    settle(bench)
    assert bench.desk.book.marks.point_groups == (group,)


def test_the_bar_of_a_group_lies_beside_its_column(bench, panel):
    boxed(bench, panel, own(panel.drawing))
    heat = bench.furnishing.panels["heatmap"].map
    axis = heat._axes["bottom"]
    for position in axis.groups:
        bar = axis.mapRectToScene(axis.group_bar(position))
        centre = heat.plot.mapToScene(heat.cell_centre(0, position).toPoint())
        assert bar.left() <= centre.x() <= bar.right()
        assert bar.width() > 2


def test_shift_adds_alt_takes_away_and_escape_drops(bench, panel):
    drawing, surface = panel.drawing, panel.view.surface()
    first = boxed(bench, panel, own(drawing)[:1])
    corners, more = around(panel, np.arange(len(drawing.points))[:40])
    drag(surface, corners, SHIFT)
    settle(bench)
    both = members(drawing, first) | members(drawing, more)
    assert set(bench.desk.book.marks.point_groups[0].points) == both
    corners, less = around(panel, first)
    drag(surface, corners, ALT)
    settle(bench)
    left = both - members(drawing, less)
    groups = bench.desk.book.marks.point_groups
    assert (set(groups[0].points) if groups else set()) == left
    drag(surface, corners, release=False)
    assert panel.active.pick.outline.isVisible()
    QTest.keyClick(surface, Qt.Key.Key_Escape)
    assert not panel.active.pick.outline.isVisible()
    QTest.mouseRelease(surface, LEFT, NO, corners[-1])
    assert not panel.grouping.naming.isVisible()
    assert panel.grid.tool is Tool.BOX
    QTest.keyClick(surface, Qt.Key.Key_Escape)
    assert panel.grid.tool is Tool.TURN
    assert not panel.bar.tools[Tool.BOX].isChecked()


def test_a_name_that_is_dropped_leaves_no_group(bench, panel):
    before = panel.drawing.colours
    panel.bar.tools[Tool.BOX].click()
    corners, _ = around(panel, own(panel.drawing))
    drag(panel.view.surface(), corners)
    QTest.keyClick(panel.grouping.naming, Qt.Key.Key_Escape)
    settle(bench)
    assert bench.desk.book.marks.point_groups == ()
    if hasattr(panel.view, "_colours"):
        assert np.array_equal(panel.view._colours, before)


def test_the_list_names_counts_rings_renames_colours_and_deletes(bench, panel):
    boxed(bench, panel, own(panel.drawing))
    (row,), book = panel.grouping.list.rows, bench.desk.book
    table = panel.exported_table()()
    at = [table.headers.index(name) for name in ("prompt", "position", "group")]
    listed = {row[at[0] : at[1] + 1] for row in table.rows if row[at[2]] == "names"}
    assert listed == set(book.marks.point_groups[0].points)
    assert row.text() == f"names  {len(book.marks.point_groups[0].points)}"
    QTest.mouseClick(row, LEFT)
    (row,) = panel.grouping.list.rows
    assert row.isChecked()
    assert panel.grouping.ringed.name == "names"
    QTest.keyClick(row, Qt.Key.Key_F2)
    name_it(panel, "people")
    settle(bench)
    assert book.marks.point_groups[0].name == "people"
    menu = GroupMenu(panel.grouping.acts, book.marks.point_groups[0], lambda _: None, panel)
    next(action for action in menu.actions() if action.text() == "Cyan").trigger()
    menu.deleteLater()
    settle(bench)
    assert colour_of(book.marks.point_groups[0]) == palette.POINT_GROUPS[2]
    assert book.undo_title == "Colour of “people”"
    QTest.keyClick(panel.grouping.list.rows[0], Qt.Key.Key_Delete)
    settle(bench)
    assert book.marks.point_groups == ()
    assert not panel.grouping.list.isVisible()


def test_points_keep_their_colour_at_other_sites_of_the_same_prompts(sample_session):
    here = placed(sample_session)
    prompts = here.params["prompts"]
    same = replace(here, params={**here.params, "site": "mlp_out.1", "prompts": prompts[:12]})
    other = replace(here, params={**here.params, "prompts": prompts[::-1]})
    drawing = space(here, ColourBy.TASK)
    of_set = np.flatnonzero(drawing.prompts >= 0)[:5]
    rows = np.concatenate([of_set, own(drawing)[:2]])
    points = tuple(sorted(members(drawing, rows)))
    group = PointGroup("g", 0, points, drawing.of)
    expected = sorted(
        row for row in range(len(drawing.points)) if members(drawing, [row]) <= set(points)
    )
    assert sorted(rows_in(space(same, None), group)) == expected
    elsewhere = space(other, None)
    assert {int(elsewhere.prompts[row]) for row in rows_in(elsewhere, group)} == {-1}
    assert changed(group, points[:3], Pick.REMOVE).points == points[3:]


def test_a_token_of_two_groups_has_the_colour_of_the_later_one(bench, panel):
    groups = PointGroup("a", 0, ((-1, 1), (-1, 2))), PointGroup("b", 3, ((-1, 2), (4, 0)))
    marks = replace(bench.desk.book.marks, point_groups=groups)
    assert token_colours(marks) == {1: palette.POINT_GROUPS[0], 2: palette.POINT_GROUPS[3]}


def test_groups_are_caught_in_the_flat_view_too(qtbot, sample_session, monkeypatch):
    monkeypatch.setattr(feature_space_panel, "opengl_problem", lambda: "it was switched off")
    workspace = Workspace()
    workspace.show(sample_session)
    workspace.add_analysis(placed(sample_session))
    panel = FeatureSpacePanel(PanelContext(workspace, Selection(), lambda _: None))
    panel.resize(700, 520)
    qtbot.addWidget(panel)
    panel.show()
    qtbot.waitExposed(panel)
    assert isinstance(panel.view, FlatSpace)
    panel.bar.tools[Tool.BOX].click()
    corners, inside = around(panel, own(panel.drawing))
    before = panel.view.camera()["range"]
    drag(panel.view.surface(), corners)
    assert panel.view.camera()["range"] == before  # the drag moved nothing
    name_it(panel, "flat")
    (group,) = workspace.session.marks.point_groups
    assert set(group.points) == members(panel.drawing, inside)
    QTest.keyClick(panel.view.surface(), Qt.Key.Key_Escape)
    assert panel.grid.tool is Tool.TURN


def test_sites_side_by_side_turn_together_and_share_groups(bench, panel):
    bench.desk.workspace.add_analysis(placed(bench.desk.workspace.session, "mlp_out.1", -1))
    settle(bench)
    QTest.mouseClick(panel.bar.beside, LEFT)
    settle(bench)
    one, two = panel.panes
    for pane in panel.panes:
        pane.view.surface().grab()
    assert {pane.name for pane in panel.panes} == {one.name, "mlp_out.1"}
    assert panel.active is two
    settle(bench)
    turn = [two.view.surface().rect().center() + QPoint(9 * n, 4 * n) for n in range(6)]
    drag(two.view.surface(), turn)
    bench.window.repaint()
    QTest.qWait(0)
    assert one.view.camera() == two.view.camera()
    QTest.mouseClick(panel.bar.linked, LEFT)
    held = one.view.camera()
    drag(two.view.surface(), turn)
    QTest.qWait(0)
    assert one.view.camera() == held != two.view.camera()
    QTest.mouseClick(panel.bar.linked, LEFT)
    boxed(bench, panel, own(two.drawing), "both")
    (group,) = bench.desk.book.marks.point_groups
    for pane in panel.panes:
        rows = rows_in(pane.drawing, group)
        assert np.array_equal(
            panel.tints(pane.drawing)[rows[0]], np.float32(rgba(colour_of(group)))
        )
    state = panel.view_state()
    QTest.mouseClick(one.close_button, LEFT)
    assert panel.panes == [two]
    panel.restore_view(state)
    assert [pane.name for pane in panel.panes] == state["sites"]
    assert panel.active.name == state["site"]


def test_keys_make_a_group_of_one_colour_and_change_it(bench, panel, qtbot):
    bench.window.show_panel("feature_space")
    surface, drawing = panel.view.surface(), panel.drawing
    surface.setFocus()
    QTest.keyClick(surface, Qt.Key.Key_Home)
    row = panel.active.keys.row
    QTest.keyClick(surface, Qt.Key.Key_G)
    name_it(panel, "alike")
    settle(bench)
    (group,) = bench.desk.book.marks.point_groups
    mine = [n for n, tint in enumerate(drawing.colours) if (tint == drawing.colours[row]).all()]
    assert set(group.points) == members(drawing, mine)
    assert 1 < len(group.points) < len(drawing.points)
    other = next(n for n in range(len(drawing.points)) if n not in mine)
    panel.active.keys.point_to(other)
    for modifier, wanted in ((SHIFT, {*mine, other}), (Qt.KeyboardModifier.ControlModifier, mine)):
        QTest.keyClick(surface, Qt.Key.Key_Return, modifier)
        settle(bench)
        assert set(bench.desk.book.marks.point_groups[0].points) == members(drawing, wanted)
    QTest.keyClick(surface, Qt.Key.Key_Escape)
    panel.grouping.acts.delete("alike")
    settle(bench)
    tips = lambda: [w for w in QApplication.topLevelWidgets() if w.objectName() == TIP]  # noqa: E731
    qtbot.waitUntil(lambda: not tips())
