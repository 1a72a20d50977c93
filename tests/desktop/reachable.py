"""What a keyboard and a screen reader lack in a window, for tests: names, roles, ways there."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QAccessible
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractScrollArea,
    QAbstractSlider,
    QAbstractSpinBox,
    QComboBox,
    QHeaderView,
    QKeySequenceEdit,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QScrollArea,
    QScrollBar,
    QTabBar,
    QTableView,
    QTabWidget,
    QTextEdit,
    QWidget,
)

from microtome_desktop.views.card import TitleBar
from microtome_desktop.views.palette_window import Palette

CONTROLS = (
    QAbstractButton, QAbstractItemView, QAbstractSlider, QAbstractSpinBox, QComboBox, QLineEdit,
    QPlainTextEdit, QTabBar, QTextEdit,
)  # fmt: skip
# What the library makes within its own widgets, and serves for them.
PARTS = (QHeaderView, QScrollBar)
OWNERS = (QAbstractItemView, QAbstractSpinBox, QComboBox, QLineEdit)


def takes_tab(widget):
    return bool(widget.focusPolicy() & Qt.FocusPolicy.TabFocus)


def takes_mouse(widget):
    """Whether its class, one of ours, answers a press of the mouse."""
    ours = (kind for kind in type(widget).__mro__ if kind.__module__.startswith("microtome"))
    return any("mousePressEvent" in vars(kind) for kind in ours)


def is_part(widget):
    above = widget.parentWidget()
    if isinstance(widget, QTabWidget) or (
        isinstance(above, QAbstractScrollArea) and type(widget) is QWidget
    ):
        return True  # its tabs, or the area around it, are reached for it
    while above is not None:
        if isinstance(above, OWNERS):
            return True
        above = above.parentWidget()
    return isinstance(widget, PARTS) or widget.objectName().startswith("qt_")


def controls(ground):
    """Everything in a window or panel that a person acts on."""
    for widget in ground.findChildren(QWidget):
        acts = isinstance(widget, CONTROLS) or takes_tab(widget) or takes_mouse(widget)
        if acts and not is_part(widget):
            yield widget


def spoken(widget):
    """Its name and role as a screen reader gets them."""
    held = QAccessible.queryAccessibleInterface(widget)
    return held.text(QAccessible.Text.Name), held.role()


def told(widget):
    """What to call it in a message of a test."""
    parts, above = [], widget
    while above is not None and len(parts) < 4:
        parts.append(above.objectName() or type(above).__name__)
        above = above.parentWidget()
    return f"{type(widget).__name__} {' < '.join(parts)}"


def unnamed(ground):
    bare = [widget for widget in controls(ground) if not spoken(widget)[0].strip()]
    return [told(w) for w in bare if w.isVisible() or not is_blank(w)]


def is_blank(widget):
    """Whether nothing stands on it yet, as on the button of a place that has nothing to offer."""
    bare = isinstance(widget, QPushButton) and widget.icon().isNull()
    return (bare or isinstance(widget, QLabel)) and widget.text() == ""


def without_role(ground):
    roles = QAccessible.Role
    bare = (w for w in controls(ground) if spoken(w)[1] in {roles.NoRole, roles.Client})
    # The one only scrolls, the other holds a field for keys.
    return [told(w) for w in bare if not isinstance(w, QScrollArea | QKeySequenceEdit)]


def out_of_reach(ground):
    """Controls that neither Tab nor a command reaches."""
    return [told(w) for w in controls(ground) if not takes_tab(w) and not has_command(w)]


def has_command(widget):
    """Or keys of the field above it, as the list of the palette."""
    if isinstance(widget.parentWidget(), Palette):
        return True
    action = getattr(widget, "defaultAction", lambda: None)()
    return action is not None or isinstance(widget.parentWidget(), TitleBar)


def traps(ground):
    """Fields and tables that keep Tab for themselves."""
    tables = [w for w in ground.findChildren(QTableView) if w.tabKeyNavigation()]
    texts = (*ground.findChildren(QPlainTextEdit), *ground.findChildren(QTextEdit))
    kept = [w for w in texts if not w.tabChangesFocus() and not w.isReadOnly()]
    return [told(w) for w in (*tables, *kept)]


def everything_wrong(ground):
    return {
        check.__name__: found
        for check in (unnamed, without_role, out_of_reach, traps)
        if (found := check(ground))
    }
