"""What the window's tests share: the sample session, and windows to try things on."""

from __future__ import annotations

import functools
import importlib.util
import sys
import weakref
from pathlib import Path

import pytest
import shiboken6
from PySide6.QtCore import QCoreApplication, QEvent
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractSpinBox,
    QComboBox,
    QLineEdit,
    QPlainTextEdit,
    QSlider,
    QTabWidget,
)

import microtome_resources as resources
from microtome.images.sets import load_image_set
from microtome.prompts import Question
from microtome_desktop.commands.command import CommandId
from microtome_desktop.jobs.examine import Examine, show_new
from microtome_desktop.jobs.model_requests import ReadDraft, RunChecks
from microtome_desktop.state.draft import Reading
from microtome_desktop.state.library import ModelFacts
from microtome_desktop.state.settings import MemoryStore
from microtome_desktop.views.main_window import LAYOUT_VERSION, MainWindow
from microtome_desktop.views.workbench import Workbench


def _neighbour(name, folder="."):
    """A helper module near this file; importlib mode puts no test folder on the path."""
    place = Path(__file__).parent / folder / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, place)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


sample = _neighbour("sample")
acts = _neighbour("acts")
until = acts.until
_neighbour("discovered")
_neighbour("indexed")
_neighbour("reachable")
_neighbour("sittings")
_neighbour("featured", "commands")
_neighbour("graph_samples", "../core")
_neighbour("tiny_models", "../core")


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


@pytest.fixture(scope="session")
def sample_window(qapp, sample_session):
    """The window of the sample session, which goes from one module of tests to the next."""
    kept = KeptWindow(qapp, sample_session)
    yield kept
    kept.close()


@pytest.fixture(scope="module")
def shared_bench(sample_window):
    yield sample_window.take()
    sample_window.give_back()


@pytest.fixture
def bench(shared_bench, sample_session):
    """A whole window on the sample session, with threads but without a model in them.

    The tests share the window; each finds it as new.
    """
    _renew(shared_bench, sample_session)
    return shared_bench


def _renew(made, session):
    """Show the sample session as if nothing had been done in this window."""
    desk = made.desk
    for toast in list(made.toasts.shown):
        toast.close()
    desk.notices.history.clear()
    desk.library.update(checks=None, loading="", facts=ModelFacts(sample.VOCABULARY))
    desk.draft.fill(session.question)
    desk.draft.update(as_ids=False)
    desk.draft.read(Reading())
    desk.workspace.set_model(session.model)
    show_new(desk, session)
    desk.workspace.mark_clean()
    _put_in_place(made)


class KeptWindow:
    """One window for many modules: opening it takes longer than most of their tests.

    What a module left otherwise in fields and panels is set back; after one that left other
    settings, another theme, or what cannot be set back, it is closed.
    """

    def __init__(self, application, session):
        self._application, self._session = application, session
        self._sheet, self._shades = application.styleSheet(), application.palette()
        self._made = None
        self._first = {}

    def take(self):
        """The window, on screen."""
        if self._made is None:
            self._made = _bench()
            # Some widgets make their pop-ups when they first have something to show.
            _renew(self._made, self._session)
            for box in self._made.window.findChildren(QComboBox):
                box.view()
            self._first = self._state()
            for widget, read, _ in self._controls():
                widget.setProperty(FIRST, read(widget))
        self._made.window.show()
        until(self._made.window.windowHandle().isExposed)
        self._made.window.activateWindow()
        return self._made

    def give_back(self):
        """Put the window away until somebody takes it, or close it if it is not as it was."""
        _renew(self._made, self._session)
        self._forget()
        if self._put_back():
            _renew(self._made, self._session)
            self._forget()
        if any(self._moved()) or self._state() != self._first:
            self.close()
        else:
            self._made.window.hide()

    def _forget(self):
        """Take back what a window remembers of the past without showing it."""
        kept, first = self._made.desk.settings._store._values, self._first["settings"]
        for name in [name for name in kept if name.startswith(("recent/", "files/"))]:
            kept.pop(name)
        kept.update({name: first[name] for name in first.keys() - kept.keys()})
        self._made.desk.settings.recent_changed.emit()
        history = self._made.desk.history
        del history._runs[1:]
        history.changed.emit()

    def close(self):
        """End the window, and undress the application as it was."""
        if self._made is not None:
            _close(self._made)
            self._made = None
        if self._application.styleSheet() != self._sheet:
            # Dressed, every window of other modules would open slowly.
            self._application.setStyleSheet(self._sheet)
            self._application.setPalette(self._shades)

    def _state(self):
        """What tests may leave behind that nothing takes back before the next one."""
        desk, panels = self._made.desk, self._made.furnishing.panels
        return {
            "settings": dict(desk.settings._store._values),
            "runs": [run.session.uuid for run in desk.history.runs],
            "sheet": self._application.styleSheet(),
            "views": {name: panel.view_state() for name, panel in panels.items()},
        }

    def _moved(self):
        """The controls that stand elsewhere than at first, where, and how each is set.

        Those of lists, which come and go with the lists, are none of them.
        """
        for widget, read, write in self._controls():
            first = widget.property(FIRST)
            if first is not None and read(widget) != first:
                yield widget, first, write

    def _put_back(self):
        """Set such controls and panels again, as a user would; whether there were any."""
        moved = False
        for name, panel in self._made.furnishing.panels.items():
            if panel.view_state() != self._first["views"][name]:
                panel.restore_view(self._first["views"][name])
                moved = True
        for widget, first, write in list(self._moved()):
            write(widget, first)
            moved = True
        return moved

    def _controls(self):
        """Those that Python made. Qt's own, as the field in a spin box, are left alone: shiboken
        6.11 may trip over what it once wrapped and did not make, when the window is closed.
        """
        window = self._made.window
        own = [held for held in shiboken6.getAllValidWrappers()
               if isinstance(held, tuple(CONTROLS)) and shiboken6.createdByPython(held)
               and window.isAncestorOf(held)]  # fmt: skip
        for kind, (read, write) in CONTROLS.items():
            for widget in own:
                if isinstance(widget, kind):
                    yield widget, read, write


FIRST = "at first"  # a property of a control: what it stood at
CONTROLS = {  # of a form: how it is read what they stand at, and how it is set
    QAbstractButton: (QAbstractButton.isChecked, QAbstractButton.setChecked),
    QSlider: (QSlider.value, QSlider.setValue),
    QAbstractSpinBox: (
        QAbstractSpinBox.text,
        lambda box, said: box.setValue(box.valueFromText(said)),
    ),
    QComboBox: (QComboBox.currentText, QComboBox.setCurrentText),
    QLineEdit: (QLineEdit.text, QLineEdit.setText),
    QPlainTextEdit: (QPlainTextEdit.toPlainText, QPlainTextEdit.setPlainText),
    QTabWidget: (QTabWidget.currentIndex, QTabWidget.setCurrentIndex),
}


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
            until(lambda: made.desk.library.shelf.checks is not None or made.desk.notices.history)
            assert [notice.as_text for notice in made.desk.notices.history] == []
            until(lambda: made.runner.idle)
            for name in made.furnishing.panels.names:  # a late one would come within a test
                assert made.furnishing.panels[name].isWidgetType()
            made.furnishing.panels["node_card"].curve.made()
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
    until(lambda: _at_rest(live_bench))
    desk.albums.aim(corrupt=False)
    desk.draft.update(
        prompt=example.clean, corrupt=example.corrupt, answer=example.answer, wrong=example.wrong,
        image=None, corrupt_image=None,
    )  # fmt: skip
    if desk.workspace.session is None or desk.workspace.offline:
        # A test before ran a model of its own: its session is still on screen.
        single = Question(example.clean, None, example.answer, example.wrong)
        live_bench.runner.ask(Examine(single, example=True))
        until(lambda: _at_rest(live_bench))
    live_bench.runner.ask(ReadDraft(desk.draft.text))
    until(lambda: _at_rest(live_bench))
    return live_bench


@pytest.fixture
def seeing(live, qtbot):
    """The live window with shapes-resnet, an image run and nothing selected."""
    live.handlers.load("shapes-resnet")
    workspace = live.desk.workspace
    qtbot.waitUntil(
        lambda: workspace.model is not None and workspace.model.sees, timeout=acts.PATIENCE
    )
    acts.rest(live, qtbot)
    live.desk.draft.fill(Question(load_image_set("shapes").image(45)))
    acts.rest(live, qtbot)
    live.window.actions_table.trigger(CommandId.RUN)
    acts.rest(live, qtbot)
    assert workspace.session.clean.image is not None
    live.desk.selection.clear()
    return live


def _bench():
    window = MainWindow()
    made = Workbench(window, MemoryStore())
    made.furnishing.finish()
    made.furnishing.panels["node_card"].curve.made()
    window.show()
    window.activateWindow()
    until(window.windowHandle().isExposed)
    return made


def _checked_once(perform):
    """Self-checks that each model goes through once: every test that loads one has them after."""
    reports = {}

    @functools.wraps(perform)  # for who unwraps it
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
    until(lambda: _at_rest(made))
    if changed:
        _first[made.window] = _layout(made.window)


def _at_rest(made):
    """Whether all is done; what waits for its turn is done at once, and painted only once."""
    made.runner.turns.finish()
    return made.runner.idle and not made.updating


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
