"""How the robot answers what asks for an answer: dialogs, menus, the system's file dialogs."""

from __future__ import annotations

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QDesktopServices
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QAbstractButton,
    QApplication,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QLineEdit,
    QMenu,
    QMessageBox,
    QPushButton,
)

_LOOK_MS = 15
_PATIENCE = 4  # answers to one dialog, then it is sent away
WORDS = (
    "the cat sat", "A B C A B", "hello", "", "3", "-1", "0.5", "1e9", "L2H1", "<b>x</b>",
    "\N{GREEK SMALL LETTER ALPHA}\N{DNA DOUBLE HELIX}", "nobody knows, she said", "x" * 300,
)  # fmt: skip


class Answers:
    """Answers whatever stands in the way, by numbers drawn from the deed's seed."""

    def __init__(self, patch, folder, drawn, note):
        """``drawn`` gives random numbers for the deed at hand, ``note`` writes an answer down."""
        self._folder, self._drawn, self._note = folder, drawn, note
        self._asked, self._times = None, 0
        self._timer = QTimer(interval=_LOOK_MS)
        self._timer.timeout.connect(self._look)
        self._timer.start()
        for name in ("getOpenFileName", "getSaveFileName"):
            patch.setattr(QFileDialog, name, lambda *_, **__: (self._path(), ""))
        patch.setattr(QFileDialog, "getOpenFileNames", lambda *_, **__: ([self._path()], ""))
        patch.setattr(QFileDialog, "getExistingDirectory", lambda *_, **__: self._place())
        patch.setattr(QDesktopServices, "openUrl", lambda _: True)

    def end(self):
        """Answer nothing any more."""
        self._timer.stop()

    def _path(self):
        """A file that is there, one that is not, or none: the dialog was left."""
        held = sorted(str(path) for path in self._folder.glob("*") if path.is_file())
        path = self._drawn().choice([*held, *held, self._new(), self._new(), ""])
        self._note("chose", path)
        return path

    def _new(self):
        ending = self._drawn().choice(("h5", "json", "graphml", "csv", "png", "svg", "txt"))
        return str(self._folder / f"made {self._drawn().randrange(20)}.{ending}")

    def _place(self):
        place = self._drawn().choice([str(self._folder), str(self._folder / "nowhere"), ""])
        self._note("chose", place)
        return place

    def _look(self):
        popup, modal = QApplication.activePopupWidget(), QApplication.activeModalWidget()
        asking = popup or modal
        if asking is None:
            self._asked = None
            return
        self._times = self._times + 1 if asking is self._asked else 1
        self._asked = asking
        if self._times > _PATIENCE:
            self._send_away(asking)
        elif isinstance(asking, QMenu):
            self._choose(asking)
        elif popup is not None:
            QTest.keyClick(popup, self._drawn().choice((Qt.Key.Key_Return, Qt.Key.Key_Escape)))
        elif isinstance(asking, QMessageBox):
            self._press(asking, asking.buttons())
        else:
            self._fill(asking)

    def _send_away(self, asking):
        self._note("sent away", type(asking).__name__)
        if isinstance(asking, QDialog):
            asking.reject()
        else:
            asking.close()

    def _choose(self, menu):
        actions = [a for a in menu.actions() if a.isEnabled() and a.isVisible() and not a.menu()]
        actions = [a for a in actions if not a.isSeparator()]
        if not actions or self._drawn().random() < 0.3:
            QTest.keyClick(menu, Qt.Key.Key_Escape)
            return
        action = self._drawn().choice(actions)
        self._note("chose", action.text())
        QTest.mouseClick(menu, Qt.MouseButton.LeftButton, pos=menu.actionGeometry(action).center())

    def _press(self, dialog, buttons):
        open_ones = [b for b in buttons if b.isEnabled() and b.isVisible()]
        if not open_ones:
            dialog.reject()
            return
        button = self._drawn().choice(open_ones)
        self._note("pressed", f"{button.text()} in {dialog.objectName() or type(dialog).__name__}")
        button.click()

    def _fill(self, dialog):
        """Type into a field or two, and press a button of the dialog's last line."""
        for field in dialog.findChildren(QLineEdit):
            if field.isVisible() and not field.isReadOnly() and self._drawn().random() < 0.5:
                named = "path" in field.objectName() or isinstance(dialog, QDialog)
                path = named and self._drawn().random() < 0.7
                field.setText(self._new() if path else self._drawn().choice(WORDS))
        boxes = dialog.findChildren(QDialogButtonBox)
        last = [button for box in boxes for button in box.buttons()]
        others = [] if last else dialog.findChildren(QAbstractButton)
        if not last and self._drawn().random() < 0.2:
            others = dialog.findChildren(QPushButton)
        self._press(dialog, last or others)
