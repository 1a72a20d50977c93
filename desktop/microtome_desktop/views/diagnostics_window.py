"""Windows that tell of this program: about, and what helps to find a fault."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import qVersion
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QDialogButtonBox, QPushButton, QWidget

from microtome_desktop.state.diagnostics import Found, report, versions
from microtome_desktop.state.settings import Settings
from microtome_desktop.views.dialogs import TextWindow

_OPEN_TO_FILES = "2.0.0"  # of HDF5: CVE-2025-44904 and others, reached by opening a file


def about_text(hdf5: str = "") -> str:
    """Versions of Microtome and of what it stands on; HDF5's comes later, from another thread."""
    lines = ["Microtome: look into neural networks, cut them, keep what you found.", ""]
    lines += versions(qVersion(), hdf5)
    if hdf5 == _OPEN_TO_FILES:
        lines += ["", f"HDF5 {hdf5} has known faults that a crafted file can use: sessions from"]
        lines += ["elsewhere are tried in a process of their own before they are opened."]
    return "\n".join(lines)


class AboutWindow(TextWindow):
    """The versions, and the way to all the rest that helps."""

    def __init__(self, diagnostics: Callable[[], None], parent: QWidget) -> None:
        super().__init__("About Microtome", about_text(), parent)
        self.more = QPushButton("Copy diagnostics…")
        self.more.clicked.connect(diagnostics)
        self.buttons.addButton(self.more, QDialogButtonBox.ButtonRole.ActionRole)

    def show_found(self, found: Found) -> None:
        """Tell the version of HDF5 too."""
        self.text.setPlainText(about_text(found.hdf5))


class DiagnosticsWindow(TextWindow):
    """All that would be copied, to be read before it is."""

    def __init__(self, settings: Settings, parent: QWidget) -> None:
        super().__init__("Diagnostics", "Gathering…", parent)
        self._settings = settings
        self.copy = QPushButton("Copy")
        self.copy.setEnabled(False)
        self.copy.clicked.connect(self._copy)
        self.buttons.addButton(self.copy, QDialogButtonBox.ButtonRole.ActionRole)
        self.resize(900, 620)

    def show_found(self, found: Found) -> None:
        """Show the whole text; from now on it can be copied."""
        self.text.setPlainText(report(self._settings, qVersion(), found))
        self.copy.setEnabled(True)

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self.text.toPlainText())
        self.copy.setText("Copied")
