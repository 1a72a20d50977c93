"""The feature space, flat and in 3-D: picking by mouse and keys, colours, the selection."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from acts import to_front
from PySide6.QtCore import QCoreApplication, QPoint, Qt
from PySide6.QtGui import QContextMenuEvent, QImage
from PySide6.QtOpenGLWidgets import QOpenGLWidget
from PySide6.QtTest import QTest

from microtome.records.analysis import Analysis, Labelled
from microtome_desktop import palette
from microtome_desktop.presenters.colour_maps import sequence_table
from microtome_desktop.presenters.space import colourings, nearest, space
from microtome_desktop.presenters.space_colours import ColourBy, rgba
from microtome_desktop.presenters.space_steps import further, toward
from microtome_desktop.state.selection import Selection
from microtome_desktop.state.workspace import Workspace
from microtome_desktop.views import feature_space_panel
from microtome_desktop.views.feature_space_panel import FeatureSpacePanel
from microtome_desktop.views.panel import PanelContext
from microtome_desktop.views.space_flat import FlatSpace


@pytest.fixture
def asked():
    return []


@pytest.fixture
def context(sample_session, asked):
    workspace = Workspace()
    workspace.show(sample_session)
    return PanelContext(workspace, Selection(), asked.append)


@pytest.fixture
def analysis(sample_session):
    return next(a for a in sample_session.analyses.values() if a.kind == "projection")


def shown(qtbot, context):
    panel = FeatureSpacePanel(context)
    panel.resize(700, 520)
    qtbot.addWidget(panel)
    panel.show()
    qtbot.waitExposed(panel)
    return panel


@pytest.fixture
def flat(monkeypatch):
    monkeypatch.setattr(feature_space_panel, "opengl_problem", lambda: "it was switched off")


def lonely_point(panel):
    """A point that no other point covers."""
    places = panel.view.screen_places()
    apart = np.linalg.norm(places[:, None] - places[None], axis=-1)
    np.fill_diagonal(apart, np.inf)
    point = int(apart.min(axis=1).argmax())
    return point, QPoint(*(round(v) for v in places[point]))


def pixels(image: QImage) -> np.ndarray:
    """Colours [row, column, channel] of a picture."""
    plain = image.convertToFormat(QImage.Format.Format_RGBA8888)
    lines = np.frombuffer(plain.constBits(), np.uint8).reshape(plain.height(), -1)
    return lines[:, : 4 * plain.width()].reshape(plain.height(), -1, 4)[..., :3].astype(int)


def test_without_opengl_the_space_is_flat_and_says_why(qtbot, context, flat):
    panel = shown(qtbot, context)
    assert isinstance(panel.view, FlatSpace)
    assert "flat, because it was switched off" in panel.caption.text()


def test_a_click_on_a_flat_point_selects_its_token(qtbot, context, flat):
    panel = shown(qtbot, context)
    point, place = lonely_point(panel)
    QTest.mouseClick(panel.view.surface(), Qt.MouseButton.LeftButton, pos=place)
    assert context.selection.current.position == panel.drawing.positions[point]


@pytest.mark.gl
def test_a_click_on_a_point_in_space_selects_its_token(qtbot, context):
    panel = shown(qtbot, context)
    panel.view.drawn.draw()
    point, place = lonely_point(panel)
    QTest.mouseClick(panel.view.surface(), Qt.MouseButton.LeftButton, pos=place)
    selected = context.selection.current
    assert selected.position == panel.drawing.positions[point]
    assert (-1 if selected.prompt is None else selected.prompt) == panel.drawing.prompts[point]


@pytest.mark.gl
def test_points_light_up_where_they_are_projected(qtbot, context):
    panel = shown(qtbot, context)
    picture = pixels(panel.view.drawn.draw())
    places = panel.view.screen_places() * (picture.shape[1] / panel.view.surface().width())
    rows = np.clip(places[:, 1].round().astype(int), 0, picture.shape[0] - 1)
    columns = np.clip(places[:, 0].round().astype(int), 0, picture.shape[1] - 1)
    lit = np.abs(picture[rows, columns] - picture[0, 0]).max(axis=1) > 8
    assert lit.mean() >= 0.95


@pytest.mark.gl
def test_the_window_shows_what_the_scene_drew_and_follows_its_size(qtbot, context):
    panel = shown(qtbot, context)
    for size in ((900, 700), (520, 420)):
        panel.resize(*size)
        QCoreApplication.processEvents()
        frame, shown_picture = panel.view.drawn.draw(), panel.view.drawn.grab().toImage()
        assert frame.size() == shown_picture.size()
        assert np.array_equal(pixels(frame), pixels(shown_picture))


@pytest.mark.gl
def test_no_opengl_widget_makes_qt_compose_the_window(qtbot, context):
    panel = shown(qtbot, context)
    assert panel.view.drawn.native.window() is panel.view.drawn.native
    assert not panel.findChildren(QOpenGLWidget)


@pytest.mark.gl
def test_dragging_turns_the_space_and_selects_nothing(qtbot, context):
    panel = shown(qtbot, context)
    panel.view.drawn.draw()
    before = panel.view.screen_places()
    surface = panel.view.surface()
    middle = surface.rect().center()
    QTest.mousePress(surface, Qt.MouseButton.LeftButton, pos=middle)
    for step in range(1, 6):
        QTest.mouseMove(surface, middle + QPoint(12 * step, 4 * step))
    QTest.mouseRelease(surface, Qt.MouseButton.LeftButton, pos=middle + QPoint(60, 20))
    panel.view.drawn.draw()
    assert np.abs(panel.view.screen_places() - before).max() > 5
    assert context.selection.current.position is None


def test_points_keep_their_proportions(analysis):
    drawing = space(analysis, ColourBy.TASK)
    raw = np.asarray(analysis.array("points"))[:, :3].astype(float)
    pairs = np.random.default_rng(0).integers(0, len(raw), size=(50, 2))
    drawn = np.linalg.norm(drawing.points[pairs[:, 0]] - drawing.points[pairs[:, 1]], axis=1)
    measured = np.linalg.norm(raw[pairs[:, 0]] - raw[pairs[:, 1]], axis=1)
    apart = measured > 0
    ratios = drawn[apart] / measured[apart]
    assert ratios == pytest.approx(ratios[0], rel=1e-6)


def test_points_of_one_task_share_a_colour_and_tasks_differ(analysis):
    drawing = space(analysis, ColourBy.TASK)
    tasks = np.asarray(analysis.array("point_task"))
    seen = {task: np.unique(drawing.colours[tasks == task], axis=0) for task in np.unique(tasks)}
    assert all(len(colours) == 1 for colours in seen.values())
    assert len({tuple(colours[0]) for colours in seen.values()}) == len(seen)


def test_only_colourings_that_say_something_are_offered(analysis):
    constant = np.zeros(len(analysis.array("point_layer")), dtype=np.int32)
    held = {
        **analysis.arrays,
        "point_layer": replace(analysis.arrays["point_layer"], values=constant),
    }
    assert ColourBy.LAYER not in colourings(replace(analysis, arrays=held))
    assert ColourBy.TASK in colourings(analysis)


def test_the_front_most_point_under_the_cursor_is_hit():
    places = np.array([[10.0, 10], [11, 10], [100, 100]])
    assert nearest(places, np.array([0.5, 0.1, 0.0]), (10, 10)) == 1
    assert nearest(places, np.array([0.5, 0.1, 0.0]), (50, 50)) is None


def test_the_selected_token_is_ringed_among_its_own_prompt(qtbot, context, flat):
    panel = shown(qtbot, context)
    prompt, position = int(panel.drawing.prompts[0]), int(panel.drawing.positions[0])
    context.selection.update(prompt=prompt if prompt >= 0 else None, position=position)
    same = (panel.drawing.prompts == prompt) & (panel.drawing.positions == position)
    assert len(panel.view._marks.points()) == same.sum() > 0


def test_another_site_is_asked_for_and_only_with_the_model(
    qtbot, context, asked, sample_identity, flat
):
    panel = shown(qtbot, context)
    assert not panel.compute.isEnabled()
    assert "Needs the model" in panel.compute.toolTip()
    context.workspace.set_model(sample_identity)
    panel.site.setCurrentIndex(panel.site.findData("mlp_out.1"))
    QTest.mouseClick(panel.compute, Qt.MouseButton.LeftButton)
    assert [request.site for request in asked] == ["mlp_out.1"]


def test_the_colouring_opens_as_the_session_was_saved(qtbot, context, sample_session, flat):
    first = shown(qtbot, context)
    first.colour_by.setCurrentText(str(ColourBy.POSITION))
    view = {first.name: first.view_state()}
    context.workspace.show(replace(sample_session, view=view, uuid="reopened"))
    later = shown(qtbot, context)  # a panel that is made after the session was opened
    for panel in (first, later):
        assert panel.colour_by.currentText() == str(ColourBy.POSITION)
        assert panel.site.currentData() == view[first.name]["site"]
        assert panel.drawing is not None


def of_features(method="pca", features=6):
    """Directions of features as the engine hands them out, placed by hand."""
    random = np.random.default_rng(len(method))
    point, many = ("point",), features
    site = "features of mine" + ("" if method == "pca" else " (UMAP)")
    words = np.array([f"w{number}" for number in range(many)])
    arrays = {
        "points": (("point", "component"), random.normal(size=(many, 3)).astype(np.float32)),
        "explained_variance_ratio": (("component",), np.array([0.5, 0.3, 0.1])),
        "point_prompt": (point, np.zeros(many, np.int32)),
        "point_position": (point, np.arange(many, dtype=np.int32)),
        "point_layer": (point, np.full(many, -1, np.int32)),
        "point_token": (point, words), "point_task": (point, words),
        "point_cluster": (point, np.array(["1: w0", "2: w1"] * (many // 2))),
        "point_rate": (point, np.geomspace(1e-4, 0.1, many).astype(np.float32) * (words != "w0")),
    }  # fmt: skip
    params = {"site": site, "features": "f" * 64, "method": method, "seed": 4, "dictionary": "mine",
              "prompts": ["features f"]}  # fmt: skip
    held = {name: Labelled(*each) for name, each in arrays.items()}
    return Analysis(f"projection/{site}", "projection", "Directions", held, params)


def test_both_layouts_of_features_are_reviewed_without_model_and_umap(
    qtbot, context, flat, analysis
):
    made = {one.id: one for one in (of_features(), of_features("umap"))}
    session = context.workspace.session
    context.workspace.show(replace(session, analyses={**session.analyses, **made}))
    panel = shown(qtbot, context)
    panel.look_at(analysis.params["site"])
    assert panel.bar.placed_by.isHidden()  # tokens are shown
    panel.look_at("features of mine")
    placed = panel.bar.placed_by
    assert placed.isVisible()
    assert placed.currentData() == "pca"
    before = panel.drawing.points
    to_front(panel.window())  # the keys of another window that is active come first
    qtbot.waitUntil(panel.window().isActiveWindow)
    QTest.keyClick(placed, Qt.Key.Key_Down)  # both were kept, so both can be had
    assert panel.site.currentData() == "features of mine (UMAP)"
    assert "near ones are alike · seed 4" in panel.drawing.caption
    assert not np.array_equal(panel.drawing.points, before)
    context.selection.update(feature=("f" * 64, 3))
    assert panel.view._marks.points()[0].pos().x() == pytest.approx(panel.drawing.points[3, 0])


def test_rates_are_coloured_by_their_logarithm_and_silent_ones_are_grey():
    drawing = space(of_features(), ColourBy.RATE)
    assert [text for _, text in drawing.legend] == ["on at 10 %", "on at 0.04 %", "silent"]
    assert np.allclose(drawing.colours[0], rgba(palette.TEXT_FAINT))
    table = sequence_table()[:, :3] / 255
    shades = [int(np.abs(table - tint).sum(axis=1).argmin()) for tint in drawing.colours[1:, :3]]
    # Equal ratios of rates are equal steps of colour.
    assert np.ptp(np.diff(shades)) <= 1 < np.diff(shades).min()
    assert ColourBy.TASK not in drawing.offered
    assert drawing.offered[0] is ColourBy.CLUSTER


# ---------------------------------------------------------------- keys

KEY, CTRL, SHIFT = Qt.Key, Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier


def in_order(drawing):
    """The rows by prompt and position, found the plain way."""
    told = zip(drawing.prompts.tolist(), drawing.positions.tolist(), strict=True)
    return [row for _, row in sorted((place, row) for row, place in enumerate(told))]


def beside(places, row, way, room):
    """The plain way to find what lies to one side."""
    best = (np.inf, row)
    for other, (x, y) in enumerate(places.tolist()):
        right, down = x - places[row][0], y - places[row][1]
        along = right * way[0] + down * way[1]
        aside = abs(right * way[1]) + abs(down * way[0])
        if 0 <= x < room[0] and 0 <= y < room[1] and along >= 1 and along >= aside:
            best = min(best, (along + 2 * aside, other))
    return best[1]


def test_steps_go_through_all_points_in_their_order(analysis):
    drawing = space(analysis, ColourBy.TASK)
    shuffled = np.random.default_rng(3).permutation(len(drawing.points))
    numbers = drawing.ordered[np.argsort(drawing.by_key)][shuffled]
    held = replace(drawing, prompts=drawing.prompts[shuffled],
                   positions=drawing.positions[shuffled], by_key=np.argsort(numbers, kind="stable"),
                   ordered=np.sort(numbers))  # fmt: skip
    rows = in_order(held)
    assert [further(held, row, 1) for row in rows] == [*rows[1:], rows[-1]]
    back = [rows[max(0, n - 20)] for n in range(len(rows))]
    assert [further(held, row, -20) for row in rows] == back


def test_the_nearest_point_on_a_side_is_found():
    random = np.random.default_rng(5)
    places = random.uniform(-20, 220, (120, 2)).astype(np.float32)
    for row in range(0, 120, 3):
        for way in ((-1, 0), (1, 0), (0, -1), (0, 1)):
            assert toward(places, row, way, (200, 150)) == beside(places, row, way, (200, 150))


@pytest.fixture(params=["flat", pytest.param("solid", marks=pytest.mark.gl)])
def is_flat(request, monkeypatch):
    """Drawn either way."""
    if request.param == "flat":
        monkeypatch.setattr(feature_space_panel, "opengl_problem", lambda: "it was switched off")
    return request.param == "flat"


def test_keys_point_at_points_and_choose_them(qtbot, is_flat, context):
    panel = shown(qtbot, context)
    assert isinstance(panel.view, FlatSpace) == is_flat
    surface, drawing = panel.view.surface(), panel.drawing
    rows, before = in_order(drawing), pixels(surface.grab().toImage())
    QTest.keyClick(surface, KEY.Key_Return)  # nothing is pointed at
    assert context.selection.current.position is None
    for key, held, row in (
        (KEY.Key_N, {}, rows[0]), (KEY.Key_N, {}, rows[1]), (KEY.Key_N, {}, rows[2]),
        (KEY.Key_N, {"modifier": SHIFT}, rows[1]), (KEY.Key_PageDown, {}, rows[21]),
        (KEY.Key_End, {}, rows[-1]), (KEY.Key_Home, {}, rows[0]), (KEY.Key_PageDown, {}, rows[20]),
    ):  # fmt: skip
        QTest.keyClick(surface, key, **held)
        assert panel.active.keys.row == row
        assert surface.accessibleDescription().startswith(drawing.describe(row))
    room = surface.width(), surface.height()
    for key, way in ((KEY.Key_Right, (1, 0)), (KEY.Key_Up, (0, -1)), (KEY.Key_Left, (-1, 0))):
        wanted = beside(panel.view.screen_places(), panel.active.keys.row, way, room)
        QTest.keyClick(surface, key, CTRL)
        assert panel.active.keys.row == wanted
    row, picture = panel.active.keys.row, pixels(surface.grab().toImage())
    changed = np.argwhere((picture != before).any(axis=2)) * surface.width() / picture.shape[1]
    assert np.allclose(changed.mean(axis=0)[::-1], panel.view.screen_places()[row], atol=2)
    QTest.keyClick(surface, KEY.Key_Return)
    assert context.selection.current.position == drawing.positions[row]
    assert (context.selection.current.prompt or -1) in {drawing.prompts[row], -1}
    assert drawing.describe(row) in surface.accessibleDescription()
    assert "1 ringed" in surface.accessibleDescription()
    QTest.keyClick(surface, KEY.Key_Escape)
    assert panel.active.keys.row is None
    assert drawing.describe(row) not in surface.accessibleDescription()
    QTest.keyClick(surface, KEY.Key_N)  # begins at what is ringed
    assert panel.active.keys.row == further(drawing, row, 1)


def test_the_menu_key_is_about_what_keys_point_at(qtbot, is_flat, context):
    panel, asked = shown(qtbot, context), []
    surface = panel.view.surface()
    panel.grid.menu_asked.disconnect()
    panel.grid.menu_asked.connect(lambda *about: asked.append(about))
    kind = QContextMenuEvent.Reason.Keyboard

    def press():
        event = QContextMenuEvent(kind, QPoint(3, 3), surface.mapToGlobal(QPoint(3, 3)))
        QCoreApplication.sendEvent(surface, event)

    press()
    assert asked == []
    QTest.keyClick(surface, KEY.Key_Home)
    row = panel.active.keys.row
    press()
    place = QPoint(*(round(part) for part in panel.view.screen_places()[row].tolist()))
    assert asked == [(panel.active, row, surface.mapToGlobal(place))]
    QTest.mousePress(surface, Qt.MouseButton.LeftButton, pos=QPoint(2, 2))
    QTest.mouseRelease(surface, Qt.MouseButton.LeftButton, pos=QPoint(2, 2))
    assert panel.active.keys.row is None


def test_other_points_are_not_pointed_at(qtbot, context, flat, analysis):
    made = of_features(features=8)
    session = context.workspace.session
    context.workspace.show(replace(session, analyses={**session.analyses, made.id: made}))
    panel = shown(qtbot, context)
    panel.look_at(analysis.params["site"])
    QTest.keyClick(panel.view.surface(), KEY.Key_End)
    row = panel.active.keys.row
    panel.colour_by.setCurrentText(str(ColourBy.TOKEN))
    panel.colour_by.activated.emit(panel.colour_by.currentIndex())
    assert panel.active.keys.row == row  # the same points in other colours
    panel.look_at("features of mine")
    assert panel.active.keys.row is None
    QTest.keyClick(panel.view.surface(), KEY.Key_End)
    assert panel.active.keys.row == 7
    QTest.keyClick(panel.view.surface(), KEY.Key_Space)
    assert context.selection.current.feature == ("f" * 64, 7)
