"""The field of the tool bar that opens the command palette."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QAction, QKeySequence, QPainter, QPaintEvent
from PySide6.QtWidgets import QPushButton, QStyle, QStyleOptionButton, QWidget

_WIDTH, _HEIGHT, _ICON, _MARGIN = 330, 30, 15, 10


class SearchField(QPushButton):
    """Looks like a field: magnifier, a hint, and the keys of the palette at the right end."""

    def __init__(self, hint: str, action: QAction, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("find_anything")
        self.setAccessibleName(hint)
        self.setFixedHeight(_HEIGHT)
        self.setMinimumWidth(_WIDTH)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setCursor(Qt.CursorShape.IBeamCursor)
        self._hint, self._action = hint, action
        action.changed.connect(self._follow)
        self.clicked.connect(action.trigger)

    def _follow(self) -> None:
        # The action's icon and keys come, and change, later.
        self.setToolTip(self._action.toolTip())
        self.update()

    def sizeHint(self) -> QSize:
        """Room for the hint and the keys."""
        return QSize(_WIDTH, _HEIGHT)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Frame, magnifier, hint, keys."""
        painter = QPainter(self)
        option = QStyleOptionButton()
        self.initStyleOption(option)
        self.style().drawControl(QStyle.ControlElement.CE_PushButtonBevel, option, painter, self)
        inside = self.rect().adjusted(_MARGIN, 0, -_MARGIN, 0)
        top = (self.height() - _ICON) // 2
        self._action.icon().paint(painter, inside.left(), top, _ICON, _ICON)
        painter.setPen(option.palette.buttonText().color())
        keys = self._action.shortcut().toString(QKeySequence.SequenceFormat.NativeText)
        painter.drawText(inside, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, keys)
        inside.setLeft(inside.left() + _ICON + 8)
        middle = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        painter.drawText(inside, middle, self._hint)
        painter.end()
