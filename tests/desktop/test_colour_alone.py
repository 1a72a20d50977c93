"""What colours say is said by something else too: all of it is told apart in grey."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from acts import rest
from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QImage, QPainter

from microtome_desktop import palette as colours
from microtome_desktop.presenters.circuit_curves import LEVELS, LOWERS, RAISES
from microtome_desktop.presenters.circuit_kinds import NODE_STYLES, edge_style
from microtome_desktop.views.circuit_legend import Legend
from microtome_desktop.views.edge_layer import edge_pen, paint_bar
from microtome_desktop.views.node_layer import glyph


@pytest.fixture(params=list(colours.THEMES))
def theme_name(request, qapp):
    """Each theme in turn; the dark one after."""
    colours.use(request.param)
    yield request.param
    colours.use(colours.DARK)


def drawn(paint):
    """Where anything was drawn on a small canvas, whatever its colour: 0 to 1."""
    image = QImage(60, 40, QImage.Format.Format_ARGB32_Premultiplied)
    image.fill(Qt.GlobalColor.transparent)
    painter = QPainter(image)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    paint(painter)
    painter.end()
    flat = image.convertToFormat(QImage.Format.Format_Alpha8)
    rows = np.frombuffer(flat.constBits(), np.uint8).reshape(flat.height(), flat.bytesPerLine())
    return rows[:, : flat.width()] / 255


def edge(hue, kind):
    points = np.array([[5.0, 20], [20, 20], [40, 20], [55, 20]])

    def paint(painter):
        pen = edge_pen(LEVELS - 1 + LEVELS * hue, edge_style(kind).dashes)
        painter.setPen(pen)
        painter.drawLine(QPointF(*points[0]), QPointF(*points[-1]))
        if hue == LOWERS:
            paint_bar(painter, points, pen)

    return drawn(paint)


def test_edges_of_every_kind_and_sign_differ_in_grey(theme_name):
    kinds = [kind for kind in range(3) if edge_style(kind).mark]
    pictures = {(hue, kind): edge(hue, kind) for hue in (LOWERS, RAISES) for kind in kinds}
    assert len(pictures) >= 4
    for one, other in combinations(pictures, 2):
        assert np.abs(pictures[one] - pictures[other]).sum() > 8, (one, other)


def test_kinds_of_nodes_that_stand_side_by_side_have_other_glyphs(theme_name):
    together = ("token", "position", "head", "mlp", "output", "feature", "group")
    styles = [NODE_STYLES[name] for name in together if name in NODE_STYLES]
    assert len(styles) >= 5
    pictures = [drawn(lambda p, s=style: p.drawPixmap(4, 4, glyph(s, 24))) for style in styles]
    for one, other in combinations(range(len(styles)), 2):
        assert np.abs(pictures[one] - pictures[other]).sum() > 20, (styles[one], styles[other])


def test_the_circuit_and_its_legend_show_what_lowers(bench, qtbot):
    """An edge that lowers has more on the canvas than the same edge that raises."""
    panel = bench.furnishing.panels["circuit"]
    bench.window.show_panel("circuit")
    rest(bench, qtbot)
    panel.canvas.finish()
    curves = panel.canvas.drawing.curves
    row = next(int(r) for r in curves.order if curves.hue[r] == LOWERS)

    def paint(painter):
        painter.translate(30, 20)
        painter.translate(-curves.sampled(20)[row, 13, 0], -curves.sampled(20)[row, 13, 1])
        panel.canvas.edges._paint_row(painter, row)

    barred = drawn(paint)
    curves.hue[row] = RAISES
    plain = drawn(paint)
    curves.hue[row] = LOWERS
    assert barred.sum() > plain.sum() + 4
    (legend,) = panel.findChildren(Legend)
    assert {"raises", "lowers"} <= set(legend.entries)


def test_predictions_mark_the_answers_by_signs_and_words(bench, qtbot):
    workspace, role = bench.desk.workspace, Qt.ItemDataRole.AccessibleTextRole
    right, wrong = (int(token) for token in workspace.session.clean.top_ids[-1, :2])
    metric = {**workspace.session.metric, "answer_id": right, "wrong_id": wrong}
    workspace.change("metric", metric=metric)
    rest(bench, qtbot)
    table = bench.furnishing.panels["ask"].predictions.table
    first, second, third = (table.item(row, 0) for row in range(3))
    assert first.data(role) == f"{first.text()}, the answer"
    assert second.data(role) == f"{second.text()}, the wrong answer"
    assert third.icon().isNull()
    signs = [item.icon().pixmap(16).toImage().convertToFormat(QImage.Format.Format_Alpha8)
             for item in (first, second)]  # fmt: skip
    assert signs[0] != signs[1]  # whatever their colours
