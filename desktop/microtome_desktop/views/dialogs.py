"""Small windows that show text: about, self-checks, messages."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QBrush, QColor
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QHeaderView,
    QLabel,
    QPlainTextEdit,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from microtome.records.checks import CheckReport, Verdict
from microtome_desktop import palette as colours
from microtome_desktop.commands.table import COMMANDS, MENUS
from microtome_desktop.state.notices import Notice
from microtome_desktop.views.fonts import mono_font

_VERDICTS = {  # by the name of its colour: the theme may change
    Verdict.PASS: "GOOD",
    Verdict.FAIL: "BAD",
    Verdict.SKIPPED: "TEXT_DIM",
}


class TextWindow(QDialog):
    """A text to read and copy; does not block the window."""

    def __init__(self, title: str, text: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.text = QPlainTextEdit(text)
        self.text.setAccessibleName(title)
        self.text.setReadOnly(True)
        self.text.setFont(mono_font(12))
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        self.buttons.rejected.connect(self.close)
        layout = QVBoxLayout(self)
        layout.addWidget(self.text)
        layout.addWidget(self.buttons)
        self.resize(640, 420)


def help_text() -> str:
    """What every command does and its keys, from the command table."""
    lines = ["Type a prompt, press Return, and walk the circuit that produced the answer.", ""]
    for menu in MENUS:
        rows = [row for row in COMMANDS if row.menu == menu]
        lines += [menu, *(f"  {row.title:<26}{row.shortcut:<16}{row.tip}" for row in rows), ""]
    return "\n".join(lines)


def messages_text(history: list[Notice]) -> str:
    """All notices so far, newest last."""
    if not history:
        return "Nothing has been reported."
    return "\n\n----\n\n".join(notice.as_text for notice in history)


class ChecksWindow(QDialog):
    """What the self-checks found, a row a check."""

    def __init__(self, report: CheckReport, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle(f"Self-checks of {report.model}")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.table = QTreeWidget()
        self.table.setAccessibleName("self-checks")
        self.table.setObjectName("checks")
        self.table.setRootIsDecorated(False)
        self.table.setHeaderLabels(["", "Check", "Verdict", "Measured", "Allowed", "Reason"])
        for result in report.results:
            measured, allowed = result.measured, result.allowed
            item = QTreeWidgetItem(
                [
                    str(result.number),
                    result.title,
                    str(result.verdict),
                    "" if measured is None else f"{measured:.2g}",
                    "" if allowed is None else f"{allowed:.2g}",
                    result.reason,
                ]
            )
            item.setForeground(2, QBrush(QColor(getattr(colours, _VERDICTS[result.verdict]))))
            item.setToolTip(5, result.reason)
            self.table.addTopLevelItem(item)
        header = self.table.header()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.close)
        summary = "No check failed" if report.passed else f"{len(report.failures)} checks failed"
        layout = QVBoxLayout(self)
        layout.addWidget(QLabel(f"{summary}, {report.dtype}, {report.seconds:.1f} s"))
        layout.addWidget(self.table)
        layout.addWidget(buttons)
        self.resize(980, 440)
