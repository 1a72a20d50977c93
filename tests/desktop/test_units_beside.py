"""A net that reads an image whole fills the right side: influence by channel, maps of a unit."""

from __future__ import annotations

import numpy as np
import pytest
from acts import rest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

import microtome as mt
from microtome_desktop.presenters.heatmaps import Quantity

LEFT = Qt.MouseButton.LeftButton
WAIT = 60_000


@pytest.fixture
def seeing(seeing, qtbot):
    """With the two panels in front."""
    for name in ("heatmap", "attention"):
        seeing.window.show_panel(name)
    rest(seeing, qtbot)
    return seeing


def press_cell(plot, row, column):
    QTest.mouseClick(plot.plot.viewport(), LEFT, pos=plot.cell_centre(row, column).toPoint())


def pick(box, text, qtbot):
    """Choose an entry by the keyboard."""
    box.setFocus()
    QTest.keyClicks(box, text)
    QTest.keyClick(box, Qt.Key.Key_Return)


def test_channels_fill_the_map_and_the_selected_one_lies_over_the_image(seeing, qtbot):
    panels, selection = seeing.furnishing.panels, seeing.desk.selection
    session = seeing.desk.workspace.session
    circuit, heat = session.circuit, panels["heatmap"]
    grid = heat.map.grid
    assert heat.quantity.currentText() == Quantity.UNITS
    assert grid.signed
    scores = dict(zip(circuit.node_id, circuit.node_score, strict=True))
    assert np.isfinite(grid.values).sum() == circuit.n_nodes - 2  # without image and metric
    # Nothing is selected: the channel that adds most lies over the image.
    maps = panels["attention"].units
    with_places = {one: scores[one] for one in scores if "/" in one and "pool" not in one}
    assert maps.gallery.main.key == max(with_places, key=with_places.get)
    # A press on a cell selects its unit and node, and its map is read.
    unit = "stage1.block0/12"
    row, column = grid.cell(unit)
    press_cell(heat.map, row, column)
    rest(seeing, qtbot)
    assert selection.current.unit == selection.current.node == unit
    assert grid.values[row, column] == pytest.approx(scores[unit])
    layer, index = unit.split("/")
    model, image = mt.load_model("shapes-resnet"), session.clean.image
    wanted = mt.image_maps(model, image, [layer])
    assert maps.gallery.main.key == unit
    np.testing.assert_allclose(maps.gallery.main.values, wanted.array(layer)[int(index)], rtol=1e-4)
    assert maps.layer.currentText() == layer
    assert maps.unit.currentText().startswith(f"Channel {index} ")
    # A press on a small map selects the unit of it, which the map of all frames.
    small = maps.gallery.small[2]
    QTest.mouseClick(small, LEFT, pos=small.place_of(16, 16).toPoint())
    rest(seeing, qtbot)
    third = f"{layer}/{wanted.array(f'order/{layer}')[2]}"
    assert selection.current.unit == maps.gallery.main.key == third
    # A layer without places says what the unit is.
    pick(maps.layer, "pool", qtbot)
    rest(seeing, qtbot)
    assert selection.current.unit.startswith("pool/")
    assert "for the whole image" in maps.gallery.empty.advice.text()
    table = heat.exported_table()()
    assert table.headers[0] == "layer"
    assert [row[0] for row in table.rows] == circuit.metadata["unit_layers"]
    exec("\n".join(heat.exported_lines()), lines := {})  # noqa: S102  it is what is tested
    assert lines["values"][unit] == pytest.approx(scores[unit], rel=1e-3)
