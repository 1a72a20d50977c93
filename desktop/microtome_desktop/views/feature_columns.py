"""Which columns the table of features shows, and in which order."""

from __future__ import annotations

from functools import partial
from typing import Any

from PySide6.QtCore import QObject, QPoint, Qt
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QHeaderView, QMenu

from microtome_desktop.presenters.feature_table import COLUMNS, KEYS

_FIXED = "feature"  # is always there
_OFF = frozenset({"words"})  # at first
_SOMETIMES = ("note", "score")


class FeatureColumns(QObject):
    """A right click on the titles hides and shows columns, a drag moves them.

    The columns of notes and scores are there as soon as there is one.
    """

    def __init__(self, header: QHeaderView) -> None:
        super().__init__(header)
        self._header = header
        self._off = set(_OFF)
        self._there: dict[str, bool] = dict.fromkeys(_SOMETIMES, False)
        header.setSectionsMovable(True)
        header.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        header.customContextMenuRequested.connect(self._on_menu)
        self._apply()

    def show_some(self, *, note: bool, score: bool) -> None:
        """Whether there are any notes, and any scores."""
        there = {"note": note, "score": score}
        if there != self._there:
            self._there = there
            self._apply()

    @property
    def shown(self) -> tuple[str, ...]:
        """The keys of the columns on screen, from left to right."""
        places = (self._header.logicalIndex(at) for at in range(len(KEYS)))
        return tuple(KEYS[at] for at in places if not self._header.isSectionHidden(at))

    def state(self) -> dict[str, Any]:
        """What is hidden and how columns stand, as plain values."""
        order = [KEYS[self._header.logicalIndex(at)] for at in range(len(KEYS))]
        return {"off": sorted(self._off), "order": order}

    def restore(self, held: Any) -> None:
        """As ``state`` told it; what is not understood is left."""
        if not isinstance(held, dict):
            return
        off, order = held.get("off"), held.get("order")
        if isinstance(off, list):
            self._off = {key for key in off if key in KEYS and key != _FIXED}
        if isinstance(order, list) and sorted(map(str, order)) == sorted(KEYS):
            for at, key in enumerate(order):
                self._header.moveSection(self._header.visualIndex(KEYS.index(key)), at)
        self._apply()

    def menu(self) -> QMenu:
        """An entry a column, checked where it is shown."""
        menu = QMenu(self._header)
        menu.setObjectName("feature_columns")
        menu.setToolTipsVisible(True)
        for column in COLUMNS:
            if column.key == _FIXED:
                continue
            action = QAction(column.title, menu)
            action.setToolTip(column.tip)
            action.setCheckable(True)
            action.setChecked(column.key not in self._off)
            action.toggled.connect(partial(self._on_toggled, column.key))
            menu.addAction(action)
        return menu

    def _on_menu(self, at: QPoint) -> None:
        menu = self.menu()
        menu.aboutToHide.connect(menu.deleteLater)
        menu.popup(self._header.mapToGlobal(at))

    def _on_toggled(self, key: str, on: bool) -> None:
        if on:
            self._off.discard(key)
        else:
            self._off.add(key)
        self._apply()

    def _apply(self) -> None:
        for at, key in enumerate(KEYS):
            there = self._there.get(key, True)
            self._header.setSectionHidden(at, key in self._off or not there)
