"""Every panel of the table, in one window that was light for a while."""

from __future__ import annotations

import numpy as np
import pytest
from acts import rest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QGuiApplication, QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from microtome.session.writer import save_session
from microtome_desktop.jobs.file_requests import OpenSession
from microtome_desktop.views.panel_table import PLACES

WAIT = 30_000
LEFT = Qt.MouseButton.LeftButton
PANELS = [place.name for place in PLACES]
DOCKS = [place.name for place in PLACES if place.area.value in {"left", "right", "bottom"}]


@pytest.fixture(scope="module")
def redressed(shared_bench):
    """The sample window, after it was light for a while."""
    for theme in ("light", "dark"):
        shared_bench.desk.settings.theme = theme
        shared_bench.runner.turns.finish()


@pytest.fixture
def window(bench, redressed, qtbot):
    """The window on the sample session with a head selected, everything read and drawn."""
    circuit = bench.desk.workspace.session.circuit
    row = circuit.node_kind.index("head")
    bench.desk.selection.update(
        node=circuit.node_id[row], layer=int(circuit.node_layer[row]),
        head=int(circuit.node_head[row]), position=3, site="resid_post",
    )  # fmt: skip
    rest(bench, qtbot)
    return bench


def front(bench, name):
    """The panel, in front of its tabs."""
    bench.window.show_panel(name)
    QApplication.processEvents()
    return bench.furnishing.panels[name]


def in_view(bench, name):
    return not bench.window.bodies[name].visibleRegion().isEmpty()


def pixels(widget):
    """How light a picture of it is, pixel by pixel."""
    image = widget.grab().toImage().convertToFormat(QImage.Format.Format_Grayscale8)
    rows = np.frombuffer(image.constBits(), np.uint8)
    return rows.reshape(image.height(), image.bytesPerLine())[:, : image.width()].astype(int)


def is_drawn(panel):
    """Whether there is more on it than its background."""
    values = pixels(panel)
    return (np.abs(values - np.median(values)) > 25).mean() > 0.002


@pytest.mark.parametrize("name", PANELS)
def test_it_opens_draws_says_what_it_has_and_goes_everywhere(window, name):
    panel = front(window, name)
    assert in_view(window, name)
    assert is_drawn(panel)
    menu = window.exports.menus[name]
    menu.look()
    QGuiApplication.clipboard().clear()
    menu.copy_picture.trigger()
    assert QGuiApplication.clipboard().image().width() == 2 * panel.width()
    assert menu.copy_table.isEnabled() or menu.copy_table.toolTip().endswith(".")
    if name in DOCKS:
        floats_becomes_a_tab_closes_and_comes_back(window, name)


def floats_becomes_a_tab_closes_and_comes_back(window, name):
    dock, other = window.window.docks[name], window.window.docks["heatmap"]
    panel = front(window, name)
    QTest.mouseClick(dock.bar.floating, LEFT)
    QApplication.processEvents()
    assert dock.isFloating()
    assert is_drawn(panel)
    QTest.mouseClick(dock.bar.floating, LEFT)
    assert not dock.isFloating()
    if other is not dock:
        window.window.tabifyDockWidget(other, dock)
        front(window, name)
        assert in_view(window, name)
        assert not in_view(window, "heatmap")
    QTest.mouseClick(dock.bar.close_button, LEFT)
    assert not dock.isVisible()
    entry, menu = dock.toggleViewAction(), window.window.actions_table.menus["View"]
    menu.popup(window.window.mapToGlobal(QPoint(40, 40)))
    QTest.mouseClick(menu, LEFT, pos=menu.actionGeometry(entry).center())
    assert is_drawn(front(window, name))
    assert in_view(window, name)


def test_none_of_them_is_empty_on_an_empty_window(empty_bench):
    """Each says what would be there, and offers no picture of nothing."""
    for name in PANELS:
        panel = front(empty_bench, name)
        assert in_view(empty_bench, name), name
        assert is_drawn(panel), name
        empty_bench.exports.menus[name].look()


def table_of(bench, name):
    made = bench.furnishing.panels[name].exported_table()
    return made if isinstance(made, str) else made().text()


def test_in_review_every_panel_shows_what_it_showed(window, qtbot, tmp_path, sample_session):
    # A sitting has its own jobs and runs; what the corrupt prompt changes, beside the predictions,
    # is an analysis of real runs, which path/test_path.py compares.
    apart = {"jobs", "history", "ask"}
    live = {name: table_of(window, name) for name in PANELS if name not in apart}
    selected = window.desk.selection.current
    file = save_session(tmp_path / "sample.h5", sample_session)
    window.desk.workspace.set_model(None)
    window.runner.ask(OpenSession(file))
    qtbot.waitUntil(lambda: window.desk.workspace.path == file, timeout=WAIT)
    window.desk.selection.update(
        node=selected.node, layer=selected.layer, head=selected.head, position=3, site="resid_post"
    )
    rest(window, qtbot)
    for name in PANELS:
        assert is_drawn(front(window, name)), name
        rest(window, qtbot)  # a panel may read when it is seen first
        assert name in apart or table_of(window, name) == live[name], name
