"""Cards: what every panel sits in, as a dock or in the centre of the window."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, QPoint, Qt, Signal, SignalInstance
from PySide6.QtGui import QIcon, QShowEvent
from PySide6.QtWidgets import (
    QDockWidget,
    QHBoxLayout,
    QLabel,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from microtome_desktop.views.fonts import text_font

EXPORT_TIP = "Export this panel"
MAXIMISE_TIP = "Let this panel fill the window"
_FLOATS_AWAY = QPoint(-48, 32)
RESTORE_TIP = "Put all panels back"


def tiny_button(tip: str) -> QToolButton:
    """A button as small as those of a title bar."""
    button = QToolButton()
    button.setObjectName("tiny")
    button.setToolTip(tip)
    button.setAccessibleName(tip)
    button.setFixedSize(22, 22)
    button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    return button


def _quiet_button(tip: str) -> QToolButton:
    """One that Tab passes by: a command does the same for the panel that has the keyboard."""
    button = tiny_button(tip)
    button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    return button


class TitleBar(QWidget):
    """Icon, name in small capitals, and the buttons that export, float and close a panel."""

    maximise_clicked = Signal()
    float_clicked = Signal()
    close_clicked = Signal()

    def __init__(self, title: str, parent: QWidget | None = None, *, movable: bool = True) -> None:
        super().__init__(parent)
        self.setObjectName("card_title")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._icons = QIcon(), QIcon()
        self.picture = QLabel()
        self.name = QLabel(title.upper())
        self.name.setObjectName("card_name")
        font = text_font(11)
        font.setLetterSpacing(font.SpacingType.AbsoluteSpacing, 0.6)
        self.name.setFont(font)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(10, 6, 6, 2)
        layout.setSpacing(6)
        layout.addWidget(self.picture)
        self.name.setMinimumWidth(30)  # a narrow panel cuts its name, not its buttons
        layout.addWidget(self.name, 1)
        self.export = _quiet_button(EXPORT_TIP)
        layout.addWidget(self.export)
        self.maximise = self._button(MAXIMISE_TIP, self.maximise_clicked)
        layout.addWidget(self.maximise)
        self.floating = self._button("Float or dock this panel", self.float_clicked)
        hide = "Hide this panel; the View menu shows it again"
        self.close_button = self._button(hide, self.close_clicked)
        for button in (self.floating, self.close_button):
            button.setVisible(movable)
            layout.addWidget(button)

    def _button(self, tip: str, signal: SignalInstance) -> QToolButton:
        button = _quiet_button(tip)
        button.clicked.connect(signal)
        return button

    def leave_unnamed(self) -> None:
        """Show the buttons alone, where a tab beside them has the name."""
        self.setObjectName("card_buttons")
        self.picture.hide()
        self.name.hide()

    def show_maximised(self, on: bool) -> None:
        """The button says what it does next."""
        self.maximise.setIcon(self._icons[on])
        tip = RESTORE_TIP if on else MAXIMISE_TIP
        self.maximise.setToolTip(tip)
        self.maximise.setAccessibleName(tip)

    def set_icons(
        self, picture: QIcon, larger: QIcon, smaller: QIcon, floating: QIcon, close: QIcon
    ) -> None:
        """Icons come after the first frame: their library takes a fifth of a second."""
        self.picture.setPixmap(picture.pixmap(15, 15))
        self._icons = larger, smaller
        self.show_maximised(self.maximise.toolTip() == RESTORE_TIP)
        self.floating.setIcon(floating)
        self.close_button.setIcon(close)


_HINT = "Opening…"  # what a panel says until it is made


class Body(QWidget):
    """The lower part of a card: empty until its panel is made; ``bare`` when it is shown so."""

    bare = Signal()

    def __init__(self, hint: str = _HINT, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("card_body")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 4)
        self._layout.setSpacing(0)
        self._hint = QLabel(hint, alignment=Qt.AlignmentFlag.AlignCenter)
        self._hint.setObjectName("dock_empty")
        self._layout.addWidget(self._hint)

    def showEvent(self, event: QShowEvent) -> None:
        """Tell that somebody looks at a panel that is not made yet."""
        super().showEvent(event)
        if self._layout.count() == 1:
            self.bare.emit()

    def hold(self, widget: QWidget) -> None:
        """Show a panel in place of the hint."""
        self._hint.hide()
        self._layout.addWidget(widget, 1)

    def release(self) -> None:
        """Let the panel go and show the hint again."""
        while self._layout.count() > 1:
            item = self._layout.takeAt(1)
            widget = None if item is None else item.widget()
            if widget is not None:
                widget.hide()
                widget.setParent(None)
                widget.deleteLater()
        self._hint.show()


class Card(QWidget):
    """A title bar over a body, for the centre of the window."""

    def __init__(self, title: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.bar = TitleBar(title, movable=False)
        self.body = Body()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.bar)
        layout.addWidget(self.body, 1)


class CardDock(QDockWidget):
    """A dock that looks like a card."""

    def __init__(self, name: str, title: str, parent: QWidget | None = None) -> None:
        super().__init__(title, parent)
        self.setObjectName(f"dock_{name}")
        self.bar = TitleBar(title)
        self.body = Body()
        self.setTitleBarWidget(self.bar)
        self.setWidget(self.body)
        self.bar.float_clicked.connect(self._toggle_floating)
        self.bar.close_clicked.connect(self.close)
        self.bar.installEventFilter(self)

    def _toggle_floating(self) -> None:
        place = self.mapToGlobal(QPoint())
        self.setFloating(not self.isFloating())
        if self.isFloating():  # where it was it would look as if nothing had happened
            self.move(place + _FLOATS_AWAY)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """A double click on the title bar floats or docks the panel."""
        if watched is self.bar and event.type() == QEvent.Type.MouseButtonDblClick:
            self._toggle_floating()
            return True
        return super().eventFilter(watched, event)
