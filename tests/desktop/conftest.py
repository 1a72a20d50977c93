"""What the window's tests share: the sample session, and windows to try things on."""

from __future__ import annotations

import importlib.util
import sys
import time
import weakref
from pathlib import Path

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QEventLoop
from PySide6.QtWidgets import QComboBox

import microtome_resources as resources
from microtome_desktop.jobs.examine import show_new
from microtome_desktop.jobs.model_requests import ReadDraft, RunChecks
from microtome_desktop.state.draft import Reading
from microtome_desktop.state.library import ModelFacts
from microtome_desktop.state.settings import MemoryStore
from microtome_desktop.views.main_window import LAYOUT_VERSION, MainWindow
from microtome_desktop.views.workbench import Workbench


def _neighbour(name):
    """A helper module beside this file; importlib mode puts no test folder on the path."""
    place = Path(__file__).with_name(f"{name}.py")
    spec = importlib.util.spec_from_file_location(name, place)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


sample = _neighbour("sample")
_neighbour("discovered")
_neighbour("indexed")


@pytest.fixture(scope="session")
def sample_identity():
    """The model of the sample session."""
    return sample.identity()


@pytest.fixture(scope="session")
def sample_session():
    """Four layers, four heads, fifteen tokens: a pair of runs, a circuit, all analyses."""
    return sample.session()


@pytest.fixture(scope="session")
def sample_sweep(sample_session):
    """A sweep of the sample session's pair, which the session itself does not hold."""
    return sample.sweep(sample_session)


@pytest.fixture(scope="session")
def sample_scrubbed():
    """What makes a test of a drawing of one box."""
    return sample.scrubbed


@pytest.fixture(scope="module")
def shared_bench(qapp, sample_session):
    sheet, shades = qapp.styleSheet(), qapp.palette()
    made = _bench()
    # Some widgets make their pop-ups when they first have something to show.
    show_new(made.desk, sample_session)
    _wait(lambda: made.runner.idle)
    for box in made.window.findChildren(QComboBox):
        box.view()
    yield made
    _close(made)
    if qapp.styleSheet() != sheet:  # dressed, every window of other modules would open slowly
        qapp.setStyleSheet(sheet)
        qapp.setPalette(shades)


@pytest.fixture
def bench(shared_bench, sample_identity, sample_session):
    """A whole window on the sample session, with threads but without a model in them.

    The tests of a module share the window; each finds it as new.
    """
    desk = shared_bench.desk
    for toast in list(shared_bench.toasts.shown):
        toast.close()
    desk.notices.history.clear()
    desk.library.update(checks=None, loading="", facts=ModelFacts(sample.VOCABULARY))
    desk.draft.fill(sample_session.question)
    desk.draft.update(as_ids=False)
    desk.draft.read(Reading())
    desk.workspace.set_model(sample_identity)
    show_new(desk, sample_session)
    desk.workspace.mark_clean()
    _put_in_place(shared_bench)
    return shared_bench


@pytest.fixture(scope="session")
def put_in_place():
    """``put_in_place(bench)``: every panel where it is at first, and the window at rest."""
    return _put_in_place


@pytest.fixture
def empty_bench(qapp):
    """A whole window with nothing in it: no model, no session."""
    made = _bench()
    yield made
    _close(made)


@pytest.fixture(scope="session")
def live_bench(qapp):
    """A window with words-4l loaded and its example run, shared by all tests."""
    window = MainWindow()
    with pytest.MonkeyPatch.context() as patch:
        # A model thread that steps back starves while other tests take every core.
        patch.setattr("microtome_desktop.jobs.worker.step_back", lambda niceness: None)
        patch.setattr(RunChecks, "perform", _checked_once(RunChecks.perform))
        made = Workbench(window, MemoryStore())
        try:
            window.show()
            made.start()
            _wait(lambda: made.desk.library.shelf.checks is not None or made.desk.notices.history)
            assert [notice.as_text for notice in made.desk.notices.history] == []
            _wait(lambda: made.runner.idle)
            for name in made.furnishing.panels.names:  # a late one would come within a test
                assert made.furnishing.panels[name].isWidgetType()
            for box in window.findChildren(QComboBox):
                box.view()  # a list makes its pop-up when it is first used
            yield made
        finally:
            _close(made)


@pytest.fixture
def live(live_bench):
    """The live window with the example in its fields and nothing else going on."""
    desk, example = live_bench.desk, resources.START_EXAMPLE
    for toast in list(live_bench.toasts.shown):
        toast.close()
    desk.notices.history.clear()
    if desk.workspace.model is None or desk.workspace.model.name != example.model:
        live_bench.handlers.load(example.model)
    _wait(lambda: live_bench.runner.idle)
    desk.draft.update(
        prompt=example.clean, corrupt=example.corrupt, answer=example.answer, wrong=example.wrong
    )
    live_bench.runner.ask(ReadDraft(desk.draft.text))
    _wait(lambda: live_bench.runner.idle and not live_bench.updating)
    return live_bench


def _bench():
    window = MainWindow()
    made = Workbench(window, MemoryStore())
    made.furnishing.finish()
    window.show()
    window.activateWindow()
    _wait(window.windowHandle().isExposed)
    return made


def _checked_once(perform):
    """Self-checks that each model goes through once: every test that loads one has them after."""
    reports = {}

    def checked(request, engine, job):
        key = request.fingerprint, engine.loaded.identity.dtype
        if key not in reports:
            reports[key] = perform(request, engine, job)
        return reports[key]

    return checked


_first = weakref.WeakKeyDictionary()  # of each window its panels' places as it was last reset


def _put_in_place(made):
    """Reset the layout of a window if a test changed it: all of it is painted anew then."""
    changed = _layout(made.window) != _first.get(made.window)
    if changed:
        made.window.reset_layout()
    _wait(lambda: made.runner.idle and not made.updating)
    if changed:
        _first[made.window] = _layout(made.window)


def _layout(window):
    docks, centre = window.saveState(LAYOUT_VERSION).data(), window.centre
    return docks, centre.front, window.maximising.name, window.size()


def _close(made):
    assert made.shut_down()
    made.desk.workspace.mark_clean()
    made.window.close()
    # A plot whose Python half outlives its window leaves its menus behind.
    made.furnishing.panels.clear()
    made.handlers.forget_panels()
    made.window.deleteLater()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


def _wait(condition, seconds=100):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        QCoreApplication.processEvents(QEventLoop.ProcessEventsFlag.AllEvents, 20)
