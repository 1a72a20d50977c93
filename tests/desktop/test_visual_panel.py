"""The panel Visualise in a real window: pictures that grow, are stopped, kept and asked about."""

from __future__ import annotations

import numpy as np
import pytest
from acts import rest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

import microtome as mt
from microtome_desktop.jobs.file_requests import OpenSession
from microtome_desktop.presenters.visualisations import NO_SIGHT
from microtome_desktop.state.visualisations import visualisations_in

LEFT = Qt.MouseButton.LeftButton
WAIT = 60_000


@pytest.fixture
def seeing(seeing, qtbot):
    """With the panel in front."""
    seeing.window.show_panel("visualise")
    rest(seeing, qtbot)
    return seeing


def test_pictures_are_made_chosen_asked_stopped_and_kept(seeing, qtbot, tmp_path, bench):
    panel, held = seeing.furnishing.panels["visualise"], seeing.desk.workspace
    seeing.desk.selection.update(unit="pool/12")
    rest(seeing, qtbot)
    assert panel.form.wish().target == "pool/12"
    panel.form.kind.setCurrentText("Class")
    panel.form.boxes["class"].setCurrentText("stripes")
    panel.form.boxes["second"].setCurrentText("shapes-resnet-b")
    panel.form.numbers["results"].setValue(2)
    panel.form.numbers["steps"].setValue(40)
    QTest.mouseClick(panel.run, LEFT)
    rest(seeing, qtbot)
    made = visualisations_in(held.session)[0]
    assert (made.text, made.done, made.second_model) == ("stripes", 40, "shapes-resnet-b")
    again = mt.visualise(
        mt.load_model("shapes-resnet"), "stripes", results=2, settings=made.settings
    )
    np.testing.assert_array_equal(again.array("pictures"), made.pictures)
    exec("\n".join(panel.exported_lines()), lines := {})  # noqa: S102  it is what is tested
    np.testing.assert_array_equal(lines["values"], made.pictures)
    assert panel.exported_table()().rows[1][1] == pytest.approx(float(made.final[1]))
    view = panel.pictures.views[1]
    QTest.mouseClick(view, LEFT, pos=view.place_of(16, 16).toPoint())
    assert view.framed is not None
    QTest.mouseClick(panel.use, LEFT)
    np.testing.assert_array_equal(seeing.desk.draft.text.image.values, made.pictures[1])
    # A long one is stopped as soon as pictures are there, which stay.
    panel.form.numbers["steps"].setValue(5_000)
    QTest.mouseClick(panel.run, LEFT)
    qtbot.waitUntil(lambda: len(visualisations_in(held.session)) == 2, timeout=WAIT)
    qtbot.waitUntil(lambda: panel.run.text() == "Stop", timeout=WAIT)
    QTest.mouseClick(panel.run, LEFT)
    rest(seeing, qtbot)
    stopped = visualisations_in(held.session)[0]
    assert 0 < stopped.done < 5_000
    assert f"{stopped.done} of 5000 steps" in panel.held.currentText()
    # The file has all of it, and another window shows it without the model.
    path = mt.save_session(tmp_path / "made.h5", held.session)
    bench.runner.ask(OpenSession(path))
    rest(bench, qtbot)
    bench.window.show_panel("visualise")
    rest(bench, qtbot)
    other = bench.furnishing.panels["visualise"]
    assert other.held.count() == 2
    other.held.setCurrentIndex(1)
    other.held.activated.emit(1)
    assert other.pictures.views[0].shown is not None
    assert not other.run.isEnabled()


def test_without_a_model_that_sees_the_panel_says_what_to_open(bench, qtbot):
    bench.window.show_panel("visualise")
    rest(bench, qtbot)
    panel = bench.furnishing.panels["visualise"]
    assert panel.pages.currentWidget() is panel.empty
    assert any(
        NO_SIGHT in label.text() for label in panel.empty.findChildren(type(panel.said).__base__)
    )
