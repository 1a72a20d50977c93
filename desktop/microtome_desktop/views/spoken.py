"""What screen readers are told of a widget that paints itself: its role, and what is on it now."""

from __future__ import annotations

from functools import cache

from PySide6.QtCore import QObject
from PySide6.QtGui import QAccessible, QAccessibleAnnouncementEvent, QAccessibleInterface
from PySide6.QtWidgets import QAccessibleWidget, QFrame, QGraphicsView, QScrollArea, QWidget

_OURS = __name__.partition(".")[0]


@cache
def install() -> None:
    """Give what is painted the role of a picture, from now on; the library has none for it."""
    QAccessible.installFactory(_interface)


def tell(widget: QWidget, said: str) -> None:
    """Say what a widget shows now; who has the keyboard on it hears it at once.

    Without a reader on this machine that is a comparison of two texts.
    """
    if said == widget.accessibleDescription():
        return
    widget.setAccessibleDescription(said)
    if QAccessible.isActive() and widget.hasFocus():
        QAccessible.updateAccessibility(QAccessibleAnnouncementEvent(widget, said))


def name_areas(panel: QWidget, title: str) -> None:
    """Call a panel, and the areas in it that only scroll, by its title."""
    for area in (panel, *panel.findChildren(QScrollArea)):
        if not area.accessibleName():
            area.setAccessibleName(title)


def is_painted(widget: QObject) -> bool:
    """Whether a widget is a drawing of ours: a scene, or a plain widget with a painter.

    One that has the keyboard for the scene within it is told of by ``stands_for``.
    """
    if isinstance(widget, QGraphicsView) or hasattr(widget, "stands_for"):
        return True
    classes = type(widget).__mro__
    ours = [kind for kind in classes if kind.__module__.partition(".")[0] == _OURS]
    base = next(kind for kind in classes if kind not in ours)
    return base in (QWidget, QFrame) and any("paintEvent" in vars(kind) for kind in ours)


def _interface(_class: str, made: QObject) -> QAccessibleInterface | None:
    if isinstance(made, QWidget) and is_painted(made):
        return QAccessibleWidget(made, QAccessible.Role.Graphic)
    return None
