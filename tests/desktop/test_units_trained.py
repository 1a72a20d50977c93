"""Dictionaries of layers of units, trained on images in the window."""

from __future__ import annotations

import numpy as np
from acts import rest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

import microtome as mt
from microtome.records.feature_selectivity import selectivity_of
from microtome_desktop.state.image_features import selectivities
from microtome_desktop.state.trainings import curves_in, wish_of
from microtome_desktop.state.visualisations import visualisations_in

LEFT = Qt.MouseButton.LeftButton
WAIT = 60_000


def test_a_dictionary_of_a_layer_of_units_is_trained_on_images(seeing, qtbot, tmp_path):
    seeing.window.show_panel("training")
    rest(seeing, qtbot)
    panel, desk = seeing.furnishing.panels["training"], seeing.desk
    form = panel.form
    assert form.text.currentData() == "shapes-localizer"
    layers = [form.site.itemData(row) for row in range(form.site.count())]
    assert layers == list(mt.load_model("shapes-resnet").sight.layers)
    assert form.layer.isHidden()  # the names of layers of units are seen whole
    assert not form.form.isEnabled()
    form.site.setFocus()
    for _ in range(layers.index("stage2.block0") - form.site.currentIndex()):
        QTest.keyClick(form.site, Qt.Key.Key_Down)
    assert form.site.currentData() == "stage2.block0"
    assert (form.numbers["width"].value(), form.numbers["k"].value()) == (128, 8)
    form.numbers["width"].setValue(64)
    form.numbers["k"].setValue(4)
    form.numbers["steps"].setValue(150)
    form.out.setText(str(tmp_path / "shapes-features"))
    rest(seeing, qtbot)
    qtbot.waitUntil(lambda: "places of images" in panel.outlook.text(), timeout=WAIT)
    assert panel.outlook.text().startswith("1.76k ")
    QTest.mouseClick(panel.train, LEFT)
    qtbot.waitUntil(lambda: bool(desk.dictionaries.held), timeout=WAIT)
    rest(seeing, qtbot)
    (made,) = desk.dictionaries.held
    assert (made.reads, made.d_sae, made.name) == ("stage2.block0", 64, "shapes-features")
    curve = curves_in(desk.workspace.session)[0]
    asked = wish_of(curve)
    assert (asked.text, asked.images, asked.site) == ("shapes-localizer", True, "stage2.block0")
    assert panel.current[1].last["explained_variance"] > 0.5
    assert 0.5 < panel.current[1].recovered[-1] <= 1
    assert any("mt.load_image_set('shapes-localizer')" in one for one in panel.exported_lines())
    its_features_are_seen_among_images(seeing, qtbot, made, tmp_path / "features.h5")


def its_features_are_seen_among_images(seeing, qtbot, made, path):
    """In the Features tab, in the file of the session, and as pictures."""
    desk = seeing.desk
    seeing.window.show_panel("features")
    rest(seeing, qtbot)
    page = seeing.furnishing.panels["features"].images
    assert page.images.currentText() == "shapes"
    QTest.mouseClick(page.run, LEFT)
    qtbot.waitUntil(lambda: page.held is not None, timeout=WAIT)
    rest(seeing, qtbot)
    index = page.held.by_class
    best = int(np.nan_to_num(index.max(0), nan=-np.inf).argmax())
    assert page.rows.rows[0] == best
    desk.selection.update(feature=(made.fingerprint, best))
    rest(seeing, qtbot)
    name = page.held.classes[int(index[:, best].argmax())]
    assert page.said.text().startswith(f"Answers most to {name} (index ")
    images = mt.load_image_set("shapes")
    first = int(page.held.number[best, 0])
    assert images.classes[images.labels[first]] == name
    shown = page.views[0].shown
    assert (shown.height(), shown.width()) == images.images.shape[1:3]
    assert seeing.furnishing.panels["features"].exported_table()().rows[best][1] == name
    mt.save_session(path, desk.workspace.session)
    again = selectivities(mt.open_session(path), made.fingerprint)
    np.testing.assert_array_equal(selectivity_of(again[0]).maps, page.held.maps)
    visual = seeing.furnishing.panels["visualise"]
    assert not visual.isVisible()
    QTest.mouseClick(page.visualise, LEFT)
    qtbot.waitUntil(visual.isVisible, timeout=WAIT)
    wish = visual.form.wish()
    assert (wish.target, wish.feature, wish.fingerprint) == (made.reads, best, made.fingerprint)
    qtbot.waitUntil(lambda: bool(visualisations_in(desk.workspace.session)), timeout=WAIT)
    assert (
        visualisations_in(desk.workspace.session)[0].text == f"{made.name} #{best} in {made.reads}"
    )
