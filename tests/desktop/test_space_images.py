"""Images in the feature space: thumbnails under the pointer, and asking about one."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QMouseEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QMenu

import microtome as mt
from microtome.activations.capture import trace
from microtome.records.point_activity import point_activity_of
from microtome.records.session import Session
from microtome_desktop.jobs.space_requests import ProjectImages, ReadPoints
from microtome_desktop.presenters.space_python import drawn_lines
from microtome_desktop.state.selection import Selection
from microtome_desktop.state.workspace import Workspace
from microtome_desktop.views import feature_space_panel
from microtome_desktop.views.feature_space_panel import FeatureSpacePanel
from microtome_desktop.views.panel import PanelContext
from microtome_desktop.views.space_flat import FlatSpace


@pytest.fixture(scope="module")
def seen():
    model, images = mt.load_model("shapes-resnet"), mt.load_image_set("shapes")
    own = replace(images.image(30), source="set:shapes/30")
    spaces = [
        mt.image_space(model, layer, images, per=per, own=own, limit=limit)
        for layer, per, limit in (("pool", "image", 44), ("stage1.block0", "place", 64))
    ]
    session = Session(
        model=model.identity,
        traces=(trace(model, own),),
        analyses={space.id: space for space in spaces},
        question=mt.Question(own),
    )
    return session, images


@pytest.fixture(scope="module")
def learned(seen):
    model, layer = mt.load_model("shapes-resnet"), "stage2.block0"
    return mt.train_dictionary(
        model, seen[1].of("face"), layer, width=40, k=3, steps=40, batch=64
    ).dictionary


@pytest.fixture
def context(seen):
    workspace = Workspace()
    workspace.show(seen[0])
    return PanelContext(workspace, Selection(), lambda request: None)


@pytest.fixture(params=[True, False], ids=["flat", "solid"])
def flat(request, monkeypatch):
    if request.param:
        monkeypatch.setattr(feature_space_panel, "opengl_problem", lambda: "it was switched off")
    return request.param


def shown(qtbot, context):
    panel = FeatureSpacePanel(context)
    panel.resize(760, 520)
    qtbot.addWidget(panel)
    panel.show()
    qtbot.waitExposed(panel)
    return panel


def lonely(panel, mine):
    """A point of those that no other point covers, and where it is."""
    places = panel.view.screen_places()
    apart = np.linalg.norm(places[:, None] - places[None], axis=-1)
    np.fill_diagonal(apart, np.inf)
    size = panel.view.surface().size()
    inside = np.all((places > 40) & (places < (size.width() - 8, size.height() - 8)), axis=1)
    point = int(np.where(mine & inside, apart.min(axis=1), -1).argmax())
    return point, QPoint(*(round(v) for v in places[point]))


def pointed(panel, mine):
    point, place = lonely(panel, mine)
    move(panel.view.surface(), place)
    assert panel.images.tip.isVisible()
    return point, place


def move(surface, place):
    """The pointer, wherever the machine's own is."""
    at = QPointF(place)
    event = QMouseEvent(
        QEvent.Type.MouseMove, at, surface.mapToGlobal(at), Qt.MouseButton.NoButton,
        Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier,
    )  # fmt: skip
    QApplication.sendEvent(surface, event)


def choose(panel, site):
    panel.site.setCurrentIndex(panel.site.findData(site))
    panel.site.activated.emit(panel.site.currentIndex())


def test_the_image_of_a_point_stands_beside_the_pointer(qtbot, context, flat, seen):
    panel = shown(qtbot, context)
    assert isinstance(panel.view, FlatSpace) == flat
    choose(panel, "pool")
    assert panel.caption.text().startswith("pool of 44 images of shapes · PC1")
    assert [panel.colour_by.itemText(i) for i in range(2)] == ["Domain", "Class"]
    drawing = panel.drawing
    point, place = pointed(panel, drawing.prompts >= 0)
    found = seen[0].analyses["projection/pool"]
    prompt = int(drawing.prompts[point])
    tip, picture = panel.images.tip, panel.images.tip.image
    values = found.array("thumbnails")[prompt]
    assert picture.shown.pixelColor(5, 7).red() == values[7, 5, 0]
    assert min(picture.image_rect().width(), picture.image_rect().height()) >= 64
    name, *classes = tip.told.text().split("\n")
    number = found.params["numbers"][prompt]
    assert name == seen[1].image(number).name
    assert classes[0] == f"class {seen[1].classes[seen[1].labels[number]]}"
    QTest.mouseClick(panel.view.surface(), Qt.MouseButton.LeftButton, pos=place)
    assert panel.context.selection.current.prompt == prompt
    assert panel.context.draft.text.image is None
    corner = QPoint(3, panel.view.surface().height() - 3)

    def gone():  # the 3-D view takes no two moves within 10 ms
        move(panel.view.surface(), corner)
        return tip.isHidden()

    qtbot.waitUntil(gone, timeout=5000)


def test_of_a_place_its_part_of_the_image_is_framed(qtbot, context, flat):
    panel = shown(qtbot, context)
    choose(panel, "stage1.block0 places")
    assert "of 64 places of shapes" in panel.caption.text()
    point, _ = pointed(panel, np.ones(len(panel.drawing.points), bool))
    row, column = divmod(int(panel.drawing.positions[point]), 4)
    assert panel.images.tip.image.framed == (8 * row, 8 * column, 8, 8)
    assert f"row {row}, column {column} of 4 × 4" in panel.images.tip.told.text()


def test_a_double_click_or_the_menu_asks_about_the_image(qtbot, context, flat, seen):
    panel = shown(qtbot, context)
    choose(panel, "pool")
    draft = panel.context.draft
    draft.update(sees=True)  # a model that sees is loaded
    point, place = pointed(panel, panel.drawing.prompts >= 0)
    prompt = int(panel.drawing.prompts[point])
    number = seen[0].analyses["projection/pool"].params["numbers"][prompt]
    QTest.mouseDClick(panel.view.surface(), Qt.MouseButton.LeftButton, pos=place)
    assert draft.text.image.source == f"set:shapes/{number}"
    np.testing.assert_array_equal(draft.text.image.values, seen[1].images[number])
    draft.update(image=None)
    panel.images.offer(panel.active, point, panel.mapToGlobal(place))
    menu = panel.findChild(QMenu, "space_image_menu")
    menu.actions()[0].trigger()
    assert draft.text.image.source == f"set:shapes/{number}"
    menu.close()


def test_a_layer_is_asked_for_by_image_or_by_place(qtbot, context, seen):
    panel = shown(qtbot, context)
    asked = panel.images.projecting("stage2.block0 places")
    assert isinstance(asked, ProjectImages)
    assert (asked.site, asked.images) == ("stage2.block0 places", "shapes")
    choose(panel, "pool")
    lines = drawn_lines(seen[0], "pool", panel.drawing)
    wanted = "space = mt.image_space(model, 'pool', images, per='image', own=question.prompt)"
    assert wanted in lines


def colour_by(panel, text):
    panel.colour_by.setCurrentIndex(panel.colour_by.findText(text))
    panel.colour_by.activated.emit(panel.colour_by.currentIndex())


def test_points_are_coloured_by_the_selected_unit_and_feature(qtbot, seen, flat, learned):
    session, images, workspace, asked = seen[0], seen[1], Workspace(), []
    workspace.set_model(session.model)
    workspace.show(session)
    context = PanelContext(workspace, Selection(), asked.append)
    panel = shown(qtbot, context)
    choose(panel, "pool")
    colour_by(panel, "Unit")
    assert "no unit is selected" in panel.caption.text()
    assert not [each for each in asked if isinstance(each, ReadPoints)]
    context.selection.update(unit="stage2.block0/5")
    (request,) = (each for each in asked if isinstance(each, ReadPoints))
    model, own = mt.load_model("shapes-resnet"), session.clean.image
    space = session.analyses["projection/pool"]
    found = mt.point_activity(model, space, "stage2.block0", images, own=own)
    assert (request.reads, request.own) == ("stage2.block0", own)
    request.deliver(SimpleNamespace(workspace=workspace), found)
    told_by(panel, found.array("activity")[:, 5], "stage2.block0/5")
    context.selection.update(unit="stage2.block0/6")  # of the same layer: nothing is asked again
    told_by(panel, found.array("activity")[:, 6], "stage2.block0/6")
    assert len([each for each in asked if isinstance(each, ReadPoints)]) == 1
    assert 'activity")[:, 6]' in "\n".join(panel.exported_lines())
    point, _ = pointed(panel, np.ones(len(panel.drawing.points), bool))
    row = int(np.flatnonzero(space.array("point_prompt") == panel.drawing.prompts[point])[0])
    value = f"{found.array('activity')[row, 6]:.3g}"
    assert f"stage2.block0/6: {value}" in panel.images.tip.told.text()
    of_features = mt.point_activity(model, space, learned, images, own=own)
    workspace.add_analysis(of_features)
    kept = panel.view_state()
    again = review(qtbot, session, (found, of_features), kept)
    told_by(again, found.array("activity")[:, 6], "stage2.block0/6")
    told = point_activity_of(of_features)
    feature = int(np.bincount(told.entry_feature).argmax())
    colour_by(again, "Feature")
    again.context.selection.update(feature=(learned.identity.fingerprint, feature))
    told_by(again, told.of(feature), f"{learned.identity.name} #{feature}")
    again.context.selection.update(feature=("another", 1))
    assert "not known here" in again.legend.text()


def told_by(panel, values, named):
    """The brightest point is the most active one, those that are off are grey, in all views."""
    drawing = panel.drawing
    assert named in panel.legend.text()
    assert drawing.caption.startswith(named)
    np.testing.assert_allclose(drawing.active.values, values, rtol=1e-6)
    assert f"activation {values.max():.3g}" in panel.legend.text()
    colours = {tuple(each) for each in drawing.colours[drawing.active.values == values.max()]}
    assert len(colours) == 1
    off = drawing.colours[drawing.active.values == 0]
    assert len(np.unique(off, axis=0)) <= 1


def review(qtbot, session, analyses, kept):
    """A panel without the model."""
    workspace = Workspace()
    held = {**session.analyses, **{each.id: each for each in analyses}}
    workspace.show(replace(session, analyses=held))
    panel = shown(qtbot, PanelContext(workspace, Selection(), lambda request: None))
    panel.restore_view(kept)
    panel.draw_all()
    return panel
