"""What the robot can do: each deed is chosen with its arguments, which can be written down.

``choose`` gives the arguments as JSON holds them, or None where there is nothing to do it with;
``act`` does it with the arguments alone, so that a log can be done again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from answers import WORDS
from faults import Faults
from places import address, reachable, there
from PySide6.QtCore import QAbstractTableModel, QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QGraphicsView,
    QLineEdit,
    QPlainTextEdit,
    QTabBar,
    QWidget,
)

from microtome_desktop.commands.command import CommandId
from microtome_desktop.commands.table import COMMANDS
from microtome_desktop.state.settings import THEMES

LEFT, RIGHT = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton
# Quitting ends the robot; the answer of its dialogs is in tests of their own.
_NEVER = {CommandId.QUIT}
_OFTEN = {CommandId.RUN: 6, CommandId.STOP: 4, CommandId.SAVE: 3, CommandId.SAVE_AS: 3}
MODELS = (
    "words-4l", "induction-exact-tiny", "induction-exact", "shapes-resnet", "shapes-resnet-b",
)  # fmt: skip
_KEYS = {
    "Tab": Qt.Key.Key_Tab, "Return": Qt.Key.Key_Return, "Escape": Qt.Key.Key_Escape,
    "Left": Qt.Key.Key_Left, "Right": Qt.Key.Key_Right, "Up": Qt.Key.Key_Up,
    "Down": Qt.Key.Key_Down, "Space": Qt.Key.Key_Space, "Home": Qt.Key.Key_Home,
    "End": Qt.Key.Key_End, "Delete": Qt.Key.Key_Delete, "+": Qt.Key.Key_Plus,
}  # fmt: skip
_MODIFIERS = {
    "": Qt.KeyboardModifier.NoModifier,
    "shift": Qt.KeyboardModifier.ShiftModifier,
    "ctrl": Qt.KeyboardModifier.ControlModifier,
}


@dataclass(frozen=True)
class Deed:
    """Something a user does; the greater ``often``, the likelier."""

    often: int
    choose: Any
    act: Any


def _pick(rng, widgets):
    """The address of one of them, as an argument."""
    return {"where": address(rng.choice(widgets))} if widgets else None


# ---------------------------------------------------------------- commands


def choose_command(robot, rng):
    actions = robot.window.actions_table.actions
    rows = [row.id for row in COMMANDS if row.id not in _NEVER and actions[row.id].isEnabled()]
    weights = [_OFTEN.get(row, 1) for row in rows]
    return {"wanted": str(rng.choices(rows, weights)[0])}


def take_command(robot, wanted):
    robot.window.actions_table.actions[CommandId(wanted)].trigger()


def choose_model(robot, rng):
    return {"name": rng.choice(MODELS)}


def switch_model(robot, name):
    """From the menu, as it is filled when it opens."""
    menu = robot.bench.menus.models
    menu.aboutToShow.emit()
    next(action for action in menu.actions() if action.data() == name).trigger()


def choose_theme(robot, rng):
    return {"name": rng.choice(THEMES)}


def switch_theme(robot, name):
    robot.bench.desk.settings.theme = name


# ---------------------------------------------------------------- the mouse


def choose_button(robot, rng):
    buttons = [b for b in reachable(QAbstractButton) if not _of_title(b)]
    return _pick(rng, buttons)


def _of_title(button):
    """Buttons of a card's title: floating and maximising are deeds of their own."""
    return button.parentWidget() is not None and hasattr(button.parentWidget(), "floating")


def click(robot, where):
    button = robot.find(where)
    if button is not None:
        QTest.mouseClick(button, LEFT)


def choose_place(robot, rng):
    """A canvas or a strip, and a way over it; sometimes a click alone."""
    kinds = [w for w in reachable(QWidget) if _takes_mouse(w)]
    kinds += [view.viewport() for view in reachable(QGraphicsView)]
    chosen = _pick(rng, kinds)
    if chosen is None:
        return None
    points = [(round(rng.random(), 3), round(rng.random(), 3)) for _ in range(rng.choice((1, 4)))]
    right = rng.random() < 0.1
    return {**chosen, "way": points, "held": rng.choice(list(_MODIFIERS)), "right": right}


def _takes_mouse(widget):
    """Whether the program itself says what the mouse does there."""
    own = type(widget).__module__.startswith("microtome_desktop")
    return own and any("mousePressEvent" in vars(kind) for kind in type(widget).__mro__
                       if kind.__module__.startswith("microtome_desktop"))  # fmt: skip


def drag(robot, where, way, held, right):
    widget = robot.find(where)
    if widget is None:
        return
    button, modifier = RIGHT if right else LEFT, _MODIFIERS[held]
    points = [QPoint(round(x * widget.width()), round(y * widget.height())) for x, y in way]
    QTest.mouseMove(widget, points[0])
    QTest.mousePress(widget, button, modifier, points[0])
    for point in points[1:]:
        QTest.mouseMove(widget, point)
    if there(widget):  # a press may take it off the screen
        QTest.mouseRelease(widget, button, modifier, points[-1])


def choose_wheel(robot, rng):
    chosen = choose_place(robot, rng)
    if chosen is None:
        return None
    turn, at = rng.choice((-240, -120, 120, 240)), chosen["way"][0]
    return {"where": chosen["where"], "at": at, "turn": turn, "held": chosen["held"]}


def wheel(robot, where, at, turn, held):
    widget = robot.find(where)
    if widget is not None:
        place = QPointF(at[0] * widget.width(), at[1] * widget.height())
        event = QWheelEvent(
            place, QPointF(widget.mapToGlobal(place.toPoint())), QPoint(), QPoint(0, turn),
            Qt.MouseButton.NoButton, _MODIFIERS[held], Qt.ScrollPhase.NoScrollPhase, False,
        )  # fmt: skip
        QApplication.sendEvent(widget, event)


def choose_row(robot, rng):
    lists = [
        view for view in reachable(QAbstractItemView) if view.model() and view.model().rowCount()
    ]
    chosen = _pick(rng, lists)
    return chosen and {**chosen, "share": round(rng.random(), 3), "twice": rng.random() < 0.3}


def _rows(view):
    return 0 if view.model() is None else view.model().rowCount()


def click_row(robot, where, share, twice):
    view = robot.find(where)
    if view is None or not _rows(view):
        return
    model = view.model()
    row = int(share * model.rowCount())
    across = model.columnCount() if isinstance(model, QAbstractTableModel) else 1
    index = model.index(row, int(share * 97) % max(1, across))
    view.scrollTo(index)
    place = view.visualRect(index).center()
    QTest.mouseClick(view.viewport(), LEFT, pos=place)
    if twice and there(view):
        QTest.mouseDClick(view.viewport(), LEFT, pos=place)


def choose_tab(robot, rng):
    bars = [bar for bar in reachable(QTabBar) if bar.count() > 1]
    chosen = _pick(rng, bars)
    return chosen and {**chosen, "share": round(rng.random(), 3)}


def click_tab(robot, where, share):
    bar = robot.find(where)
    if bar is not None:
        QTest.mouseClick(bar, LEFT, pos=bar.tabRect(int(share * bar.count())).center())


# ---------------------------------------------------------------- fields


def choose_field(robot, rng):
    fields = [f for f in reachable(QLineEdit, QPlainTextEdit) if not f.isReadOnly()]
    chosen = _pick(rng, fields)
    return chosen and {**chosen, "text": rng.choice(WORDS), "confirm": rng.random() < 0.6}


def type_in(robot, where, text, confirm):
    field = robot.find(where)
    if field is None:
        return
    field.setFocus()
    field.selectAll()
    for letter in text:
        if not there(field):
            return
        if letter.isascii():
            QTest.keyClick(field, letter)
    if confirm and there(field):
        QTest.keyClick(field, Qt.Key.Key_Return)


def choose_value(robot, rng):
    controls = reachable(QComboBox, QAbstractSlider, QAbstractSpinBox)
    chosen = _pick(rng, controls)
    keys = [rng.choice(("Up", "Down", "Home", "End")) for _ in range(rng.randint(1, 4))]
    return chosen and {**chosen, "keys": keys}


def press_keys(robot, where, keys):
    control = robot.find(where)
    for key in keys:
        if there(control):
            QTest.keyClick(control, _KEYS[key])


def choose_key(robot, rng):
    return {"key": rng.choice(list(_KEYS)), "held": rng.choice(("", "", "shift"))}


def press_key(robot, key, held):
    target = QApplication.focusWidget() or robot.window
    if there(target):
        QTest.keyClick(target, _KEYS[key], _MODIFIERS[held])


# ---------------------------------------------------------------- windows


def choose_panel(robot, rng):
    return {"name": rng.choice(sorted(robot.window.cards))}


def show_panel(robot, name):
    robot.window.show_panel(name)


def choose_dock(robot, rng):
    return {"name": rng.choice(sorted(robot.window.docks))}


def float_or_dock(robot, name):
    robot.window.docks[name].bar.floating.click()


def maximise(robot, name):
    robot.window.cards[name].bar.maximise_clicked.emit()


def choose_size(robot, rng):
    return {"width": rng.randrange(900, 1900), "height": rng.randrange(650, 1180)}


def resize(robot, width, height):
    if not robot.window.isFullScreen():
        robot.window.resize(width, height)


def choose_other_window(robot, rng):
    others = [w for w in QApplication.topLevelWidgets()
              if w.isVisible() and w is not robot.window and w.parentWidget() is not None
              and w.isWindow() and not hasattr(w, "bar")]  # fmt: skip
    return _pick(rng, others)


def close_window(robot, where):
    other = robot.find(where)
    if other is not None:
        other.close()


# ---------------------------------------------------------------- what goes wrong


def choose_fault(robot, rng):
    return {"kind": rng.choice(Faults.KINDS), "number": rng.randrange(10_000)}


def inject(robot, kind, number):
    robot.faults.arm(kind, number)


def nothing_to_choose(robot, rng):
    return {}


def stop(robot):
    robot.window.actions_table.actions[CommandId.STOP].trigger()


DEEDS = {
    "command": Deed(30, choose_command, take_command),
    "stop": Deed(6, nothing_to_choose, stop),
    "model": Deed(2, choose_model, switch_model),
    "theme": Deed(1, choose_theme, switch_theme),
    "button": Deed(22, choose_button, click),
    "drag": Deed(20, choose_place, drag),
    "wheel": Deed(6, choose_wheel, wheel),
    "row": Deed(8, choose_row, click_row),
    "tab": Deed(4, choose_tab, click_tab),
    "type": Deed(8, choose_field, type_in),
    "value": Deed(8, choose_value, press_keys),
    "key": Deed(6, choose_key, press_key),
    "panel": Deed(6, choose_panel, show_panel),
    "float": Deed(3, choose_dock, float_or_dock),
    "maximise": Deed(2, choose_panel, maximise),
    "resize": Deed(3, choose_size, resize),
    "close": Deed(6, choose_other_window, close_window),
    "fault": Deed(5, choose_fault, inject),
}
