"""Notices as cards in the lower right corner: readable, never in the way of work."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, Qt, QTimer, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from microtome_desktop import palette as colours
from microtome_desktop.commands.command import CommandId
from microtome_desktop.commands.table import command
from microtome_desktop.state.notices import Level, Notice, Notices
from microtome_desktop.views.fonts import mono_font
from microtome_desktop.views.icons import icon

_WIDTH, _MARGIN, _MOST = 430, 14, 4
_LASTING_MS = 5_000  # what needs no action goes by itself
_LOOKS = {  # picture, and the name of its colour
    Level.INFO: ("mdi6.information-outline", "ACCENT"),
    Level.GOOD: ("mdi6.check-circle-outline", "GOOD"),
    Level.WARNING: ("mdi6.alert-outline", "WARM"),
    Level.ERROR: ("mdi6.alert-circle-outline", "BAD"),
}


class Toast(QWidget):
    """One notice; errors and warnings stay until they are closed."""

    taken = Signal(str)  # the id of the command that it offers

    def __init__(self, notice: Notice, parent: QWidget) -> None:
        super().__init__(parent)
        self.notice = notice
        self.setObjectName("toast")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setAccessibleName(notice.title)
        self.setFixedWidth(_WIDTH)
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(12, 10, 10, 10)
        self._layout.setSpacing(6)
        self._layout.addLayout(self._head())
        text = f"{notice.what} {notice.way_out}".strip()
        if text:
            self._layout.addWidget(_wrapped(text))
        if notice.details:
            self._add_details()
        if notice.offer:
            self._add_offer()

    def _head(self) -> QHBoxLayout:
        picture, colour = _LOOKS[self.notice.level]
        sign = QLabel()
        sign.setPixmap(icon(picture, getattr(colours, colour)).pixmap(18, 18))
        title = _wrapped(self.notice.title)
        font = title.font()
        font.setWeight(font.Weight.DemiBold)
        title.setFont(font)
        self.close_button = QToolButton()
        self.close_button.setObjectName("tiny")
        self.close_button.setIcon(icon("mdi6.close"))
        self.close_button.setToolTip("Close this message")
        self.close_button.setAccessibleName("Close this message")
        self.close_button.clicked.connect(self.close)
        head = QHBoxLayout()
        head.addWidget(sign, 0, Qt.AlignmentFlag.AlignTop)
        head.addWidget(title, 1)
        head.addWidget(self.close_button, 0, Qt.AlignmentFlag.AlignTop)
        return head

    def _add_details(self) -> None:
        self.details = QPlainTextEdit(self.notice.details)
        self.details.setReadOnly(True)
        self.details.setAccessibleName("details of the message")
        self.details.setFont(mono_font(11))
        self.details.setFixedHeight(150)
        self.details.hide()
        self.show_details = QPushButton("Details")
        self.show_details.setCheckable(True)
        self.show_details.toggled.connect(self._toggle_details)
        self.copy = QPushButton("Copy")
        self.copy.clicked.connect(self._copy)
        buttons = QHBoxLayout()
        buttons.addStretch(1)
        buttons.addWidget(self.show_details)
        buttons.addWidget(self.copy)
        self._layout.addWidget(self.details)
        self._layout.addLayout(buttons)

    def _add_offer(self) -> None:
        self.offer = QPushButton(command(CommandId(self.notice.offer)).title)
        self.offer.clicked.connect(self._take)
        self._layout.addWidget(self.offer, 0, Qt.AlignmentFlag.AlignRight)

    def _take(self) -> None:
        self.taken.emit(self.notice.offer)

    def _toggle_details(self, shown: bool) -> None:
        self.details.setVisible(shown)
        self.fit()

    def fit(self) -> None:
        """Take the height that the text needs; Qt's own measure is for a narrower card."""
        self._layout.activate()
        self.resize(_WIDTH, self._layout.totalHeightForWidth(_WIDTH))

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self.notice.as_text)


class Toasts(QObject):
    """Puts notices into the corner of a window, newest lowest."""

    taken = Signal(str)  # the id of a command that a notice offers

    def __init__(self, window: QWidget, notices: Notices) -> None:
        super().__init__(window)
        self._window = window
        self.shown: list[Toast] = []
        window.installEventFilter(self)
        notices.posted.connect(self._on_posted)

    def _on_posted(self, notice: Notice) -> None:
        toast = Toast(notice, self._window)
        toast.installEventFilter(self)
        toast.taken.connect(self.taken)
        toast.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.shown.append(toast)
        for old in self.shown[:-_MOST]:
            old.close()
        toast.show()
        toast.fit()
        self._arrange()
        if notice.level in (Level.INFO, Level.GOOD):
            QTimer.singleShot(_LASTING_MS, toast, toast.close)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Keep the corner when the window or a toast changes its size."""
        kind = event.type()
        if watched is self._window and kind == QEvent.Type.Resize:
            self._arrange()
        elif isinstance(watched, Toast) and kind in (QEvent.Type.Resize, QEvent.Type.Close):
            if kind == QEvent.Type.Close and watched in self.shown:
                self.shown.remove(watched)
            self._arrange()
        return False

    def _arrange(self) -> None:
        bottom = self._window.height() - _MARGIN - 30
        left = self._window.width() - _WIDTH - _MARGIN
        for toast in reversed(self.shown):
            toast.move(left, bottom - toast.height())
            toast.raise_()
            bottom -= toast.height() + 8


def _wrapped(text: str) -> QLabel:
    label = QLabel(text)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setWordWrap(True)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label
