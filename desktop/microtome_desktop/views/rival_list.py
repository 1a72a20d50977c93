"""The discovered circuits of a session as a list of rivals; several can be ticked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtGui import QContextMenuEvent, QKeyEvent, QResizeEvent
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QMenu, QTreeWidget, QTreeWidgetItem

from microtome_desktop.presenters.circuit_curves import Mark
from microtome_desktop.presenters.contest import MOST_COMPARED
from microtome_desktop.presenters.discovery_choice import Rival
from microtome_desktop.views.fonts import mono_font, text_font
from microtome_desktop.views.swatch import swatch

_COLUMNS = ("circuit", "CPR", "CMD", "90 %")
_TIPS = (
    "Method, ablation and prompts; a tick compares it with the others",
    "Area under the faithfulness curve by score: more is better",
    "Area between the curve by size of score and 1: 0 is best",
    "The smallest share of all edges that keeps 0.9 of the behaviour",
)
_ID = Qt.ItemDataRole.UserRole
_NUMBER = 41  # pixels of a column
_DOT = 10  # pixels of the colour of a circuit's curve
_NARROW = 240  # pixels of a list that has no room for columns of numbers
_NAME = Qt.ItemDataRole.UserRole + 1  # the lines of a row with and without columns


class RivalList(QTreeWidget):
    """A row a result: what it is called, CPR, CMD, and the smallest share with 0.9."""

    chosen = Signal(str)  # the circuit on screen
    ticked = Signal()
    too_many = Signal()  # a tick was refused
    forget_asked = Signal()  # of the circuit on screen

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("rivals")
        self.setAccessibleName("discovered circuits")
        self.setRootIsDecorated(False)
        self.setUniformRowHeights(True)
        self.setFont(text_font(11))
        self.setIndentation(0)
        self.setHeaderLabels(list(_COLUMNS))
        for column, tip in enumerate(_TIPS):
            self.headerItem().setToolTip(column, tip)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._written: bool | None = None  # as for a narrow list
        header, mode = self.header(), QHeaderView.ResizeMode
        header.setStretchLastSection(False)
        header.setMinimumSectionSize(20)
        header.setSectionResizeMode(0, mode.Stretch)
        for column in range(1, len(_COLUMNS)):
            header.setSectionResizeMode(column, mode.Fixed)
            self.setColumnWidth(column, _NUMBER)
        self.currentItemChanged.connect(self._on_current)
        self.itemChanged.connect(self._on_changed)

    def show_rivals(
        self, rivals: Sequence[Rival], looks: Mapping[str, tuple[str, Mark]], current: str
    ) -> None:
        """List these in their looks; ticks stay, and what is new comes without one."""
        ticked = {current, *[name for name in self.ticks if name != current][: MOST_COMPARED - 1]}
        with QSignalBlocker(self):
            if [rival.id for rival in rivals] != self.ids:
                self.clear()
                for rival in rivals:
                    item = QTreeWidgetItem(self)
                    item.setData(0, _ID, rival.id)
                    item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
            for item, rival in zip(self._items, rivals, strict=True):
                self._write(item, rival, *looks[rival.id])
                on = rival.id in ticked
                item.setCheckState(0, Qt.CheckState.Checked if on else Qt.CheckState.Unchecked)
                if rival.id == current:
                    self.setCurrentItem(item)

    def _write(self, item: QTreeWidgetItem, rival: Rival, colour: str, mark: Mark) -> None:
        numbers = f"CPR {rival.cpr} · CMD {rival.cmd}"
        item.setData(0, _NAME, [f"{rival.title}\n{line}" for line in (rival.about, numbers)])
        item.setText(0, item.data(0, _NAME)[int(self._narrow)])
        item.setIcon(0, swatch(colour, _DOT, mark))
        for column, text in enumerate((rival.cpr, rival.cmd, rival.smallest), start=1):
            item.setText(column, text)
            item.setFont(column, mono_font(10))
        for column in range(len(_COLUMNS)):
            item.setToolTip(column, rival.tip)

    @property
    def _narrow(self) -> bool:
        return self.width() < _NARROW

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Where columns have no room their numbers stand below the names."""
        super().resizeEvent(event)
        if self._written != self._narrow:
            self._written = self._narrow
            for column in range(1, len(_COLUMNS)):
                self.setColumnHidden(column, self._narrow)
            with QSignalBlocker(self):
                for item in self._items:
                    item.setText(0, item.data(0, _NAME)[int(self._narrow)])

    @property
    def _items(self) -> list[QTreeWidgetItem]:
        held = (self.topLevelItem(row) for row in range(self.topLevelItemCount()))
        return [item for item in held if item is not None]

    @property
    def ids(self) -> list[str]:
        """The listed circuits."""
        return [item.data(0, _ID) for item in self._items]

    @property
    def ticks(self) -> tuple[str, ...]:
        """The ticked circuits, in the order of the list."""
        on = Qt.CheckState.Checked
        return tuple(item.data(0, _ID) for item in self._items if item.checkState(0) == on)

    def tick(self, wanted: Sequence[str]) -> None:
        """Tick these, and no others."""
        with QSignalBlocker(self):
            for item in self._items:
                on = item.data(0, _ID) in wanted
                item.setCheckState(0, Qt.CheckState.Checked if on else Qt.CheckState.Unchecked)
        self.ticked.emit()

    def _on_current(self, item: QTreeWidgetItem | None) -> None:
        if item is not None:
            self.chosen.emit(item.data(0, _ID))

    def _on_changed(self, item: QTreeWidgetItem, column: int) -> None:
        if column != 0:
            return
        if len(self.ticks) > MOST_COMPARED:
            with QSignalBlocker(self):
                item.setCheckState(0, Qt.CheckState.Unchecked)
            self.too_many.emit()
            return
        self.ticked.emit()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Del forgets the circuit on screen."""
        if event.key() == Qt.Key.Key_Delete:
            self.forget_asked.emit()
        else:
            super().keyPressEvent(event)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """The circuit under the mouse, which the press has put on screen, can be forgotten."""
        if self.itemAt(event.pos()) is not None:
            menu = QMenu(self)
            menu.addAction("Forget this circuit").triggered.connect(self.forget_asked)
            menu.exec(event.globalPos())
            menu.deleteLater()
