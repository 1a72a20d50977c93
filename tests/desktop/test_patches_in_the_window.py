"""A transformer that sees in the window: its patches as a grid over the image."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from acts import rest
from indexed import index
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

import microtome as mt
from microtome.prompts import ImageInput, Question
from microtome.records.session import Session
from microtome.vision import feature_maps
from microtome_desktop.jobs.examine import Examine
from microtome_desktop.presenters.colour_maps import coloured, magnitude_table
from microtome_desktop.presenters.image_pixels import with_overlay
from microtome_desktop.presenters.patches import PatchGrid, patch_grid
from microtome_desktop.presenters.strip import Colouring
from microtome_desktop.state.selection import Selection
from microtome_desktop.state.workspace import Workspace
from microtome_desktop.views.features_panel import FeaturesPanel
from microtome_desktop.views.panel import PanelContext

LEFT = Qt.MouseButton.LeftButton
RNG = np.random.default_rng(3)
CLEAN = ImageInput(RNG.integers(0, 255, (16, 16, 3), dtype=np.uint8), "noise")


def _tiny(folder):
    """A tiny random ViT: four rows of four patches behind a class token."""
    place = Path(__file__).parents[1] / "core" / "seeing" / "tiny_sight.py"
    spec = importlib.util.spec_from_file_location("desktop_tiny_sight", place)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.save("vit", folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return _tiny(tmp_path_factory.mktemp("seeing") / "tiny-vit")


@pytest.fixture
def asked(qtbot, live, folder):
    """The window after a pair of images that differ in the patch of row 2, column 1 was run."""
    before = live.desk.workspace.session
    live.desk.workspace.mark_clean()
    live.handlers.load(str(folder))
    qtbot.waitUntil(lambda: live.desk.workspace.model.name.endswith("tiny-vit"), timeout=60_000)
    rest(live, qtbot)
    values = CLEAN.values.copy()
    values[8:12, 4:8] = 255
    corrupt = ImageInput(values, "one patch white")
    live.desk.draft.fill(Question(CLEAN, corrupt, "cat", "dog"))
    live.desk.workspace.mark_clean()
    live.runner.ask(Examine(live.desk.draft.text.question()))
    rest(live, qtbot)
    yield live
    live.desk.draft.update(image=None, corrupt_image=None)
    live.desk.workspace.mark_clean()
    live.handlers.load("words-4l")
    qtbot.waitUntil(lambda: live.desk.workspace.model.name == "words-4l", timeout=60_000)
    live.desk.workspace.show(before, dirty=False)
    rest(live, qtbot)


def test_patches_are_chosen_coloured_and_told_over_the_image(asked, qtbot):
    desk, panels = asked.desk, asked.furnishing.panels
    session, strip = desk.workspace.session, panels["token_strip"]
    assert session.clean.tokens[:3] == ("[CLS]", "0,0", "0,1")
    image = strip.image
    assert not strip.area.isVisible()
    QTest.mouseClick(image.view, LEFT, pos=image.view.place_of(9, 6).toPoint())
    rest(asked, qtbot)
    assert desk.selection.current.position == 1 + 2 * 4 + 1
    assert image.view.framed == (8, 4, 4, 4)
    assert "position 10: patch in row 2, column 1" in image.said.text()
    assert panels["ask"].predictions.place.text() == "at 2,1 (10)"
    QTest.keyClick(image.view, Qt.Key.Key_Right)
    QTest.keyClick(image.view, Qt.Key.Key_Return)
    rest(asked, qtbot)
    assert desk.selection.current.position == 11
    QTest.mouseClick(image.leading, LEFT, pos=image.leading.column_rect(0).center().toPoint())
    rest(asked, qtbot)
    assert desk.selection.current.position == 0
    assert image.view.framed is None
    # The colours are those of the attention of a head, patch by patch.
    desk.selection.update(layer=0, head=1, position=10)
    strip.colour_by.setCurrentText(str(Colouring.ATTENTION))
    rest(asked, qtbot)
    row = session.clean.attention(0)[1, 10]
    laid = (row[1:] / row.max()).reshape(4, 4).astype(np.float32)
    expected = with_overlay(session.clean.image.values, laid, signed=False)
    shown = image.view.shown
    for line, column in ((0, 0), (9, 5), (15, 15)):
        found = shown.pixelColor(column, line)
        assert (found.red(), found.green(), found.blue()) == tuple(expected[line, column].tolist())
    strip.colour_by.setCurrentText(str(Colouring.PAIR))
    assert strip.drawing.values[10] == 1
    assert np.isnan(np.delete(strip.drawing.values, 10)).all()
    strip.colour_by.setCurrentText(str(Colouring.PREDICTED))
    assert "Patches are not predicted" in strip.explanation.text()
    strip.colour_by.setCurrentText(str(Colouring.INFLUENCE))
    # Heat map and attention name patches by row and column; a circuit stands as for texts.
    assert panels["heatmap"].map.grid.columns[10] == "2,1"
    assert panels["attention"].map.grid.rows[10] == "2,1"
    assert session.circuit is not None
    notices = [n for n in desk.notices.history if n.title != "Self-checks failed"]
    assert notices == []


def test_the_grid_is_read_from_the_names_of_patches(sample_session):
    run = replace(sample_session.clean, image=CLEAN, tokens=("[CLS]", "[REG]", "0,0", "0,1"))
    assert patch_grid(run) == PatchGrid(2, 1, 2)
    assert patch_grid(replace(run, tokens=("image",))) is None
    assert patch_grid(sample_session.clean) is None
    grid = PatchGrid(1, 3, 2)
    for position in range(1, 7):
        top, left, rows, columns = grid.part(position, (10, 7))
        inside = {(row, column) for row in range(10) for column in range(7)
                  if grid.position(row, column, (10, 7)) == position}  # fmt: skip
        part = {(top + y, left + x) for y in range(rows) for x in range(columns)}
        assert part == inside
    assert grid.part(0, (10, 7)) is None


def test_overlays_cover_the_image_in_proportion():
    grey = np.full((4, 4, 1), 100, np.uint8)
    overlay = np.zeros((2, 2), np.float32)
    overlay[0, 1] = 3.0
    laid = with_overlay(grey, overlay, signed=False)
    top = coloured(np.array(1.0), 0.0, 1.0, magnitude_table())[:3].astype(float)
    np.testing.assert_allclose(laid[0, 3], 0.15 * 100 + 0.85 * top, atol=1)
    assert (laid[2:] == 100).all()


@pytest.fixture
def looked_through(monkeypatch):
    """A session with an index and with two image sets of one name, shown to one dictionary."""
    model, images = mt.load_model("shapes-resnet"), mt.load_image_set("shapes").of("face")
    code = mt.train_dictionary(model, images, "pool", width=40, k=3, steps=5).dictionary
    monkeypatch.setattr(feature_maps, "MAP_BYTES", 4 * 30)  # of one place each
    other = replace(images, images=255 - images.images)
    one, seen = (mt.feature_selectivity(model, code, each) for each in (other, images))
    one = replace(one, params={**one.params, "source": "elsewhere/shapes"})
    found = index()
    found = replace(found, params={**found.params, "fingerprint": code.identity.fingerprint})
    return Session(
        model=model.identity, traces=(mt.trace(model, images.image(0)),),
        analyses={each.id: each for each in (found, one, seen)},
    )  # fmt: skip


def test_a_dictionary_of_patches_is_looked_at_by_images_or_as_words_are(qtbot, looked_through):
    session = looked_through
    _, one, seen = session.analyses.values()
    fingerprint = seen.params["fingerprint"]
    workspace = Workspace()
    workspace.show(session)
    asked = []
    panel = FeaturesPanel(PanelContext(workspace, Selection(), asked.append))
    qtbot.addWidget(panel)
    panel.show()

    def read():  # what a worker does
        while asked:
            request = asked.pop(0)
            request.deliver(SimpleNamespace(workspace=workspace), request.perform(None, None))
            request.ended(SimpleNamespace(workspace=workspace))

    read()
    assert panel.current.fingerprint == fingerprint
    assert not panel.bar.view.isHidden()
    assert panel.pages.currentWidget() is panel.images
    assert panel.exported_table()().headers[1] == "class"
    assert panel.images.held.analysis is seen
    assert "maps of 30 of " in panel.bar.said.text()
    for images_of, wanted in (("elsewhere/shapes", one), ("shapes", seen)):  # of one name
        choose(panel.images.images, images_of)
        read()
        assert panel.images.held.analysis is wanted
    QTest.keyClick(panel.bar.view, Qt.Key.Key_Down)
    read()
    assert panel.pages.currentWidget() is panel.both
    assert panel.table.n_features == 6
    assert any("feature_index" in line for line in panel.exported_lines())
    kept = panel.view_state()
    panel.show_part(f"analyses/{seen.id}")  # what was asked for comes to the front
    read()
    assert panel.pages.currentWidget() is panel.images
    assert any("feature_selectivity" in line for line in panel.exported_lines())
    panel.restore_view(kept)
    panel.show_session()
    read()
    assert panel.pages.currentWidget() is panel.both


def choose(box, data):
    box.setCurrentIndex(box.findData(data))
    box.activated.emit(box.currentIndex())
