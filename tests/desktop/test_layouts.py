"""Panels that fill the window, layouts under names, and panels on screens that are gone."""

from __future__ import annotations

import itertools

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QInputDialog

from microtome_desktop.commands.command import CommandId
from microtome_desktop.views.card import MAXIMISE_TIP, RESTORE_TIP
from microtome_desktop.views.elided import WholeLabel
from microtome_desktop.views.panel_table import PLACES

LEFT = Qt.MouseButton.LeftButton
CARDS = [place.name for place in PLACES if place.name != "token_strip"]


@pytest.fixture
def window(bench):
    bench.window.resize(1500, 950)
    QApplication.processEvents()
    yield bench.window
    bench.window.reset_layout()
    bench.desk.settings.layouts = {}
    QApplication.processEvents()


def in_view(window):
    """The panels of which something is on screen."""
    return {name for name, body in window.bodies.items() if not body.visibleRegion().isEmpty()}


def rectangles(window):
    return {name: (body.mapTo(window, QPoint()), body.size())
            for name, body in window.bodies.items() if name in in_view(window)}  # fmt: skip


@pytest.mark.parametrize("name", CARDS)
def test_every_panel_fills_the_window_and_goes_back(window, name):
    card = window.cards[name]
    window.show_panel(name)
    QApplication.processEvents()
    before = rectangles(window)
    QTest.mouseClick(card.bar.maximise, LEFT)
    QApplication.processEvents()
    assert in_view(window) == {name}
    assert window.bodies[name].width() > 0.95 * window.width()
    assert window.bodies[name].height() > 0.75 * window.height()
    assert card.bar.maximise.toolTip() == RESTORE_TIP
    QTest.mouseClick(card.bar.maximise, LEFT)
    QApplication.processEvents()
    assert rectangles(window) == before
    assert card.bar.maximise.toolTip() == MAXIMISE_TIP


def test_the_command_takes_the_panel_that_has_the_keyboard(bench, window):
    prompt = bench.furnishing.panels["ask"].prompt.prompt
    prompt.setFocus()
    QApplication.processEvents()
    window.actions_table.trigger(CommandId.MAXIMISE)
    QApplication.processEvents()
    assert in_view(window) == {"ask"}
    window.actions_table.trigger(CommandId.MAXIMISE)
    QApplication.processEvents()
    prompt.clearFocus()
    window.setFocus()
    window.actions_table.trigger(CommandId.MAXIMISE)
    QApplication.processEvents()
    assert in_view(window) == {"circuit"}


def test_a_floating_panel_floats_again_afterwards(window):
    dock = window.docks["attention"]
    dock.setFloating(True)
    QApplication.processEvents()
    window.maximising.toggle("attention")
    QApplication.processEvents()
    assert not dock.isFloating()
    window.maximising.toggle("attention")
    assert dock.isFloating()


def test_what_is_remembered_is_the_layout_and_not_the_large_panel(window):
    before = rectangles(window)
    window.maximising.toggle("heatmap")
    geometry, state = window.layout_bytes()
    assert window.restore_layout(geometry, state)
    QApplication.processEvents()
    assert rectangles(window) == before
    assert window.maximising.name == ""


def test_another_layout_ends_the_large_panel(window):
    window.maximising.toggle("circuit")
    window.reset_layout()
    QApplication.processEvents()
    assert {"ask", "circuit", "attention", "token_strip"} <= in_view(window)


def entries(menu):
    menu.aboutToShow.emit()
    return [action.text() for action in menu.actions() if not action.isSeparator()]


def test_layouts_are_saved_used_replaced_and_deleted(bench, window, monkeypatch):
    menu = bench.layouts.menu
    assert entries(menu) == ["None saved yet"]
    for name in ("attention", "heatmap", "patching", "feature_edits"):
        window.docks[name].hide()
    QApplication.processEvents()
    wide = in_view(window)
    monkeypatch.setattr(QInputDialog, "getText", lambda *_: ("wide & calm ", True))
    window.actions_table.trigger(CommandId.SAVE_LAYOUT)
    assert bench.desk.settings.layouts.keys() == {"wide & calm"}
    window.reset_layout()
    QApplication.processEvents()
    assert in_view(window) > wide
    assert entries(menu) == ["wide && calm", "Delete"]
    menu.actions()[0].trigger()
    QApplication.processEvents()
    assert in_view(window) == wide
    window.reset_layout()
    window.actions_table.trigger(CommandId.SAVE_LAYOUT)  # under the same name
    bench.layouts.use("wide & calm")
    QApplication.processEvents()
    assert "attention" in in_view(window)
    bench.layouts._away.actions()[0].trigger()
    assert bench.desk.settings.layouts == {}
    assert entries(menu) == ["None saved yet"]


def test_no_name_saves_nothing(bench, window, monkeypatch):
    for answer in (("", True), ("  ", True), ("kept", False)):
        monkeypatch.setattr(QInputDialog, "getText", lambda *_, answer=answer: answer)
        window.actions_table.trigger(CommandId.SAVE_LAYOUT)
    assert bench.desk.settings.layouts == {}


def test_a_layout_of_another_version_is_told(bench, window):
    bench.desk.settings.layouts = {"old": "00ff"}
    bench.layouts.use("old")
    assert "old does not fit" in bench.desk.notices.history[-1].title
    assert "circuit" in in_view(window)


def test_a_panel_on_a_screen_that_is_gone_comes_back(window):
    dock = window.docks["notes"]
    dock.setFloating(True)
    dock.move(20_000, 9_000)
    QApplication.processEvents()
    _, state = window.layout_bytes()
    window.reset_layout()
    assert window.restore_layout(None, state)
    QApplication.processEvents()
    screen = QGuiApplication.primaryScreen().availableGeometry()
    assert dock.isFloating()
    assert screen.intersected(dock.frameGeometry()).width() >= min(dock.width(), 100)


def test_the_window_fits_the_screen_of_a_laptop(window):
    least = window.minimumSizeHint()
    assert least.width() <= 1000
    assert least.height() <= 690
    front = window.centre.front
    for name in window.centre.cards:
        window.centre.show_card(name)
        settle()
        least = window.minimumSizeHint()
        assert least.width() <= 1100, name
        assert least.height() <= 690, name
    window.centre.show_card(front)


def test_a_reset_leaves_a_low_window_as_low_as_it_was(window):
    before = window.size()
    window.centre.show_card("circuit")
    settle()
    window.resize(1366, 690)
    settle()
    window.reset_layout()
    settle()
    assert window.height() == 690
    window.resize(before)


def test_a_window_that_shrinks_takes_room_from_all_its_areas_and_gives_it_back(bench, window):
    window.resize(1760, 1080)
    settle()
    window.reset_layout()
    settle()
    before = rectangles(window)
    for step in range(1, 9):  # as an edge is dragged
        window.resize(1760 - 394 * step // 8, 1080 - 312 * step // 8)
        QApplication.processEvents()
    settle()
    assert window.centre.height() > 0.5 * window.height()
    assert window.centre.width() > 0.54 * window.width()
    # More tabs than have room: all are listed at their end.
    assert window.centre.all_cards.isVisible()
    assert window.centre.all_cards.geometry().right() <= window.centre.width()
    window.resize(1760, 1080)
    settle()
    for name, (place, size) in rectangles(window).items():
        assert (place - before[name][0]).manhattanLength() <= 8, name
        assert abs(size.width() - before[name][1].width()) <= 8, name
        assert abs(size.height() - before[name][1].height()) <= 8, name


def test_a_fitted_circuit_fills_its_place_after_the_window_shrank(qtbot, bench, window):
    canvas = bench.furnishing.panels["circuit"].canvas
    port = canvas.view.viewport()

    def filled():
        layout = canvas.drawing.layout
        return (layout.width, layout.height) == port.size().toTuple()

    canvas.fit()
    for wanted in ((1760, 1080), (1366, 768)):
        window.resize(*wanted)
        settle()
        qtbot.waitUntil(filled)
        assert canvas.frame is None
        assert canvas.scale == pytest.approx(1, abs=0.02)
    assert port.height() >= 130


def test_the_buttons_that_start_something_are_in_view_on_a_laptop(bench, window):
    window.resize(1366, 768)
    window.show_panel("superposition")
    settle()
    panel = bench.furnishing.panels["superposition"]
    for page, button in enumerate((panel.train, panel.phases.run)):
        panel.pages.setCurrentIndex(page)
        settle()
        assert button.visibleRegion().boundingRect() == button.rect()
    label = bench.furnishing.panels["token_strip"].findChild(WholeLabel)
    label.resize(label.sizeHint())
    assert inks(label) > 1
    label.resize(label.width() - 1, label.height())
    assert inks(label) == 1


def inks(widget):
    """How many colours are in its picture."""
    image = widget.grab().toImage()
    places = itertools.product(range(image.width()), range(image.height()))
    return len({image.pixel(x, y) for x, y in places})


def settle():
    """Each layout hears of the one within it in its own turn."""
    for _ in range(5):
        QApplication.processEvents()
