"""What measurements share: the window, when it counts as drawn, and how figures are told."""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QEventLoop, QObject

import microtome_resources as resources


def _neighbour(name: str) -> None:
    """Make a helper module beside this file known; importlib mode puts no folder on the path."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec
    assert spec.loader
    sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[name])


_neighbour("sweep_work")
_neighbour("peer_projection")

NEAR = 1.05  # reached means within 5 %
_QUIET = 0.05  # seconds without a repaint after which nothing more is coming


def pump(until: Callable[[], object], patience: float = 300.0) -> None:
    """Run the event loop until something holds."""
    end = time.perf_counter() + patience
    while not until():
        QCoreApplication.processEvents(QEventLoop.ProcessEventsFlag.AllEvents, 5)
        assert time.perf_counter() < end, "waited too long"


def figure(
    name: str,
    rounds: Sequence[float],
    unit: str,
    most: float | None = None,
    least: float | None = None,
    told: str = "median",
) -> float:
    """Print one line a figure; the median, or what ``told`` names of "median" and "longest"."""
    value = median(rounds) if told == "median" else max(rounds)
    spread = f"{min(rounds):.4g} to {max(rounds):.4g}, n = {len(rounds)}"
    line = f"FIGURE {name}: median {median(rounds):.4g} {unit} ({spread})"
    if most is not None:
        verdict = "reached" if value <= most * NEAR else "MISSED"
        line += f"; wanted {told} ≤ {most:g} {unit}: {verdict}"
    if least is not None:
        verdict = "reached" if value >= least / NEAR else "MISSED"
        line += f"; wanted {told} ≥ {least:g} {unit}: {verdict}"
    print(line)
    return value


class Repaints(QObject):
    """Counts how often a window has painted what changed in it."""

    def __init__(self, window: QObject) -> None:
        super().__init__(window)
        self.count = 0
        window.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 - Qt's name
        self.count += event.type() == QEvent.Type.UpdateRequest
        return False


def at_rest(bench) -> bool:
    """Nothing under way, commands looked at, the circuit's picture and the 3-D pictures whole."""
    if not bench.runner.idle or bench.updating:
        return False
    canvas = bench.furnishing.panels["circuit"].canvas
    timers = [canvas._settle, canvas._arranging]
    for layer in (canvas.edges, canvas.path_edges):
        timers += [layer._idle, layer._slices]
    if any(timer.isActive() for timer in timers) or not canvas.edges.settled:
        return False
    views = [pane.view for pane in bench.furnishing.panels["feature_space"].grid.panes]
    scenes = [view.drawn for view in views if hasattr(view, "drawn")]
    return not any(scene._stale and not scene.visibleRegion().isEmpty() for scene in scenes)


def until_drawn(bench, begun: Callable[[], object] = lambda: True) -> float:
    """Run the event loop until ``begun`` holds and all is drawn; the time of the last repaint.

    Seconds of ``time.perf_counter``. The moment of quiet that shows that nothing follows is not
    part of it.
    """
    repaints, last = Repaints(bench.window), time.perf_counter()
    end = last + 300
    while time.perf_counter() - last < _QUIET:
        before = repaints.count
        QCoreApplication.processEvents(QEventLoop.ProcessEventsFlag.AllEvents, 5)
        if repaints.count != before or not begun() or not at_rest(bench):
            last = time.perf_counter()
        assert last < end, "waited too long"
    bench.window.removeEventFilter(repaints)
    repaints.deleteLater()
    return last


@pytest.fixture(scope="session")
def live_bench(qapp):
    """A window as a user has it: words-4l loaded, its example run, its checks done."""
    from microtome_desktop import theme
    from microtome_desktop.state.settings import MemoryStore
    from microtome_desktop.views.fonts import text_font
    from microtome_desktop.views.main_window import MainWindow
    from microtome_desktop.views.workbench import Workbench

    theme.apply(qapp)
    qapp.setFont(text_font())
    window = MainWindow()
    bench = Workbench(window, MemoryStore())
    window.show()
    bench.start()
    pump(lambda: bench.desk.library.shelf.checks is not None and bench.runner.idle)
    yield bench
    bench.shut_down()
    bench.desk.workspace.mark_clean()
    window.close()


@pytest.fixture
def live(live_bench):
    """The window with words-4l and its example in it, whatever was measured before."""
    from microtome_desktop.commands.command import CommandId

    desk, example = live_bench.desk, resources.START_EXAMPLE
    desk.workspace.mark_clean()
    if desk.workspace.model is None or desk.workspace.model.name != example.model:
        live_bench.handlers.load(example.model)
        pump(lambda: desk.library.shelf.checks is not None and live_bench.runner.idle)
    desk.draft.update(prompt=example.clean, corrupt="", answer=example.answer, wrong=example.wrong)
    pump(lambda: live_bench.runner.idle and not live_bench.updating)
    before = desk.workspace.session
    live_bench.window.actions_table.trigger(CommandId.RUN)
    until_drawn(live_bench, lambda: desk.workspace.session is not before)
    assert desk.workspace.model.name == "words-4l"
    assert desk.workspace.session.circuit is not None
    return live_bench


@pytest.fixture(scope="session")
def measuring():
    """The functions above, for modules that cannot import them."""
    return sys.modules[__name__]
