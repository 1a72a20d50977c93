"""What measurements of the window share."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QCoreApplication, QEventLoop


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
    while bench.desk.library.shelf.checks is None or not bench.runner.idle:
        QCoreApplication.processEvents(QEventLoop.ProcessEventsFlag.AllEvents, 20)
    yield bench
    bench.shut_down()
    bench.desk.workspace.mark_clean()
    window.close()
