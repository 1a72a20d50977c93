"""The row of the feature that the pointer is on, here or in another panel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QFrame

from microtome_desktop import palette
from microtome_desktop.state.selection import Selected
from microtome_desktop.views.panel import PanelContext

if TYPE_CHECKING:
    from microtome_desktop.views.features_panel import FeaturesPanel


class FeatureHover(QObject):
    """Tells which feature's row is under the pointer, and shades the row of one told elsewhere."""

    def __init__(self, panel: FeaturesPanel, context: PanelContext) -> None:
        super().__init__(panel)
        self._panel, self._context = panel, context
        self._mine: tuple[str, int] | None = None
        viewport = panel.rows.viewport()
        self.shade = QFrame(viewport)
        self.shade.setObjectName("hovered_row")
        self.shade.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.shade.setStyleSheet(f"QFrame#hovered_row {{ border: 1px solid {palette.ACCENT}; }}")
        self.shade.hide()
        viewport.setMouseTracking(True)
        viewport.installEventFilter(self)
        panel.rows.verticalScrollBar().valueChanged.connect(self.shade.hide)
        context.selection.changed.connect(self._on_selection)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Follow the pointer."""
        if isinstance(event, QMouseEvent) and event.type() == QEvent.Type.MouseMove:
            self._tell(self._panel.rows.rowAt(round(event.position().y())))
        elif event.type() == QEvent.Type.Leave:
            self._tell(-1)
        return False

    def _tell(self, row: int) -> None:
        source, rows = self._panel.current, self._panel.rows.rows
        held = None
        if source is not None and 0 <= row < len(rows):
            held = source.fingerprint, int(rows[row])
        if held != self._mine:
            self._mine = held
            self._context.selection.update(hovered_feature=held)

    def _on_selection(self, selected: Selected, changed: frozenset[str]) -> None:
        if "hovered_feature" in changed:
            self._context.later((self, "hovered"), self._show)

    def _show(self) -> None:
        hovered, source = self._context.selection.current.hovered_feature, self._panel.current
        here = hovered is not None and source is not None and hovered[0] == source.fingerprint
        if hovered is None or not here or hovered == self._mine:
            self.shade.hide()
            return
        view = self._panel.rows
        found = np.flatnonzero(view.rows == hovered[1])
        area = view.visualRect(view.items.index(int(found[0]), 0)) if len(found) else None
        shown = area is not None and view.viewport().rect().intersects(area)
        if area is not None and shown:
            self.shade.setGeometry(0, area.top(), view.viewport().width(), area.height())
            self.shade.raise_()
        self.shade.setVisible(shown)
