"""The layer × position map of a chosen quantity."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from PySide6.QtCore import QPoint, QSignalBlocker
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from microtome_desktop.jobs.edit_requests import WHOLE
from microtome_desktop.presenters import as_python, as_python_edits, exports
from microtome_desktop.presenters.coverage import why_not
from microtome_desktop.presenters.heatmaps import (
    NEEDS,
    SITES_OF,
    Grid,
    Quantity,
    quantities,
)
from microtome_desktop.presenters.unit_heatmap import UnitGrid
from microtome_desktop.presenters.with_edits import Side, sided_heatmap
from microtome_desktop.state.arrays import ArrayKey
from microtome_desktop.state.edit_places import cell_place
from microtome_desktop.state.exports import Table
from microtome_desktop.state.selection import Selected
from microtome_desktop.views.choice import Choice
from microtome_desktop.views.edit_menu import offer_edits
from microtome_desktop.views.elided import ElidedLabel
from microtome_desktop.views.grid_plot import GridPlot
from microtome_desktop.views.panel import Panel, PanelContext
from microtome_desktop.views.side_choice import SideChoice

_DRAWN_FROM = {"traces", "circuit", "analyses/logit-lens", "analyses/direct-attribution", WHOLE}


class HeatmapPanel(Panel):
    """Shows one quantity of the run by layer and position; a click selects both."""

    name = "heatmap"
    title = "Layer × position"
    icon = "mdi6.grid"

    def __init__(self, context: PanelContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self.quantity = Choice()
        self.quantity.setObjectName("heatmap_quantity")
        self.quantity.addItems([str(quantity) for quantity in quantities(None)])
        self.side = SideChoice("heatmap_side")
        self.heading = ElidedLabel()
        self.map = GridPlot("map of layers and positions")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(10, 4, 6, 6)
        choice = QHBoxLayout()
        choice.addWidget(self.quantity, 1)
        choice.addWidget(self.side)
        layout.addLayout(choice)
        layout.addWidget(self.heading)
        layout.addWidget(self.map, 1)
        self.quantity.currentIndexChanged.connect(self._on_quantity)
        self.side.activated.connect(self._on_quantity)
        self.map.cell_clicked.connect(self._on_click)
        self.map.cell_hovered.connect(self._on_hover)
        self.map.menu_asked.connect(self._on_menu)
        self.show_session()

    @property
    def _chosen(self) -> Quantity:
        return Quantity(self.quantity.currentText())

    def _on_quantity(self, index: int) -> None:
        self.show_session()

    def _on_click(self, row: int, column: int) -> None:
        grid = self.map.grid
        if isinstance(grid, UnitGrid):
            if (unit := grid.unit(row, column)) is not None:
                self.context.selection.update(unit=unit)
        elif grid is not None and not self._of_source:
            layer = grid.layers[row]
            self.context.selection.update(position=column, layer=layer if layer >= 0 else None)

    def _on_menu(self, row: int, column: int, at: QPoint) -> None:
        grid, session = self.map.grid, self.context.workspace.session
        if grid is None or session is None or self._of_source or isinstance(grid, UnitGrid):
            return
        place = cell_place(session, SITES_OF[self._chosen], grid.layers[row], column)
        offer_edits(self.context, () if place is None else (place,), at, self)

    @property
    def _of_source(self) -> bool:
        """Whether columns are tokens that the encoder reads, which are no place of the run."""
        return self._chosen is Quantity.ENCODER_NORM

    def _on_hover(self, row: int, column: int) -> None:
        if self._of_source or self._chosen is Quantity.UNITS:
            return
        self.context.selection.update(hovered_position=column if column >= 0 else None)

    def view_state(self) -> dict[str, Any]:
        """The chosen quantity, and whether it is shown with edits."""
        return {"quantity": self.quantity.currentText(), "side": self.side.currentText()}

    def restore_view(self, held: dict[str, Any]) -> None:
        """Choose the quantity that a session was saved with."""
        found = self.quantity.findText(str(held.get("quantity")))
        if found >= 0:
            self.quantity.setCurrentIndex(found)
        self.side.setCurrentIndex(max(0, self.side.findText(str(held.get("side")))))

    def exported_table(self) -> Callable[[], Table] | str:
        """The map."""
        session = self.context.workspace.session
        if session is None:
            return exports.NO_RUN
        return partial(exports.heatmap_table, session, self._chosen, self.side.side)

    def exported_lines(self) -> tuple[str, ...] | str:
        """The map's values."""
        session = self.context.workspace.session
        if session is None:
            return exports.NO_RUN
        if self.side.side is not Side.WITHOUT:
            return as_python_edits.SIDED
        lacking = why_not(session, NEEDS[self._chosen])
        return lacking or as_python.heatmap_lines(session, self._chosen)

    def show_session(self) -> None:
        """Draw the chosen quantity of the session on screen."""
        session = self.context.workspace.session
        self._offer(tuple(map(str, quantities(session))))
        self._mark_groups()
        self.side.follow(session)
        self.restore_once()
        chosen = Quantity(self.quantity.currentText())
        if session is None:
            self.heading.setText("")
            self.map.show_grid(None, "Run a prompt to see its layers.")
            return
        arrays = self.context.workspace.arrays
        drawing = sided_heatmap(session, arrays, chosen, self.side.side)
        if isinstance(drawing, Grid):
            self.heading.setText(drawing.title)
            self.map.show_grid(drawing)
            self._mark()
        else:
            self.heading.setText("")
            self.map.show_grid(None, drawing.reason)

    def _offer(self, names: tuple[str, ...]) -> None:
        """Offer these quantities, and keep the chosen one if it is among them."""
        held = tuple(self.quantity.itemText(row) for row in range(self.quantity.count()))
        if names == held:
            return
        chosen = self.quantity.currentText()
        with QSignalBlocker(self.quantity):
            self.quantity.clear()
            self.quantity.addItems(names)
            self.quantity.setCurrentIndex(max(0, self.quantity.findText(chosen)))

    def show_part(self, part: str) -> None:
        """Draw again when the run or one of the analyses changed."""
        if part == "marks":
            self._mark_groups()
        if part in _DRAWN_FROM:
            self.show_session()

    def show_array(self, key: ArrayKey) -> None:
        """Draw again when the residual stream was read from the file."""
        if key.site in {"resid_post", "enc_resid_post"}:
            self.show_session()

    def show_selection(self, selected: Selected, changed: frozenset[str]) -> None:
        """Frame the selected layer and position."""
        if changed & {"position", "layer", "unit"}:
            self._mark()

    def _mark_groups(self) -> None:
        """Groups are of tokens, which the columns of units are not."""
        self.map.mark_groups({} if self._chosen is Quantity.UNITS else self.group_colours)

    def _mark(self) -> None:
        grid, selected = self.map.grid, self.context.selection.current
        if grid is None:
            return
        if isinstance(grid, UnitGrid):
            self.map.mark(*(grid.cell(selected.unit) or (None, None)))
            return
        if self._of_source:
            self.map.mark(None, None)
            return
        row = grid.layers.index(selected.layer) if selected.layer in grid.layers else None
        width = len(grid.columns)
        inside = selected.position is not None and selected.position < width
        self.map.mark(row, selected.position if inside else None)
