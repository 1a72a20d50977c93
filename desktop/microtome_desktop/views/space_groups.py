"""The groups of points: their list beside the view, and what is done to them. All can be undone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from PySide6.QtCore import QEvent, QPoint, QSize, Qt, Signal
from PySide6.QtGui import QAction, QContextMenuEvent, QIcon, QKeyEvent
from PySide6.QtWidgets import QMenu, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from microtome.records.marks import PointGroup
from microtome_desktop import palette as colours
from microtome_desktop.presenters.point_groups import (
    COLOUR_NAMES,
    Pick,
    Points,
    changed,
    colour_of,
    count_text,
    free_name,
    next_colour,
)
from microtome_desktop.state.book import Book
from microtome_desktop.views.swatch import swatch

_SHOWN_ROWS = 9  # more groups than fit the panel are in the menu of the last line
_NAME_LETTERS = 16


class GroupRow(QToolButton):
    """One group: colour, name and count. A click rings its points, a right click opens its menu."""

    renamed_asked = Signal(str)
    deleted_asked = Signal(str)
    menu_asked = Signal(str, QPoint)

    def __init__(self, group: PointGroup) -> None:
        super().__init__()
        self.name = group.name
        self.setObjectName("point_group")
        self.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.setIcon(swatch(colour_of(group)))
        self.setIconSize(QSize(11, 11))
        short = group.name if len(group.name) <= _NAME_LETTERS else f"{group.name[:15]}…"
        self.setText(f"{short}  {len(group.points):,}".replace("&", "&&"))
        self.setCheckable(True)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.setStyleSheet(
            f"QToolButton {{ padding: 2px 5px 2px 2px; color: {colours.TEXT}; }}"
            f"QToolButton:focus {{ background: {colours.RAISED_MORE}; }}"
        )
        self.setAccessibleName(f"group {group.name}")
        self.setToolTip(
            f"{group.name}: {count_text(group)}\nClick to ring them; a right click offers more; "
            "F2 renames, Del deletes"
        )

    def event(self, event: QEvent) -> bool:
        """F2 and Del are ours while the row has the keyboard."""
        if isinstance(event, QKeyEvent) and event.key() in (Qt.Key.Key_F2, Qt.Key.Key_Delete):
            if event.type() == QEvent.Type.ShortcutOverride:
                event.accept()
                return True
            if event.type() == QEvent.Type.KeyPress:
                renames = event.key() == Qt.Key.Key_F2
                (self.renamed_asked if renames else self.deleted_asked).emit(self.name)
                return True
        return super().event(event)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """Ask for the menu of the group."""
        self.menu_asked.emit(self.name, event.globalPos())


class GroupList(QWidget):
    """The groups from above; hidden when there are none. Emits names."""

    chosen = Signal(str)
    renamed_asked = Signal(str)
    deleted_asked = Signal(str)
    menu_asked = Signal(str, QPoint)

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[GroupRow] = []
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 4)
        self._column.setSpacing(0)
        self.hide()

    def show_groups(self, groups: tuple[PointGroup, ...], current: str) -> None:
        """List these, one of them chosen."""
        for row in self.rows:
            self._column.removeWidget(row)
            row.hide()
            row.deleteLater()
        self.rows = [GroupRow(group) for group in groups[:_SHOWN_ROWS]]
        for row in self.rows:
            row.setChecked(row.name == current)
            row.clicked.connect(partial(self.chosen.emit, row.name))
            row.renamed_asked.connect(self.renamed_asked)
            row.deleted_asked.connect(self.deleted_asked)
            row.menu_asked.connect(self.menu_asked)
            self._column.addWidget(row)
        self.setVisible(bool(groups))

    def place_of(self, name: str) -> QPoint:
        """Where a group's row lies in this list."""
        found = (row for row in self.rows if row.name == name)
        row = next(found, None)
        return QPoint() if row is None else row.geometry().bottomLeft()


class GroupActs:
    """Changes the groups of the session on screen, each change a step in the book."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self.current = ""  # the group that Shift adds to

    @property
    def groups(self) -> tuple[PointGroup, ...]:
        """All groups, oldest first."""
        return self._book.marks.point_groups

    def find(self, name: str) -> PointGroup | None:
        """A group by its name."""
        return next((group for group in self.groups if group.name == name), None)

    def create(self, name: str, points: Points, of: str) -> None:
        """A new group with the first free colour."""
        new = PointGroup(free_name(self.groups, name), next_colour(self.groups), points, of)
        self.current = new.name
        title = f"Group “{new.name}” of {len(points):,} points"
        self._book.mark(title, point_groups=(*self.groups, new))

    def change(self, points: Points, pick: Pick) -> bool:
        """Add points to the chosen group or take them away; False when there is none.

        A group that loses its last point goes.
        """
        group = self.find(self.current)
        if group is None:
            return False
        new = changed(group, points, pick)
        moved = abs(len(new.points) - len(group.points))
        word = "Add {} points to “{}”" if pick is Pick.ADD else "Take {} points from “{}”"
        if moved:
            self._put(word.format(f"{moved:,}", group.name), group, new)
        return True

    def rename(self, name: str, new: str) -> None:
        """Give a group another name."""
        group = self.find(name)
        if group is None or not new or new == name:
            return
        renamed = replace(group, name=free_name(self.groups, new))
        if self.current == name:
            self.current = renamed.name
        self._put(f"Name the group “{renamed.name}”", group, renamed)

    def recolour(self, name: str, colour: int) -> None:
        """Give a group another colour."""
        group = self.find(name)
        if group is not None:
            self._put(f"Colour of “{name}”", group, replace(group, colour=colour))

    def delete(self, name: str) -> None:
        """Forget a group; its points stay."""
        left = tuple(group for group in self.groups if group.name != name)
        self._book.mark(f"Delete the group “{name}”", point_groups=left)

    def _put(self, title: str, old: PointGroup, new: PointGroup) -> None:
        held = (new if group is old else group for group in self.groups)
        self._book.mark(title, point_groups=tuple(group for group in held if group.points))


class GroupMenu(QMenu):
    """What can be done to one group."""

    def __init__(
        self, acts: GroupActs, group: PointGroup, rename: Callable[[str], None], parent: QWidget
    ) -> None:
        super().__init__(parent)
        self.setObjectName("point_group_menu")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._entry("Rename…", partial(rename, group.name))
        for number, word in enumerate(COLOUR_NAMES):
            action = self._entry(
                word.capitalize(), partial(acts.recolour, group.name, number),
                swatch(colour_of(replace(group, colour=number))),
            )  # fmt: skip
            action.setEnabled(number != group.colour)
            if number == 0:
                self.insertSeparator(action)
        self.addSeparator()
        self._entry("Delete the group", partial(acts.delete, group.name))

    def _entry(self, text: str, act: Callable[[], None], picture: QIcon | None = None) -> QAction:
        action = self.addAction(picture or QIcon(), text)
        action.triggered.connect(lambda _=False: act())
        return action
