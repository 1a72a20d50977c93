"""The process around the window: the Qt application, and the net under every error."""

from __future__ import annotations

import logging
import os
import sys
import threading
from types import TracebackType

from PySide6.QtCore import (
    QCoreApplication,
    QMessageLogContext,
    QObject,
    Qt,
    QtMsgType,
    Signal,
    Slot,
    qInstallMessageHandler,
)
from PySide6.QtGui import QIcon
from PySide6.QtWidgets import QApplication

from microtome_desktop import theme
from microtome_resources import icon_paths

_log = logging.getLogger("microtome")


def make_application(arguments: list[str], wanted: str = "dark") -> QApplication:
    """The application, dressed in a theme; the one there is, when a window was open before."""
    existing = QApplication.instance()
    if isinstance(existing, QApplication):
        theme.apply(existing, wanted)
        return existing
    # Without this a 3-D panel goes blank as soon as it is floated.
    QCoreApplication.setAttribute(Qt.ApplicationAttribute.AA_ShareOpenGLContexts)
    application = QApplication(arguments)
    application.setApplicationName("Microtome")
    application.setOrganizationName("Microtome")
    application.setDesktopFileName("microtome")  # how a desktop finds entry and icon of a window
    application.setWindowIcon(_icon())
    theme.apply(application, wanted)
    return application


def _icon() -> QIcon:
    icon = QIcon()
    for path in icon_paths():
        icon.addFile(str(path))
    return icon


def draw_without_screen() -> None:
    """Have Qt draw into memory; to be called before there is an application."""
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    qInstallMessageHandler(_log_message)


def _log_message(_kind: QtMsgType, _context: QMessageLogContext, message: str | None) -> None:
    # Said once for each window by the platform without a screen, and of no use to anybody.
    if message and "propagateSizeHints" not in message:
        _log.warning(message)


class ErrorNet(QObject):
    """Catches what nobody else did, in any thread, and hands it to the GUI thread.

    ``caught`` carries the exception; it is logged as well, so that an error before there is a
    window is not lost.
    """

    caught = Signal(object)
    _from_any_thread = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._before = sys.excepthook, threading.excepthook
        self._from_any_thread.connect(self._tell)
        sys.excepthook = self._on_error
        threading.excepthook = self._on_thread_error

    def remove(self) -> None:
        """Put the hooks back that were there before."""
        sys.excepthook, threading.excepthook = self._before

    def _on_error(
        self, kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        if issubclass(kind, KeyboardInterrupt):
            QCoreApplication.quit()
            return
        _log.error("Unexpected error", exc_info=(kind, error, trace))
        self._from_any_thread.emit(error)

    def _on_thread_error(self, arguments: threading.ExceptHookArgs) -> None:
        if arguments.exc_value is not None:
            self._on_error(arguments.exc_type, arguments.exc_value, arguments.exc_traceback)

    @Slot(object)
    def _tell(self, error: BaseException) -> None:
        self.caught.emit(error)
