"""What every test starts from: seeds, settings of its own, a screen, and nothing left behind."""

from __future__ import annotations

import gc
import importlib.util
import os
import random
import sys
import threading
import weakref
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    from PySide6.QtCore import QTimer

# Hub names must fail at once, and Qt asks for a runtime folder of its own.
os.environ["HF_HUB_OFFLINE"] = "1"
# Two threads that wait for each other on a busy machine are slower than one that works.
os.environ.setdefault("OMP_NUM_THREADS", "1")
if sys.platform.startswith("linux") and not {"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys():
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")


def _neighbour(name: str) -> Any:
    """A helper module beside this file; importlib mode puts no test folder on the path."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_neighbour("shape_checks").cheaper()

SEED = 0
SHORT_TICK_MS = 1000
LEAK_CHECKED = Path(__file__).parent / "desktop"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what draws through OpenGL where Qt has none."""
    if os.environ.get("QT_QPA_PLATFORM") != "offscreen":
        return
    for item in items:
        if item.get_closest_marker("gl"):
            item.add_marker(pytest.mark.skip(reason="Qt's offscreen platform has no OpenGL"))


def pytest_collection_finish() -> None:
    """Spare the collector what stays to the end anyway: all modules, and what they hold."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def runtime_folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Give Qt a private runtime folder where the session has none, as in a container."""
    if "XDG_RUNTIME_DIR" not in os.environ:
        folder = tmp_path_factory.mktemp("runtime")
        folder.chmod(0o700)
        os.environ["XDG_RUNTIME_DIR"] = str(folder)


@pytest.fixture(autouse=True)
def seeds() -> None:
    """Seed every generator; torch only where a test file has imported it."""
    random.seed(SEED)
    np.random.seed(SEED)  # noqa: NPY002  libraries still draw from the global generator
    if "torch" in sys.modules:
        import torch  # waits where a thread of a window is just importing it

        torch.manual_seed(SEED)


@pytest.fixture(autouse=True)
def settings_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the fresh folder that holds this test's settings, recent files and state."""
    folder = tmp_path / "settings"
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(folder / name.lower()))
    monkeypatch.setenv("MICROTOME_SETTINGS", str(folder / "microtome.ini"))
    return folder


@pytest.fixture(scope="session")
def test_data() -> Path:
    """Return the folder of models and files outside the repository, or skip."""
    named = os.environ.get("MICROTOME_TEST_DATA")
    if not named:
        pytest.skip("MICROTOME_TEST_DATA names no folder with models outside the repository")
    folder = Path(named)
    assert folder.is_dir(), f"MICROTOME_TEST_DATA names {folder}, which is no folder"
    return folder


@pytest.fixture
def local_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return a hub on this machine, and an empty cache; nothing else of the network is reached."""
    import huggingface_hub
    from huggingface_hub.utils import close_session

    hub = _neighbour("local_hub").LocalHub()
    constants = huggingface_hub.constants
    template = f"{hub.address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", hub.address)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    yield hub
    close_session()
    hub.close()


@pytest.fixture(autouse=True)
def no_leaks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fail a desktop test that leaves a window, a running thread or a ticking timer behind."""
    if LEAK_CHECKED not in request.path.parents:
        yield
        return
    from PySide6.QtCore import QThread, QTimer

    started, timers = _watch(monkeypatch, QThread), _watch(monkeypatch, QTimer)
    threads, windows = set(threading.enumerate()), _windows()
    yield
    _delete_what_qt_deletes_later()
    if _windows() - windows:
        # A window in a reference cycle goes only when the collector comes by.
        gc.collect()
        _delete_what_qt_deletes_later()
    left = _windows() - windows
    assert not left, f"windows left open: {left}"
    assert not [thread for thread in started if thread.isRunning()], "QThreads left running"
    _let_turns_end(timers)
    ticking = [f"{t.parent()} every {t.interval()} ms" for t in timers if ticks_for_nobody(t)]
    assert not ticking, f"timers left ticking: {ticking}"
    new = [thread for thread in threading.enumerate() if thread not in threads]
    assert not [thread for thread in new if not thread.daemon], "threads left running"


def _let_turns_end(timers: weakref.WeakSet) -> None:
    """Give timers without an interval the turns that they wait for: they stop by themselves."""
    from PySide6.QtCore import QCoreApplication

    for _ in range(100):
        if not any(ticks_for_nobody(timer) and timer.interval() == 0 for timer in timers):
            break
        QCoreApplication.processEvents()


def _watch(monkeypatch: pytest.MonkeyPatch, kind: type) -> weakref.WeakSet:
    """Remember every object of a kind, QThread or QTimer, that is started."""
    started: weakref.WeakSet = weakref.WeakSet()
    start = kind.start

    def watched_start(one: object, *arguments: object) -> None:
        started.add(one)
        # A signal brings the text that was typed: Qt's own start takes none of it.
        start(one, *(each for each in arguments if not isinstance(each, str)))

    monkeypatch.setattr(kind, "start", watched_start)
    return started


def ticks_for_nobody(timer: QTimer) -> bool:
    """Whether a timer goes on although no window holds it; a short last tick is let be."""
    import shiboken6
    from PySide6.QtCore import QCoreApplication
    from PySide6.QtWidgets import QApplication, QGraphicsObject

    if not shiboken6.isValid(timer) or not timer.isActive():
        return False
    holder = timer
    while holder.parent() is not None:
        holder = holder.parent()
    if isinstance(holder, QGraphicsObject) and holder.scene() and holder.scene().views():
        holder = holder.scene().views()[0].window()  # what is drawn in a scene is no child of it
    held = holder is QCoreApplication.instance() or holder in QApplication.topLevelWidgets()
    return not held and not (timer.isSingleShot() and timer.interval() <= SHORT_TICK_MS)


def _windows() -> Counter[tuple[str, str]]:
    """Count the windows by kind and name; a reference to one would keep its panel alive."""
    from PySide6.QtWidgets import QApplication

    windows = QApplication.topLevelWidgets() if QApplication.instance() else []
    return Counter((type(each).__name__, each.objectName()) for each in windows)


def _delete_what_qt_deletes_later() -> None:
    from PySide6.QtCore import QCoreApplication, QEvent

    if QCoreApplication.instance():
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
