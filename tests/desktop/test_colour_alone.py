"""What colours say is said by something else too: all of it is told apart in grey."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pyqtgraph as pg
import pytest
from acts import rest
from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QColor, QImage, QPainter, QPen

from microtome.records.faithfulness import Faithfulness
from microtome_desktop import palette as colours
from microtome_desktop.presenters.circuit_curves import (
    FIRST_RIVAL,
    LEVELS,
    LOWERS,
    N_HUES,
    ONLY_FIRST,
    ONLY_SECOND,
    RAISES,
    SHARED,
    hue_colour,
    hue_mark,
)
from microtome_desktop.presenters.circuit_kinds import NODE_STYLES, edge_style
from microtome_desktop.presenters.training import FIGURES
from microtome_desktop.views.circuit_legend import Legend
from microtome_desktop.views.edge_haze import HATCH, Block, Haze
from microtome_desktop.views.edge_layer import edge_pen
from microtome_desktop.views.edge_marks import paint_mark
from microtome_desktop.views.faithfulness_plot import FaithfulnessPlot, Line
from microtome_desktop.views.lesion_plots import DosePlot
from microtome_desktop.views.node_layer import glyph
from microtome_desktop.views.swatch import swatch
from microtome_desktop.views.training_plots import FigurePlot

POINTS = np.array([[5.0, 20], [20, 20], [40, 20], [55, 20]])  # of an edge


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
    def paint(painter):
        pen = edge_pen(LEVELS - 1 + LEVELS * hue, edge_style(kind).dashes)
        painter.setPen(pen)
        painter.drawLine(QPointF(*POINTS[0]), QPointF(*POINTS[-1]))
        paint_mark(painter, POINTS, pen, hue_mark(hue))

    return drawn(paint)


def test_edges_of_every_kind_and_sign_differ_in_grey(theme_name):
    kinds = [kind for kind in range(3) if edge_style(kind).mark]
    pictures = {(hue, kind): edge(hue, kind) for hue in (LOWERS, RAISES) for kind in kinds}
    assert len(pictures) >= 4
    for one, other in combinations(pictures, 2):
        assert np.abs(pictures[one] - pictures[other]).sum() > 8, (one, other)


def marked(hue):
    """The mark of a hue on the card, in one colour for all hues: 0 to 1."""
    image = QImage(60, 40, QImage.Format.Format_RGB32)
    image.fill(QColor(colours.CARD))
    painter = QPainter(image)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    paint_mark(painter, POINTS, QPen(QColor(colours.TEXT), 1.5), hue_mark(hue))
    painter.end()
    flat = image.convertToFormat(QImage.Format.Format_Grayscale8)
    rows = np.frombuffer(flat.constBits(), np.uint8).reshape(40, flat.bytesPerLine())
    return rows[:, :60] / 255


def test_edges_of_compared_circuits_differ_in_grey(theme_name):
    for hues in ((ONLY_FIRST, ONLY_SECOND, SHARED), (*range(FIRST_RIVAL, N_HUES), SHARED)):
        pictures = [marked(hue) for hue in hues]
        for one, other in combinations(pictures, 2):
            assert np.abs(one - other).sum() > 5


def crowd(hue):
    """How much of each pixel four thousand edges of a hue cover, as steep as in a circuit."""
    rng, count = np.random.default_rng(2), 4_000
    x = rng.uniform(5, 115, (count, 2))
    points = np.stack([x[:, [0, 0, 1, 1]], np.tile([2.0, 30, 60, 88], (count, 1))], axis=2)
    block = Block(points, np.full(count, 0.1), np.full(count, hue))
    haze = Haze(iter([block]), np.array([hue]), 120, 90)
    while not haze.complete:
        haze.step(1)
    flat = haze.image().convertToFormat(QImage.Format.Format_Alpha8)
    rows = np.frombuffer(flat.constBits(), np.uint8).reshape(flat.height(), flat.bytesPerLine())
    return rows[:, : flat.width()] / 255


def test_a_crowd_that_lowers_is_cut_by_lines():
    rows = slice(2 * HATCH, 13 * HATCH)
    raises, lowers = (
        crowd(hue)[rows].mean(axis=1).reshape(-1, HATCH).mean(axis=0) for hue in (RAISES, LOWERS)
    )
    assert raises.min() > 0.75 * raises.max()
    assert lowers.min() < 0.4 * lowers.max()  # whatever their colour
    assert np.sort(lowers)[2:].min() > 0.75 * lowers.max()


def looks(plot):
    """Of the curves of a plot everything but their colours."""
    found = []
    held = plot.getPlotItem().listDataItems()
    for item in (each for each in held if isinstance(each, pg.PlotDataItem)):
        pen, symbol = item.opts["pen"], item.opts["symbol"]
        if pen is not None and pen.style() != Qt.PenStyle.NoPen:
            full = symbol and pg.mkBrush(item.opts["symbolBrush"]).color() == pen.color()
            found.append((pen.style(), symbol, full))
    return found


def test_curves_of_one_plot_differ_by_more_than_colour(qtbot):
    sizes, one = np.array([0.01, 0.1, 1.0]), np.ones(1)
    curve = Faithfulness(
        sizes, np.arange(3), sizes, sizes / 2, 0.5, 0.5, sizes[:, None], one, one, ""
    )
    lines = [
        Line(curve, hue_colour(hue), hue == FIRST_RIVAL, hue_mark(hue))
        for hue in range(FIRST_RIVAL, N_HUES)
    ]
    rivals = FaithfulnessPlot()
    rivals.show_lines(lines, 0.01)
    plots = [rivals, DosePlot(), *(FigurePlot(figure) for figure in FIGURES)]
    several = 0
    for plot in plots:
        qtbot.addWidget(plot)
        held = looks(plot)
        assert len(set(held)) == len(held), plot.accessibleName()
        several += len(held) > 1
    assert several >= 3
    icons = [swatch("#ffffff", 12, hue_mark(hue)) for hue in range(FIRST_RIVAL, N_HUES)]
    grey = [icon.pixmap(12).toImage() for icon in icons]
    assert all(one != other for one, other in combinations(grey, 2))


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
    assert not any("crowd" in entry for entry in legend.entries)
    other = Legend()
    qtbot.addWidget(other)
    other.tell(panel.canvas.drawing.circuit, "9,000 edges", crowd=True)
    assert "lowers, in a crowd" in other.entries


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
