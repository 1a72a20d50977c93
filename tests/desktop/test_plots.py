"""Heat maps, attention, neurons and histograms, driven by the mouse and the selection."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest

from microtome.records.trace import Activation
from microtome_desktop.presenters.heatmaps import Quantity, quantities
from microtome_desktop.state.arrays import ArrayKey, read
from microtome_desktop.state.selection import Selection
from microtome_desktop.state.workspace import Workspace
from microtome_desktop.views.attention_panel import AttentionPanel
from microtome_desktop.views.heatmap_panel import HeatmapPanel
from microtome_desktop.views.histogram_panel import HistogramPanel
from microtome_desktop.views.neuron_panel import NeuronPanel
from microtome_desktop.views.panel import PanelContext


@pytest.fixture
def context(sample_session):
    workspace = Workspace()
    workspace.show(sample_session)
    return PanelContext(workspace, Selection(), lambda _: None)


def shown(qtbot, panel):
    panel.resize(460, 520)
    qtbot.addWidget(panel)
    panel.show()
    qtbot.waitExposed(panel)
    return panel


def click_cell(grid_plot, row, column):
    place = grid_plot.cell_centre(row, column).toPoint()
    QTest.mouseClick(grid_plot.plot.viewport(), Qt.MouseButton.LeftButton, pos=place)


def hover_cell(grid_plot, row, column):
    place = grid_plot.cell_centre(row, column).toPoint()
    viewport = grid_plot.plot.viewport()
    QTest.mouseMove(viewport, place + QPoint(1, 1))
    QTest.mouseMove(viewport, place)


DRAWN = {
    Quantity.PROBABILITY: ("logit-lens", "probability"),
    Quantity.RANK: ("logit-lens", "rank"),
    Quantity.ATTENTION: ("direct-attribution", "attention"),
    Quantity.MLP: ("direct-attribution", "mlp"),
}


@pytest.mark.parametrize("quantity", quantities(None))
def test_every_quantity_is_drawn_from_the_session(qtbot, context, quantity):
    panel = shown(qtbot, HeatmapPanel(context))
    panel.quantity.setCurrentText(str(quantity))
    grid = panel.map.grid
    assert grid is not None
    assert grid.columns == tuple(context.workspace.session.clean.tokens)
    assert len(grid.rows) == len(grid.layers) == len(grid.values)
    assert np.ptp(grid.values) > 0
    if quantity in DRAWN:
        analysis, array = DRAWN[quantity]
        held = context.workspace.session.analyses[analysis].array(array)
        np.testing.assert_array_equal(grid.values, held)
    else:
        assert quantity is Quantity.NORM  # the next test


def test_the_norm_map_is_the_length_of_the_residual_stream(qtbot, context):
    panel = shown(qtbot, HeatmapPanel(context))
    panel.quantity.setCurrentText(str(Quantity.NORM))
    residual = context.workspace.session.clean.activation("resid_post")
    plain = [[sum(float(x) ** 2 for x in vector) ** 0.5 for vector in layer] for layer in residual]
    assert panel.map.grid.values == pytest.approx(np.array(plain), rel=1e-5)


def test_a_click_on_the_map_selects_layer_and_position(qtbot, context):
    panel = shown(qtbot, HeatmapPanel(context))
    click_cell(panel.map, 3, 5)
    selected = context.selection.current
    assert (selected.layer, selected.position) == (panel.map.grid.layers[3], 5) == (2, 5)


def test_a_click_on_the_embedding_row_selects_no_layer(qtbot, context):
    panel = shown(qtbot, HeatmapPanel(context))
    click_cell(panel.map, 0, 4)
    assert context.selection.current.layer is None
    assert context.selection.current.position == 4


def test_the_value_under_the_cursor_is_said(qtbot, context):
    panel = shown(qtbot, HeatmapPanel(context))
    value = context.workspace.session.analyses["logit-lens"].array("probability")[4, 14]

    def said():  # pyqtgraph leaves out moves that come quickly one after another
        hover_cell(panel.map, 4, 14)
        return f"{value:.4g}" in panel.map.caption.text()

    qtbot.waitUntil(said)
    assert context.selection.current.hovered_position == 14


def test_without_a_session_the_panels_say_what_to_do(qtbot):
    context = PanelContext(Workspace(), Selection(), lambda _: None)
    for kind in (HeatmapPanel, AttentionPanel, NeuronPanel):
        panel = shown(qtbot, kind(context))
        assert panel.map.grid is None
        assert "Run a prompt" in panel.map.caption.text()


def test_attention_follows_the_selected_head(qtbot, context):
    panel = shown(qtbot, AttentionPanel(context))
    context.selection.update(layer=1, head=2)
    pattern = context.workspace.session.clean.attention(1)[2]
    assert panel.map.grid.values == pytest.approx(pattern)
    assert panel.layer.currentText() == "Layer 1"
    assert panel.head.currentText().startswith("Head 2")


def test_a_click_on_a_small_map_selects_its_head(qtbot, context):
    panel = shown(qtbot, AttentionPanel(context))
    context.selection.update(layer=1)
    place = panel.thumbnails.cell(3).center()
    QTest.mouseClick(panel.thumbnails, Qt.MouseButton.LeftButton, pos=place)
    assert (context.selection.current.layer, context.selection.current.head) == (1, 3)


def test_a_click_in_the_large_map_selects_the_token_looked_at(qtbot, context):
    panel = shown(qtbot, AttentionPanel(context))
    click_cell(panel.map, 9, 3)
    assert context.selection.current.position == 3


def test_heads_that_the_detectors_know_carry_their_name(qtbot, context):
    panel = shown(qtbot, AttentionPanel(context))
    scores = context.workspace.session.analyses["head-scores"]
    values = np.asarray(scores.array("score"))
    detector, layer, head = np.unravel_index(values.argmax(), values.shape)
    context.selection.update(layer=int(layer), head=int(head))
    assert scores.params["detectors"][detector] in panel.head.currentText()


def test_neurons_are_those_that_fire_most_at_the_selected_token(qtbot, context):
    panel = shown(qtbot, NeuronPanel(context))
    context.selection.update(layer=2, position=6)
    values = context.workspace.session.clean.activation("mlp_post.2")
    ranked = sorted(range(values.shape[1]), key=lambda n: -abs(values[6, n]))
    assert list(panel.map.grid.layers) == ranked[: len(panel.map.grid.layers)]
    assert panel.map.grid.values[0] == pytest.approx(values[:, ranked[0]])


def test_a_click_on_a_neuron_selects_it(qtbot, context):
    panel = shown(qtbot, NeuronPanel(context))
    context.selection.update(layer=1, position=2)
    neuron = panel.map.grid.layers[4]
    click_cell(panel.map, 4, 7)
    selected = context.selection.current
    assert (selected.layer, selected.position, selected.neuron) == (1, 7, neuron)


def test_the_histogram_counts_every_value(qtbot, context):
    panel = shown(qtbot, HistogramPanel(context))
    index = panel.layer.findData(1)
    panel.layer.setCurrentIndex(index)
    panel.layer.activated.emit(index)
    values = context.workspace.session.clean.activation("resid_post.1")
    assert panel.drawing.counts.sum() == values.size
    assert panel.drawing.edges[0] == pytest.approx(values.min())
    assert context.selection.current.layer == 1


def test_the_histogram_of_a_pattern_leaves_out_what_the_mask_hides(qtbot, context):
    panel = shown(qtbot, HistogramPanel(context))
    index = panel.site.findData("pattern")
    panel.site.setCurrentIndex(index)
    panel.site.activated.emit(index)
    pattern = context.workspace.session.clean.attention(panel.layer.currentData())
    assert panel.drawing.counts.sum() == (pattern > 0).sum()


class OnDisk:
    """An array that says it is not in memory."""

    def __init__(self, values):
        self.values, self.shape, self.dtype = values, values.shape, values.dtype

    def __getitem__(self, index):
        return self.values[index]


def test_panels_wait_for_a_file_and_draw_when_it_has_been_read(qtbot, context, sample_session):
    trace = sample_session.traces[0]
    held = {
        name: Activation(OnDisk(np.asarray(activation.values)), activation.layers)
        for name, activation in trace.activations.items()
    }
    stored = replace(sample_session, traces=(replace(trace, activations=held),), uuid="stored")
    wanted = []
    context.workspace.arrays.wanted.connect(wanted.append)
    panel = shown(qtbot, AttentionPanel(context))
    context.workspace.show(stored)
    assert panel.map.grid is None
    assert "Reading" in panel.map.caption.text()
    assert wanted == [ArrayKey(0, "pattern", 3)]
    context.workspace.arrays.put(wanted[0], read(stored, wanted[0]))
    assert panel.map.grid.values == pytest.approx(trace.attention(3)[0])


def test_the_map_opens_as_the_session_was_saved(qtbot, context, sample_session):
    panel = shown(qtbot, HeatmapPanel(context))
    panel.quantity.setCurrentText(str(Quantity.NORM))
    view = {panel.name: panel.view_state()}
    panel.quantity.setCurrentText(str(Quantity.MLP))
    context.workspace.show(replace(sample_session, view=view, uuid="reopened"))
    assert panel.quantity.currentText() == str(Quantity.NORM)
    panel.quantity.setCurrentText(str(Quantity.RANK))
    panel.show_session()
    assert panel.quantity.currentText() == str(Quantity.RANK)
