"""What a keyboard and a screen reader find: names, roles, ways there, and what is said."""

from __future__ import annotations

import pytest
from acts import rest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAccessible
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QHeaderView,
    QLineEdit,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QScrollArea,
    QScrollBar,
    QTableView,
    QTabBar,
    QTextEdit,
    QWidget,
)

from microtome_desktop.views.card import TitleBar
from microtome_desktop.views.panel_table import PLACES

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
    if widget.focusProxy() is not None:
        return True  # something else is reached for it
    above = widget.parentWidget()
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


@pytest.fixture
def window(bench, qtbot):
    """The window on the sample session with a head selected, every panel made and drawn."""
    circuit = bench.desk.workspace.session.circuit
    row = circuit.node_kind.index("head")
    bench.desk.selection.update(
        node=circuit.node_id[row], layer=int(circuit.node_layer[row]),
        head=int(circuit.node_head[row]), position=3, site="resid_post",
    )  # fmt: skip
    for place in PLACES:
        bench.window.show_panel(place.name)
    QApplication.processEvents()
    rest(bench, qtbot)
    return bench


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
    return [told(w) for w in bare if not isinstance(w, QScrollArea)]  # all it does is to scroll


def out_of_reach(ground):
    """Controls that neither Tab nor a command reaches."""
    return [told(w) for w in controls(ground) if not takes_tab(w) and not has_command(w)]


def has_command(widget):
    action = getattr(widget, "defaultAction", lambda: None)()
    return action is not None or isinstance(widget.parentWidget(), TitleBar)


def traps(ground):
    """Fields and tables that keep Tab for themselves."""
    tables = [w for w in ground.findChildren(QTableView) if w.tabKeyNavigation()]
    texts = (*ground.findChildren(QPlainTextEdit), *ground.findChildren(QTextEdit))
    kept = [w for w in texts if not w.tabChangesFocus() and not w.isReadOnly()]
    return [told(w) for w in (*tables, *kept)]


def test_whatever_one_acts_on_has_a_name_a_role_and_a_way_there(window):
    ground = window.window
    for found in (unnamed, without_role, out_of_reach, traps):
        print(found.__name__); print("\n".join(found(ground)))
    assert 0
