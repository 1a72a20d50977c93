"""The histogram of the values at a chosen site."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QPointF
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from microtome.sites import kind_of
from microtome_desktop import palette
from microtome_desktop.presenters import as_python, exports
from microtome_desktop.presenters.heatmaps import Missing
from microtome_desktop.presenters.neurons import BINS, Histogram, histogram, layers_of
from microtome_desktop.state.arrays import ArrayKey
from microtome_desktop.state.exports import Table
from microtome_desktop.state.selection import Selected
from microtome_desktop.views.choice import Choice
from microtome_desktop.views.elided import ElidedLabel
from microtome_desktop.views.fonts import mono_font
from microtome_desktop.views.panel import Panel, PanelContext
from microtome_desktop.views.spoken import tell


class HistogramPanel(Panel):
    """Shows how the values of one site are distributed, with a logarithmic count."""

    name = "histogram"
    title = "Histogram"
    icon = "mdi6.chart-histogram"

    def __init__(self, context: PanelContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self.site = Choice()
        self.site.setObjectName("histogram_site")
        self.layer = Choice()
        self.layer.setObjectName("histogram_layer")
        self.caption = ElidedLabel()
        self.drawing: Histogram | None = None
        self.plot = self._make_plot()
        choice = QHBoxLayout()
        choice.addWidget(self.site, 1)
        choice.addWidget(self.layer)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(10, 4, 6, 6)
        layout.addLayout(choice)
        layout.addWidget(self.plot, 1)
        layout.addWidget(self.caption)
        self.site.activated.connect(self._on_site)
        self.layer.activated.connect(self._on_layer)
        self.plot.scene().sigMouseMoved.connect(self._on_move)
        self.show_session()

    def _make_plot(self) -> pg.PlotWidget:
        plot = pg.PlotWidget(background=palette.CARD, enableMenu=False)
        plot.setFrameShape(pg.QtWidgets.QFrame.Shape.NoFrame)
        plot.hideButtons()
        plot.setMouseTracking(True)
        plot.setAccessibleName("histogram of activations")
        for name in ("left", "bottom"):
            axis = plot.getAxis(name)
            axis.setPen(pg.mkPen(None))
            axis.setTextPen(palette.TEXT_DIM)
            axis.setStyle(tickLength=0, tickFont=mono_font(10))
        plot.setLabel("left", "values", color=palette.TEXT_FAINT)
        self._curve = pg.PlotDataItem(
            stepMode="center", fillLevel=0, brush=palette.ACCENT, pen=None
        )
        plot.addItem(self._curve)
        return plot

    def _on_site(self, index: int) -> None:
        self._offer_layers()
        self._draw()

    def _on_layer(self, index: int) -> None:
        layer = self.layer.currentData()
        self._draw()
        of_run = not kind_of(self.site.currentData()).in_encoder  # whose layers are others
        if layer is not None and of_run:
            self.context.selection.update(layer=layer)

    def _on_move(self, place: QPointF) -> None:
        if self.drawing is not None:
            value = self.plot.getViewBox().mapSceneToView(place).x()
            self.caption.setText(self.drawing.describe(value))

    def exported_table(self) -> Callable[[], Table] | str:
        """The bins."""
        session = self.context.workspace.session
        if session is None:
            return exports.NO_RUN
        return partial(
            exports.histogram_table, session, self.site.currentData(), self.layer.currentData()
        )

    def exported_lines(self) -> tuple[str, ...] | str:
        """The histogram."""
        session = self.context.workspace.session
        if session is None:
            return exports.NO_RUN
        return as_python.histogram_lines(
            session, self.site.currentData(), self.layer.currentData(), BINS
        )

    def show_session(self) -> None:
        """Offer the sites that the session holds and draw the chosen one."""
        session = self.context.workspace.session
        trace = None if session is None else session.clean
        before = self.site.currentData()
        self.site.clear()
        for name in trace.activations if trace is not None else ():
            self.site.addItem(kind_of(name).title.capitalize(), name)
        wanted = self.site.findData(before if before is not None else "resid_post")
        self.site.setCurrentIndex(max(0, wanted))
        self._offer_layers()
        self._draw()

    def show_part(self, part: str) -> None:
        """Draw again when the run changed."""
        if part == "traces":
            self.show_session()

    def show_array(self, key: ArrayKey) -> None:
        """Draw again when the values were read from the file."""
        if key.site == self.site.currentData():
            self._draw()

    def show_selection(self, selected: Selected, changed: frozenset[str]) -> None:
        """Follow the selected layer."""
        index = self.layer.findData(selected.layer)
        if "layer" in changed and index >= 0 and index != self.layer.currentIndex():
            self.layer.setCurrentIndex(index)
            self._draw()

    def _offer_layers(self) -> None:
        layers = layers_of(self.context.workspace.session, self.site.currentData() or "")
        selected = self.context.selection.current.layer
        before = self.layer.currentData() if selected is None else selected
        self.layer.clear()
        for layer in layers:
            self.layer.addItem(f"Layer {layer}", layer)
        self.layer.setVisible(bool(layers))
        found = self.layer.findData(before)
        self.layer.setCurrentIndex(found if found >= 0 else len(layers) - 1)

    def _draw(self) -> None:
        session, site = self.context.workspace.session, self.site.currentData()
        if session is None or site is None:
            self._show_nothing("Run a prompt to see how values are distributed.")
            return
        arrays, layer = self.context.workspace.arrays, self.layer.currentData()
        found = histogram(session, arrays, site, layer)
        if isinstance(found, Missing):
            self._show_nothing(found.reason)
            return
        self.drawing = found
        # log(1 + count): an empty bin stays empty, a single value stays visible.
        heights = np.log10(1 + found.counts)
        self._curve.setData(found.edges, heights)
        self._curve.setVisible(True)
        powers = [10**power for power in range(int(heights.max()) + 1)]
        ticks = [(0.0, "0"), *((float(np.log10(1 + count)), f"{count:,}") for count in powers)]
        self.plot.getAxis("left").setTicks([ticks])
        self.plot.setYRange(0, float(heights.max()) * 1.05, padding=0)
        self.plot.setXRange(found.edges[0], found.edges[-1], padding=0.02)
        self.caption.setText(found.summary)
        tell(self.plot, found.summary)

    def _show_nothing(self, reason: str) -> None:
        self.drawing = None
        self._curve.setVisible(False)
        self.caption.setText(reason)
        tell(self.plot, reason)
