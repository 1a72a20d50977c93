"""The neurons of the selected MLP that fire, over the tokens."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from PySide6.QtCore import QPoint
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from microtome_desktop.commands.command import CommandId
from microtome_desktop.presenters import as_python, exports
from microtome_desktop.presenters.heatmaps import Missing
from microtome_desktop.presenters.neurons import layers_of, strongest_neurons
from microtome_desktop.state.arrays import ArrayKey
from microtome_desktop.state.edit_places import neuron_place
from microtome_desktop.state.exports import Table
from microtome_desktop.state.selection import Selected
from microtome_desktop.views.choice import Choice
from microtome_desktop.views.edit_menu import offer_edits
from microtome_desktop.views.elided import ElidedLabel
from microtome_desktop.views.grid_plot import GridPlot
from microtome_desktop.views.panel import Panel, PanelContext

_SITE = "mlp_post"


class NeuronPanel(Panel):
    """Shows one MLP's strongest neurons; follows the selected layer and position."""

    name = "neurons"
    title = "Neurons"
    icon = "mdi6.chart-bell-curve-cumulative"

    def __init__(self, context: PanelContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self.layer = Choice()
        self.layer.setObjectName("neuron_layer")
        self.heading = ElidedLabel()
        self.as_feature = QPushButton("As a feature")
        self.as_feature.setObjectName("neuron_as_feature")
        self.map = GridPlot("map of neurons", top_down=True)
        self._shown = 0
        choice = QHBoxLayout()
        choice.addWidget(self.layer)
        choice.addWidget(self.heading, 1)
        choice.addWidget(self.as_feature)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(10, 4, 6, 6)
        layout.addLayout(choice)
        layout.addWidget(self.map, 1)
        self.layer.activated.connect(self._on_layer)
        self.as_feature.clicked.connect(partial(self.context.do, CommandId.NEURON_CARD))
        self.map.cell_clicked.connect(self._on_cell)
        self.map.menu_asked.connect(self._on_menu)
        self.show_session()

    def _on_layer(self, index: int) -> None:
        layers = layers_of(self.context.workspace.session, _SITE)
        self.context.selection.update(layer=layers[index], neuron=None)

    def _on_cell(self, row: int, column: int) -> None:
        grid = self.map.grid
        if grid is not None:
            neuron = grid.layers[row]
            self.context.selection.update(position=column, layer=self._shown, neuron=neuron)

    def _on_menu(self, row: int, column: int, at: QPoint) -> None:
        grid = self.map.grid
        if grid is not None:
            place = neuron_place(self._shown, grid.layers[row])
            self._on_cell(row, column)
            offer_edits(self.context, (place,), at, self, also=(CommandId.NEURON_CARD,))

    def exported_table(self) -> Callable[[], Table] | str:
        """The neurons that are shown."""
        session = self.context.workspace.session
        if session is None:
            return exports.NO_RUN
        return partial(
            exports.neurons_table, session, self._shown, self.context.selection.current.position
        )

    def exported_lines(self) -> tuple[str, ...] | str:
        """The neurons and what they fire."""
        session = self.context.workspace.session
        if session is None:
            return exports.NO_RUN
        return as_python.neurons_lines(
            session, self._shown, self.context.selection.current.position
        )

    def show_session(self) -> None:
        """Offer the session's layers and draw the selected MLP."""
        self._show_able()
        self.map.mark_groups(self.group_colours)
        layers = layers_of(self.context.workspace.session, _SITE)
        self.layer.clear()
        self.layer.addItems([f"MLP {layer}" for layer in layers])
        selected = self.context.selection.current.layer
        last = layers[-1] if layers else 0
        self._draw(selected if selected in layers else last)

    def show_part(self, part: str) -> None:
        """Draw again when the run changed."""
        if part == "marks":
            self.map.mark_groups(self.group_colours)
        if part == "traces":
            self.show_session()

    def show_array(self, key: ArrayKey) -> None:
        """Draw again when these neurons were read from the file."""
        if key.site == _SITE and key.layer == self._shown:
            self._draw(self._shown)

    def show_selection(self, selected: Selected, changed: frozenset[str]) -> None:
        """Follow the selected layer, position and neuron."""
        layers = layers_of(self.context.workspace.session, _SITE)
        if changed & {"layer", "position"}:
            self._draw(selected.layer if selected.layer in layers else self._shown)
        elif "neuron" in changed:
            self._mark()
        if changed & {"layer", "neuron"}:
            self._show_able()

    def show_model(self) -> None:
        """A neuron as a feature needs the model."""
        self._show_able()

    def _show_able(self) -> None:
        reason = self.context.why_not(CommandId.NEURON_CARD)
        self.as_feature.setEnabled(not reason)
        tip = "The card of the selected neuron, with all neurons of its layer as a dictionary"
        self.as_feature.setToolTip(reason or tip)

    def _draw(self, layer: int) -> None:
        session, arrays = self.context.workspace.session, self.context.workspace.arrays
        layers = layers_of(session, _SITE)
        self._shown = layer
        self.layer.setCurrentIndex(layers.index(layer) if layer in layers else -1)
        if session is None:
            self.heading.setText("")
            self.map.show_grid(None, "Run a prompt to see neurons.")
            return
        position = self.context.selection.current.position
        grid = strongest_neurons(session, arrays, layer, position)
        if isinstance(grid, Missing):
            self.heading.setText("")
            self.map.show_grid(None, grid.reason)
            return
        self.heading.setText(grid.title)
        self.map.show_grid(grid)
        self._mark()

    def _mark(self) -> None:
        grid, selected = self.map.grid, self.context.selection.current
        if grid is None:
            return
        row = grid.layers.index(selected.neuron) if selected.neuron in grid.layers else None
        inside = selected.position is not None and selected.position < len(grid.columns)
        self.map.mark(row, selected.position if inside else None)
