"""The window's shell: menus, tool bar, cards and status bar, without any panel in them yet.

It imports only Qt and two tables, so that the first frame is on screen before numpy is.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from PySide6.QtCore import QByteArray, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QCloseEvent, QDragEnterEvent, QDropEvent, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import (
    QDockWidget,
    QMainWindow,
    QSizePolicy,
    QTabBar,
    QTabWidget,
    QToolBar,
    QWidget,
)

from microtome_desktop.commands.command import CommandId
from microtome_desktop.views.actions import Actions
from microtome_desktop.views.card import Body, Card, CardDock
from microtome_desktop.views.centre import Centre
from microtome_desktop.views.maximising import Maximising
from microtome_desktop.views.panel_table import PLACES, Area, Place
from microtome_desktop.views.search_field import SearchField

# Raised when docks change: an older saved layout would put them in wrong places.
LAYOUT_VERSION = 10
_DEFAULT_SIZE = QSize(1760, 1080)
_LEAST_LEFT = 281  # the history needs it; below 266 the prompt's fields are cut off
_LEFT, _RIGHT, _BOTTOM, _STRIP = 290, 370, 390, 88
_DOCK_AREAS = {
    Area.LEFT: Qt.DockWidgetArea.LeftDockWidgetArea,
    Area.RIGHT: Qt.DockWidgetArea.RightDockWidgetArea,
    Area.BOTTOM: Qt.DockWidgetArea.BottomDockWidgetArea,
}
_DOWN = Qt.DockWidgetArea.BottomDockWidgetArea


def first_sizes(window: QSize) -> tuple[float, float, float]:
    """Width of the left and of the right area and height of the bottom one, for a new layout.

    On a small screen the middle keeps its share of it, and a little more of its height.
    """
    wide = min(1.0, window.width() / _DEFAULT_SIZE.width())
    high = min(1.0, window.height() / _DEFAULT_SIZE.height())
    return max(_LEFT * wide, _LEAST_LEFT), _RIGHT * wide, _BOTTOM * high**1.5


class MainWindow(QMainWindow):
    """The shell. ``painted`` comes once, after the first frame."""

    painted = Signal()
    dropped = Signal(list)  # the paths of files, or of one folder
    brought = Signal(object)  # QMimeData of anything else that was dropped, while it is there

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("microtome")
        self.setWindowTitle("Microtome")
        screen = self.screen().availableSize()
        self.resize(_DEFAULT_SIZE.boundedTo(screen))
        self.setAcceptDrops(True)
        self.setDockNestingEnabled(True)
        self.setTabPosition(Qt.DockWidgetArea.AllDockWidgetAreas, QTabWidget.TabPosition.North)
        self.setContentsMargins(6, 0, 6, 0)
        # The corners belong to the side docks: they reach from top to bottom.
        self.setCorner(Qt.Corner.BottomLeftCorner, Qt.DockWidgetArea.LeftDockWidgetArea)
        self.setCorner(Qt.Corner.BottomRightCorner, Qt.DockWidgetArea.RightDockWidgetArea)
        self._lengths: dict[Qt.DockWidgetArea, float] = {}  # of areas, before they were rounded
        self.actions_table = Actions(self)
        self.tool_bar = self._make_tool_bar()
        self.bodies: dict[str, Body] = {}
        self.cards: dict[str, Card | CardDock] = {}
        self.docks: dict[str, CardDock] = {}
        self.centre = self._make_centre()
        self._make_docks()
        self.maximising = self._make_maximising()
        self.statusBar().showMessage("Starting…")
        self.may_close: Callable[[], bool] | None = None
        self.may_drop: Callable[[list[str]], bool] | None = None  # several paths at once
        self._seen = False
        self.reset_layout()

    def _make_tool_bar(self) -> QToolBar:
        bar = QToolBar("Tools", self)
        bar.setObjectName("tool_bar")
        bar.setMovable(False)
        bar.setIconSize(QSize(17, 17))
        bar.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        bar.toggleViewAction().setVisible(False)
        self.actions_table.fill_tool_bar(bar)
        space = QWidget()
        space.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        bar.addWidget(space)
        palette = self.actions_table.actions[CommandId.PALETTE]
        bar.addWidget(SearchField("Find commands, nodes, tokens…", palette))
        self.addToolBar(bar)
        return bar

    def _make_centre(self) -> Centre:
        centre = Centre(PLACES, _STRIP)
        self.bodies.update(centre.bodies)
        self.cards.update(centre.cards)
        self.setCentralWidget(centre)
        return centre

    def _make_docks(self) -> None:
        for place in PLACES:
            if place.area in _DOCK_AREAS:
                dock = CardDock(place.name, place.title, self)
                self.docks[place.name] = self.cards[place.name] = dock
                self.bodies[place.name] = dock.body

    def _make_maximising(self) -> Maximising:
        made = Maximising(self, self.docks, self.centre, LAYOUT_VERSION)
        for name, card in self.cards.items():
            card.bar.maximise_clicked.connect(partial(made.toggle, name))
        made.changed.connect(self._on_maximised)
        return made

    def _on_maximised(self, name: str) -> None:
        for other, card in self.cards.items():
            card.bar.show_maximised(other == name)

    def maximise(self) -> None:
        """Let the panel in use fill the window, or put everything back."""
        self.maximising.toggle(self.maximising.panel_in_use())

    def show_panel(self, name: str) -> None:
        """Bring a panel to the front, whether it is a dock or in the middle."""
        if name in self.docks:
            self.docks[name].show()
            self.docks[name].raise_()
        elif name in self.centre.cards:
            self.centre.show_card(name)

    def reset_layout(self) -> None:
        """Put every dock in its first place, and the circuit in front."""
        self.maximising.restore()
        self.centre.show_card(next(iter(self.centre.cards)))
        size = self.size()
        for place in PLACES:
            if place.name in self.docks:
                self._place(place)
        self.set_sizes()
        # Qt leaves tab bars of groups that are no more standing; a restored state has none.
        self._hide_tab_bars()
        self.restoreState(self.saveState(LAYOUT_VERSION), LAYOUT_VERSION)
        # Before a dock joins its tabs it stands by itself, for which a low window grows.
        layout = self.layout()
        if layout is not None:
            layout.activate()
        if not self.isMaximized() and not self.isFullScreen():
            self.resize(size)

    def _hide_tab_bars(self) -> None:
        here = Qt.FindChildOption.FindDirectChildrenOnly
        for bar in self.findChildren(QTabBar, options=here):
            bar.hide()

    def _place(self, place: Place) -> None:
        dock, area = self.docks[place.name], _DOCK_AREAS[place.area]
        if dock.isFloating():  # Qt takes a docked one out and in again
            dock.setFloating(False)
        dock.show()
        partners = [p for p in PLACES if place.group and p.group == place.group]
        self.addDockWidget(area, dock)
        if partners and partners[0] is not place:
            self.tabifyDockWidget(self.docks[partners[0].name], dock)
            self.docks[partners[0].name].raise_()
            return
        before = [p for p in PLACES[: PLACES.index(place)] if p.area is place.area]
        if before:
            down = place.area is Area.RIGHT
            line = Qt.Orientation.Vertical if down else Qt.Orientation.Horizontal
            self.splitDockWidget(self.docks[before[-1].name], dock, line)

    def set_sizes(self) -> None:
        """Give the areas their first sizes."""
        by_area: dict[Area, list[Place]] = {}
        for place in PLACES:
            first_of_group = not place.group or not any(
                other.group == place.group for other in by_area.get(place.area, [])
            )
            if place.name in self.docks and first_of_group:
                by_area.setdefault(place.area, []).append(place)
        across, down = Qt.Orientation.Horizontal, Qt.Orientation.Vertical
        sides = [self.docks[by_area[area][0].name] for area in (Area.LEFT, Area.RIGHT)]
        sizes = first_sizes(self.size())
        self._lengths = dict(zip(_DOCK_AREAS.values(), sizes, strict=True))
        left, beside, below = (round(size) for size in sizes)
        self.resizeDocks(sides, [left, beside], across)
        bottom, right = by_area[Area.BOTTOM], by_area[Area.RIGHT]
        self.resizeDocks([self.docks[bottom[0].name]], [below], down)
        self._share(bottom, across, self.width() - left - beside)
        self._share(right, down, self.height() - 120)

    def _share(self, places: list[Place], line: Qt.Orientation, length: int) -> None:
        total = sum(place.size for place in places)
        docks: list[QDockWidget] = [self.docks[place.name] for place in places]
        self.resizeDocks(docks, [round(length * place.size / total) for place in places], line)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Let the areas around the middle shrink and grow with the window.

        Qt would take all from the middle.
        """
        super().resizeEvent(event)
        old, new = event.oldSize(), event.size()
        if self._seen and not old.isEmpty() and not self.maximising.name:
            before, after = first_sizes(old), first_sizes(new)
            for at, area in enumerate(_DOCK_AREAS.values()):
                lost = (old - new).height() if area is _DOWN else (old - new).width()
                self._scale(area, after[at] / before[at], lost)

    def _scale(self, area: Qt.DockWidgetArea, factor: float, lost: int) -> None:
        """Make an area so many times as large as it was.

        What rounding took from it comes back; and Qt may have taken some of what the window lost.
        """
        down = area is _DOWN
        line = Qt.Orientation.Vertical if down else Qt.Orientation.Horizontal
        for dock in self.docks.values():
            here = self.dockWidgetArea(dock) == area and self.rect().intersects(dock.geometry())
            if here and dock.isVisible() and not dock.isFloating():
                length = dock.height() if down else dock.width()
                held = self._lengths.get(area, 0.0)
                taken = -1 < held - length < max(lost, 1)
                exact = factor * (held if taken else length)
                self._lengths[area] = exact
                self.resizeDocks([dock], [round(exact)], line)
                return

    def layout_bytes(self) -> tuple[QByteArray, QByteArray]:
        """Geometry and state, to be remembered; not that one panel fills the window."""
        return self.saveGeometry(), self.maximising.before or self.saveState(LAYOUT_VERSION)

    def restore_layout(self, geometry: object, state: object) -> bool:
        """Take up a remembered layout; False, and the first places, when it does not fit."""
        self.maximising.restore()
        if isinstance(geometry, QByteArray):
            self.restoreGeometry(geometry)
        self._hide_tab_bars()
        fits = isinstance(state, QByteArray) and self.restoreState(state, LAYOUT_VERSION)
        if not fits:
            self.reset_layout()
        return fits

    def paintEvent(self, event: QPaintEvent) -> None:
        """Tell of the first frame, once it is through."""
        super().paintEvent(event)
        if not self._seen:
            self._seen = True
            QTimer.singleShot(0, self.painted.emit)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Take files, a folder or an image; of what cannot be taken the drop says why."""
        held = event.mimeData()
        image = any(form.startswith("image/") for form in held.formats())
        if held.hasUrls() or held.hasImage() or image:
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Hand over what was dropped."""
        paths = self._taken(event)
        event.acceptProposedAction()
        if paths:
            self.dropped.emit(paths)
        else:
            self.brought.emit(event.mimeData())

    def _taken(self, event: QDropEvent) -> list[str]:
        """The local paths of a drop; none where they cannot be opened together."""
        paths = [url.toLocalFile() for url in event.mimeData().urls()]
        together = len(paths) == 1 or (self.may_drop is not None and self.may_drop(paths))
        return paths if together and all(paths) else []

    def closeEvent(self, event: QCloseEvent) -> None:
        """Ask whoever holds the work whether the window may close."""
        if self.may_close is None or self.may_close():
            event.accept()
        else:
            event.ignore()
