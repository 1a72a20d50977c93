"""The superposition lab in a real window: toy models that form, phases, and a real layer."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import QPointF, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

import microtome as mt
from microtome.features.neurons import Neurons
from microtome.records.superposition import PHASES, SHARING, TOY, PhaseDiagram, ToyPlan, geometry
from microtome.session.reader import open_session
from microtome.session.writer import save_session
from microtome_desktop import palette as colours
from microtome_desktop.presenters.superposition import (
    ALONE,
    LOST,
    NO_TOY,
    SHARED,
    STATE_NAMES,
    phases_in,
    sharing_in,
    states,
    toys_in,
)
from microtome_desktop.state.superpositions import newest, spread
from microtome_desktop.state.work import Outcome

WAIT = 60_000
LEFT = Qt.MouseButton.LeftButton


def rest(bench, qtbot):
    bench.runner.turns.finish()
    qtbot.waitUntil(lambda: bench.runner.idle and not bench.updating, timeout=WAIT)
    bench.runner.turns.finish()
    QApplication.processEvents()


@pytest.fixture
def lab(bench, qtbot):
    return front(bench, qtbot)


def front(bench, qtbot):
    bench.window.show_panel("superposition")
    rest(bench, qtbot)
    panel = bench.furnishing.panels["superposition"]
    panel.pages.setCurrentIndex(0)
    panel.form.restore({
        "features": 5, "dimensions": 2, "low": 0, "high": 90, "models": 2, "importance": 100,
        "steps": 3, "starts": 2, "seed": 0,
    })  # fmt: skip
    return panel


def test_sparsities_are_spread_by_density():
    assert spread(0.0, 0.9, 3) == (0.0, 0.68, 0.9)
    assert spread(0.9, 0.0, 1) == (0.9,)


def test_toy_models_are_drawn_as_they_form_and_are_the_engine_s(lab, bench, qtbot, tmp_path):
    assert lab.exported_table() == NO_TOY
    seen = []
    bench.desk.workspace.part_changed.connect(seen.append)
    slider = lab.form.sliders["seed"]
    slider.setFocus()
    QTest.keyClick(slider, Qt.Key.Key_Right)
    assert "zeros with probability 0, 0.9" in lab.form.exact.text()
    QTest.mouseClick(lab.train, LEFT)
    rest(bench, qtbot)
    bench.desk.workspace.part_changed.disconnect(seen.append)
    assert seen.count(f"analyses/{TOY}") > 2
    toys = toys_in(bench.desk.workspace.session)
    plan = ToyPlan(5, 2, (0.0, 0.9), 1.0, steps=300, seed=1, starts=2)
    assert toys.plan == plan
    np.testing.assert_array_equal(toys.weights, mt.train_toy(plan).weights)
    heads = np.stack(lab.gallery.directions[1]._heads.getData(), 1)
    np.testing.assert_allclose(heads, toys.weights[1].T)
    bars = lab.gallery.shares[1].bars.opts
    np.testing.assert_allclose(bars["height"], toys.geometry(1).dimensionality)
    assert "dimensions per feature" in lab.said.text()
    table = lab.exported_table()()
    assert len(table.rows) == 10
    exec("\n".join(lab.exported_lines()), held := {})  # noqa: S102  it is what is tested
    np.testing.assert_array_equal(held["values"], toys.weights)
    path = tmp_path / "lab.h5"
    save_session(path, bench.desk.workspace.session)
    bench.desk.workspace.set_model(None)
    bench.desk.workspace.show(open_session(path))
    rest(bench, qtbot)
    kept = toys_in(bench.desk.workspace.session)
    np.testing.assert_array_equal(kept.weights, toys.weights)
    assert lab.gallery.isVisible()
    assert lab.train.isEnabled()  # needs no model
    assert not lab.measure.isEnabled()


def test_more_dimensions_are_drawn_as_products_and_stop_stops(lab, bench, qtbot):
    lab.form.sliders["dimensions"].setValue(3)
    lab.form.sliders["steps"].setValue(100)
    QTest.mouseClick(lab.train, LEFT)
    qtbot.waitUntil(lab.gallery.isVisible, timeout=WAIT)
    bench.runner.turns.finish()
    assert lab.train.text() == "Stop"
    QTest.mouseClick(lab.train, LEFT)
    rest(bench, qtbot)
    assert bench.desk.work.pieces[-1].outcome is Outcome.STOPPED
    toys, first = toys_in(bench.desk.workspace.session), lab.gallery.directions[0]
    assert toys.step[-1] < toys.plan.steps == 10_000
    assert first.image.isVisible()
    assert not first._heads.isVisible()
    np.testing.assert_allclose(first.image.image, toys.weights[0].T @ toys.weights[0], rtol=1e-5)


def test_each_square_of_the_phases_has_one_of_three_colours(lab, bench, qtbot):
    held = PhaseDiagram(
        np.array([1.0, 0.01]), np.array([0.1, 10.0]), np.array([[0.1, 1.0], [1.0, 0.8]]),
        np.array([[1.0, 0.9], [0.0, 0.01]]), 2, 1, 10, 0,
    )  # fmt: skip
    assert states(held).tolist() == [[LOST, SHARED], [ALONE, ALONE]]
    lab.pages.setCurrentIndex(1)
    for name, number in (("squares", 2), ("repeats", 1), ("steps", 10)):
        lab.phases.fields[name].setValue(number)
    seen = []
    bench.desk.workspace.part_changed.connect(seen.append)
    QTest.mouseClick(lab.phases.run, LEFT)
    rest(bench, qtbot)
    bench.desk.workspace.part_changed.disconnect(seen.append)
    assert seen.count(f"analyses/{PHASES}") > 1  # as it forms
    found = phases_in(bench.desk.workspace.session)
    again = mt.phase_diagram(squares=2, repeats=1, steps=10)
    np.testing.assert_array_equal(found.norm, again.norm)
    assert newest(bench.desk.workspace.session, PHASES).params["repeats"] == 1
    lab.phases.show_phases(held)
    drawn = lab.phases.plot.image.image
    assert tuple(drawn[1, 0][:3]) == pg_rgb(colours.WARM)
    assert tuple(drawn[0, 1][:3]) == pg_rgb(colours.ACCENT)
    lab.phases.plot._on_move(lab.phases.plot.getViewBox().mapViewToScene(QPointF(0.5, 0.5)))
    assert STATE_NAMES[LOST] in lab.phases.said.text()
    lab.phases.plot._on_move(lab.phases.plot.getViewBox().mapViewToScene(QPointF(9, 9)))
    assert "2 features in 1 dimension:" in lab.phases.said.text()
    assert all(name in lab.phases.legend.text() for name in STATE_NAMES)


def pg_rgb(name):
    return int(name[1:3], 16), int(name[3:5], 16), int(name[5:7], 16)


def test_a_real_layer_has_the_same_measures(live, qtbot):
    lab = front(live, qtbot)
    assert [lab.layer.itemText(n) for n in range(4)] == [f"neurons of layer {n}" for n in range(4)]
    lab.layer.setCurrentIndex(2)
    QTest.mouseClick(lab.measure, LEFT)
    rest(live, qtbot)
    of, found = sharing_in(live.desk.workspace.session)
    assert of == "neurons of layer 2"
    model = mt.load_model("words-4l")
    wanted = geometry(Neurons(model, 2).directions.numpy())
    np.testing.assert_allclose(found.dimensionality, wanted.dimensionality, rtol=1e-5)
    assert lab.sharing.bars.opts["height"].sum() == len(found.norm) == 512
    assert "512 directions in 128 dimensions" in lab.sharing_said.text()
    assert newest(live.desk.workspace.session, SHARING).params["layer"] == 2
    live.window.show_panel("circuit")
