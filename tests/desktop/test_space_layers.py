"""The layers of a site one after the other, and clouds too large for the window's own thread."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest

from microtome.records.analysis import Analysis, Labelled
from microtome_desktop.commands.command import CommandId
from microtome_desktop.jobs.space_requests import ProjectLayers
from microtome_desktop.presenters.space import keys, projection_of, space
from microtome_desktop.presenters.space_film import Alignments, between, family, shared
from microtome_desktop.presenters.space_pixels import row_near, rows_on_screen
from microtome_desktop.views import space_cloud, space_player
from microtome_desktop.views.space_solid import SolidSpace


def cloud(points, site="resid_mid.0", seed=0, turn=None):
    """A projection of so many tokens, seen along other axes with ``turn``."""
    draw = np.random.default_rng(seed)
    row, each = np.arange(points, dtype=np.int32), ("point",)
    values = (draw.standard_normal((points, 3)) * (3, 2, 1)).astype(np.float32)
    arrays = {
        "points": Labelled((*each, "component"), values if turn is None else values @ turn),
        "explained_variance_ratio": Labelled(("component",), np.array([0.5, 0.3, 0.1])),
        "point_prompt": Labelled(each, row // 20),
        "point_position": Labelled(each, row % 20),
        "point_layer": Labelled(each, np.zeros(points, np.int32)),
        "point_token": Labelled(each, np.array([f"t{n}" for n in range(9)])[row % 9]),
        "point_task": Labelled(each, np.array(["one", "two", "three"])[row % 3]),
    }
    params = {"site": site, "prompts": [f"p{n}" for n in range(8)]}
    return Analysis(f"projection/{site}", "projection", site, MappingProxyType(arrays), params)


def test_layers_are_turned_onto_each_other_and_points_stay_who_they_are():
    flip = np.diag([1.0, -1.0, -1.0]).astype(np.float32)
    first, second = space(cloud(400, "r.0"), None), space(cloud(400, "r.1", turn=flip), None)
    assert np.abs(second.points - first.points).max() > 1
    turned = Alignments().aligned("r", 1, {0: first, 1: second})
    np.testing.assert_allclose(turned.points, first.points, atol=0.02)  # scaled each by itself
    assert "axes aligned to r.0" in turned.caption
    part = space(cloud(300, "r.1"), None)
    ours, theirs = shared(part, first)
    assert len(ours) == 300
    in_part = keys(part.prompts, part.positions)[ours]
    assert np.array_equal(in_part, keys(first.prompts, first.positions)[theirs])


def test_between_two_layers_every_point_goes_from_its_old_place_to_its_new():
    start, end = space(cloud(100, "r.0"), None), space(cloud(100, "r.1", seed=1), None)
    way = between(start, end)
    np.testing.assert_allclose(way(0.0).points, start.points, atol=1e-6)
    np.testing.assert_allclose(way(1.0).points, end.points, atol=1e-6)
    np.testing.assert_allclose(way(0.5).points, (start.points + end.points) / 2, atol=1e-6)
    assert family("resid_post.12") == ("resid_post", 12)
    assert family("embed") is family("z.1.2") is family(None) is None


def test_pixels_show_the_points_that_a_plain_loop_finds():
    draw = np.random.default_rng(0)
    points = np.ones((4, 300), np.float32)
    points[:3] = draw.standard_normal((3, 300))
    matrix = np.array([[40.0, 3, 0, 0.1], [2, 30, 0, 0], [1, 2, 1, 0.2], [60, 40, 0, 1.5]])
    found = rows_on_screen(points, matrix, (120, 80))
    covering = np.zeros((300, 80, 120), bool)
    for row, point in enumerate(points.T.astype(np.float64)):
        x, y, _, weight = point @ matrix
        x, y = x / weight, y / weight
        if weight > 0 and 0 <= x < 118 and 0 <= y < 78:
            covering[row, int(y) : int(y) + 2, int(x) : int(x) + 2] = True
    assert np.array_equal(found >= 0, covering.any(axis=0))
    y, x = np.nonzero(found >= 0)
    assert covering[found[y, x], y, x].all()
    y, x = np.argwhere(found >= 0)[0]
    assert row_near(found, (float(x), float(y)), 3) == found[y, x]
    assert row_near(np.full((9, 9), -1), (4.0, 4.0), 3) is None
    assert row_near(found, (-50.0, -50.0), 3) is None


@pytest.mark.gl
def test_a_large_cloud_is_prepared_by_a_worker_and_can_be_picked_from(bench, qtbot, monkeypatch):
    monkeypatch.setattr(space_cloud, "_FRAME_SECONDS", 60.0)  # a busy machine would draw fewer
    panel = bench.furnishing.panels["feature_space"]
    if not isinstance(panel.view, SolidSpace):
        pytest.skip("no OpenGL here")
    analysis = cloud(60_000)
    before = panel.drawing
    panel.active.choose("resid_mid.0")
    bench.desk.workspace.add_analysis(analysis)
    bench.runner.turns.finish()
    assert panel.drawing is before  # the window did not wait
    qtbot.waitUntil(lambda: panel.drawing is not before, timeout=60_000)
    drawing = panel.drawing
    assert len(drawing.points) == 60_000
    assert panel.view.drawn_note() == ""
    panel.view.drawn.draw()
    places = panel.view.screen_places()
    size = panel.view.surface().size()
    away = np.linalg.norm(places - places.mean(axis=0), axis=1)
    inside = (places > 9) & (places < (size.width() - 9, size.height() - 9))
    far = int(np.where(inside.all(axis=1), away, -1).argmax())
    hits = []
    panel.view.clicked.connect(hits.append)
    at = QPoint(*np.floor(places[far]).astype(int).tolist())
    QTest.mouseClick(panel.view.surface(), Qt.MouseButton.LeftButton, pos=at)
    assert hits[-1] >= 0
    assert bench.desk.selection.current.position == drawing.positions[hits[-1]]
    shown = places[hits[-1]]
    assert np.linalg.norm(shown - places[far]) < 8
    prompt, position = int(drawing.prompts[far]), int(drawing.positions[far])
    assert drawing.describe(far).endswith(f"prompt {prompt}, position {position}")
    assert drawing.tokens[far] == f"t{(20 * prompt + position) % 9}"


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(space_player, "_WAY_SECONDS", 0.05)
    monkeypatch.setattr(space_player, "_HOLD_MS", 1)


@pytest.fixture
def walking(live, quick, qtbot):
    """The live window with one layer projected, and what it asks for from now on."""
    panel = live.furnishing.panels["feature_space"]
    workspace = live.desk.workspace
    kept = {k: a for k, a in workspace.session.analyses.items()
            if a.kind != "projection" or a.params["site"] == "resid_post.2"}  # fmt: skip
    before = workspace.session
    workspace.show(replace(workspace.session, analyses=MappingProxyType(kept), uuid="walk"))
    live.runner.turns.finish()
    qtbot.waitUntil(
        lambda: panel.drawing is not None and panel.site.currentData() == "resid_post.2"
    )
    yield live, panel
    panel.walk.stop()
    live.runner.cancel_visible()
    workspace.show(before)
    live.runner.turns.finish()
    panel.active.choose("resid_post.2")
    panel.draw_all()
    qtbot.waitUntil(lambda: live.runner.idle, timeout=60_000)


def test_playing_computes_what_is_missing_as_one_job_and_ends_at_the_last_layer(walking, qtbot):
    live, panel = walking
    asked, shown = [], []
    ask = live.runner.ask
    panel.walk.player._hold.setInterval(1)

    def listen(request):
        if isinstance(request, ProjectLayers):  # other panels ask for their own things
            asked.append(request)
        ask(request)

    object.__setattr__(panel.context, "ask", listen)
    panel.bar.layers.valueChanged.connect(shown.append)
    start = panel.drawing
    panel.bar.layers.setValue(0)
    qtbot.waitUntil(lambda: live.runner.idle and "resid_post.0" in panel.caption.text(),
                    timeout=90_000)  # fmt: skip
    (request,) = asked
    assert request.sites == ("resid_post.0", "resid_post.1", "resid_post.3")
    session = live.desk.workspace.session
    assert all(projection_of(session, f"resid_post.{layer}") for layer in range(4))
    QTest.mouseClick(panel.bar.play, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not panel.walk.player.playing, timeout=60_000)
    assert len(asked) == 1  # nothing was missing any more
    assert panel.site.currentData() == "resid_post.3"
    assert panel.bar.layers.value() == 3
    assert "axes aligned to resid_post.0" in panel.caption.text()
    end = panel.drawing
    assert np.array_equal(end.prompts, start.prompts)
    assert np.array_equal(end.positions, start.positions)
    raw = projection_of(session, "resid_post.3").array("points")
    table = panel.exported_table()()
    np.testing.assert_allclose([row[:3] for row in table.rows], raw, rtol=1e-6)
    object.__setattr__(panel.context, "ask", ask)


def test_a_stopped_job_stops_the_player(walking, qtbot):
    live, panel = walking
    live.window.actions_table.trigger(CommandId.PLAY_LAYERS)
    assert panel.walk.player.playing
    live.runner.cancel_visible()
    qtbot.waitUntil(lambda: not panel.walk.player.playing, timeout=60_000)
    assert "press Project" in panel.caption.text()
