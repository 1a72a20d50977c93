"""Widgets by an address that can be written down: the way to each from its window."""

from __future__ import annotations

import shiboken6
from PySide6.QtWidgets import QApplication, QWidget

_BETWEEN = " > "


def address(widget):
    """Where a widget is: kind, name and number among its like, from its window inward."""
    steps = []
    while widget is not None:
        steps.append(_step(widget))
        widget = None if widget.isWindow() else widget.parentWidget()
    return _BETWEEN.join(reversed(steps))


def find(where):
    """The widget at an address, None where there is none now."""
    found = None
    for step in where.split(_BETWEEN):
        found = next((w for w in _around(found) if _step(w) == step), None)
        if found is None:
            return None
    return found


def there(widget):
    """Whether a widget that was found is still there, after something was done to it."""
    return widget is not None and shiboken6.isValid(widget) and widget.isVisible()


def reachable(*kinds):
    """All widgets of these kinds that a mouse could reach now, with a modal dialog's alone."""
    modal = QApplication.activeModalWidget()
    windows = [modal] if modal is not None else _windows()
    inside = [w for window in windows for kind in kinds for w in window.findChildren(kind)]
    return [w for w in dict.fromkeys(inside) if w.isEnabled() and not w.visibleRegion().isEmpty()]


def _windows():
    return [w for w in QApplication.topLevelWidgets() if w.isVisible()]


def _around(parent):
    if parent is None:
        return _windows()
    return [child for child in parent.children() if isinstance(child, QWidget)]


def _step(widget):
    named = f"{type(widget).__name__} {widget.objectName()}".strip()
    parent = None if widget.isWindow() else widget.parentWidget()
    like = [w for w in _around(parent) if _kind(w) == _kind(widget)]
    return f"{named} #{like.index(widget)}" if widget in like and len(like) > 1 else named


def _kind(widget):
    return type(widget).__name__, widget.objectName()
