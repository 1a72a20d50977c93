"""Nothing grows: windows, floated panels, themes and runs leave no object behind."""

from __future__ import annotations

import gc
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import shiboken6
from acts import rest
from PySide6.QtCore import QCoreApplication, QEvent, QObject, QTimer
from PySide6.QtGui import QOpenGLContext
from PySide6.QtWidgets import QApplication, QMenu, QWidget

from microtome_desktop.views.save_dialog import SaveDialog

TESTS = Path(__file__).parents[1]


def plugin(request, *parts):
    """A conftest, for its helpers."""
    return request.config.pluginmanager.get_plugin(str(TESTS.joinpath(*parts, "conftest.py")))


def alive():
    """How many Qt objects with a Python half there are, by kind."""
    for _ in range(3):
        QApplication.processEvents()
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        if not gc.collect():
            break
    kinds = [type(held) for held in gc.get_objects()
             if issubclass(type(held), QObject) and shiboken6.isValid(held)]  # fmt: skip
    return Counter(f"{kind.__module__}.{kind.__name__}" for kind in kinds)


def grown(before):
    """What there is more of than before."""
    return dict(alive() - before)


def float_and_dock(bench, name):
    for _ in range(2):
        bench.window.docks[name].bar.floating.click()
        QApplication.processEvents()


def swap_session(bench, qtbot, session, number):
    bench.desk.workspace.show(replace(session, uuid=f"run {number % 2}"), dirty=False)
    rest(bench, qtbot)


def change_theme(bench, qtbot, theme):
    bench.desk.settings.theme = theme
    rest(bench, qtbot)


def test_floating_again_and_again_leaves_nothing(bench, qtbot):
    float_and_dock(bench, "attention")
    before = alive()
    for _ in range(6):
        float_and_dock(bench, "attention")
    assert grown(before) == {}


def test_menus_and_dialogs_leave_nothing(bench, qtbot, monkeypatch):
    def use():
        for menu in (bench.menus.models, bench.menus.devices, bench.menus.precisions):
            menu.aboutToShow.emit()
        bench.handlers.save_as()
        rest(bench, qtbot)

    monkeypatch.setattr(SaveDialog, "exec", SaveDialog.reject)
    use()
    before = alive()
    for _ in range(3):
        use()
    assert grown(before) == {}
    for inside in bench.menus.models.findChildren(QMenu):
        inside.deleteLater()


def test_sessions_on_screen_leave_nothing(bench, qtbot, sample_session):
    for number in range(4):
        swap_session(bench, qtbot, sample_session, number)
    before = alive()
    for number in range(6):
        swap_session(bench, qtbot, sample_session, number)
    assert grown(before) == {}


@pytest.fixture
def own_window(request, qapp, sample_session):
    """One more window: a theme dresses the application, and other tests measure a plain one."""
    bench_of, sheet, shades = plugin(request, "desktop"), qapp.styleSheet(), qapp.palette()
    made = bench_of._bench()
    made.desk.workspace.show(sample_session, dirty=False)
    yield made
    bench_of._close(made)
    qapp.setStyleSheet(sheet)
    qapp.setPalette(shades)


def test_changes_of_theme_leave_nothing(own_window, qtbot):
    change_theme(own_window, qtbot, "light")
    before = alive()
    change_theme(own_window, qtbot, "dark")
    assert grown(before) == {}


@pytest.mark.gl
def test_nobody_takes_the_context_that_a_scene_deletes(qapp):
    from microtome_desktop.views.offscreen_scene import OffscreenScene

    scene = OffscreenScene("black")
    scene.resize(64, 64)
    assert not scene.draw().isNull()
    # A wrapper of it counts as the scene's child; the collector that finds both lets shiboken
    # delete it, and the scene deletes it once more.
    contexts = [held for held in gc.get_objects() if type(held) is QOpenGLContext]
    assert all(shiboken6.createdByPython(context) for context in contexts)
    scene.deleteLater()


def test_windows_that_were_closed_are_gone(request, qapp, qtbot, sample_session):
    bench_of = plugin(request, "desktop")

    def open_and_close():
        bench = bench_of._bench()
        bench.desk.workspace.show(sample_session, dirty=False)
        float_and_dock(bench, "attention")
        rest(bench, qtbot)
        bench_of._close(bench)

    open_and_close()
    before = alive()
    open_and_close()
    assert grown(before) == {}


def test_the_count_sees_a_widget_that_somebody_keeps(qapp):
    before = alive()
    kept = QWidget()
    assert grown(before) == {"PySide6.QtWidgets.QWidget": 1}
    kept.deleteLater()
    del kept
    assert grown(before) == {}


@pytest.mark.parametrize(("single", "interval"), [(False, 5), (True, 60_000)])
def test_a_timer_without_a_window_is_seen(request, qapp, single, interval):
    ticks_for_nobody = plugin(request).ticks_for_nobody
    timer = QTimer(singleShot=single, interval=interval)
    assert not ticks_for_nobody(timer)
    timer.start()
    assert ticks_for_nobody(timer)
    timer.stop()


def test_a_timer_of_a_window_is_let_be(request, qapp):
    window = QWidget()
    timer = QTimer(QObject(window), interval=5)
    timer.start()
    assert not plugin(request).ticks_for_nobody(timer)
    window.deleteLater()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
