"""Prompts whose attention patterns outgrow memory, and maps with more cells than pixels."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QRectF, Qt
from PySide6.QtGui import QPixmap, QRegion
from PySide6.QtTest import QTest

from microtome.activations import budget
from microtome.records.pattern import resolutions
from microtome_desktop.commands.command import CommandId
from microtome_desktop.presenters.heatmaps import Grid
from microtome_desktop.presenters.strip import Colouring
from microtome_desktop.views.circuit_axes import AxisStrip
from microtome_desktop.views.grid_plot import GridPlot
from microtome_desktop.views.token_chips import Chip, TokenChips

WAIT = 60_000
N = 1600


# ---------------------------------------------------------------- many cells


def shown(qtbot):
    plot = GridPlot("a map", top_down=True, bar=False)
    qtbot.addWidget(plot)
    plot.resize(420, 440)
    with qtbot.waitExposed(plot):
        plot.show()
    values = np.random.default_rng(0).random((N, N), dtype=np.float32) * 0.2
    values[700, 900] = 1.0
    names = tuple(f"t{i}" for i in range(N))
    grid = Grid(values, names, names, tuple(range(N)), 0, 1, False, "of it", "",
                coarser=resolutions(values))  # fmt: skip
    plot.show_grid(grid)
    qtbot.wait(30)
    return plot


def seen(plot):
    """The picture's values at a cell, as they are handed to the painter."""
    return plot.picture.item.image


def test_at_first_the_map_has_a_cell_for_each_pixel_and_no_more(qtbot):
    large = shown(qtbot)
    assert large.picture.resolution == 4
    assert seen(large).shape == (N // 4, N // 4)
    assert seen(large)[700 // 4, 900 // 4] == 1.0  # a single strong cell stays visible
    place = large.picture.item.mapRectToParent(large.picture.item.boundingRect())
    assert place == QRectF(-0.5, -0.5, N, N)


def test_zooming_in_ends_at_the_exact_values(qtbot):
    large = shown(qtbot)
    large._box.setRange(xRange=(880, 920), yRange=(680, 720), padding=0)
    qtbot.waitUntil(lambda: large.picture.resolution == 1)
    drawn, place = seen(large), large.picture._drawn[1]
    rows = slice(round(place.top() + 0.5), round(place.bottom() + 0.5))
    columns = slice(round(place.left() + 0.5), round(place.right() + 0.5))
    np.testing.assert_array_equal(drawn, large.grid.values[rows, columns])
    assert drawn.size < 40_000
    assert place.contains(QRectF(880, 680, 40, 40))


def test_a_small_pan_draws_nothing_new(qtbot):
    large = shown(qtbot)
    large._box.setRange(xRange=(880, 920), yRange=(680, 720), padding=0)
    qtbot.waitUntil(lambda: large.picture.resolution == 1)
    before = seen(large)
    large._box.translateBy(x=5, y=5)
    qtbot.wait(20)
    assert seen(large) is before
    large._box.translateBy(x=200, y=0)
    qtbot.waitUntil(lambda: seen(large) is not before)
    assert large.picture._drawn[1].contains(large._box.viewRect())


def test_the_value_under_the_cursor_is_exact_however_coarse_the_picture(qtbot):
    large = shown(qtbot)
    place = large.cell_centre(700, 900).toPoint()
    QTest.mouseMove(large.plot.viewport(), place)
    qtbot.waitUntil(lambda: bool(large.caption.text()))
    row, column = (int(n) for n in re.match(r"t(\d+) · (\d+)", large.caption.text()).groups())
    assert abs(row - 700) < 30
    assert abs(column - 900) < 30
    assert f"{float(large.grid.values[row, column]):.4g} of it" in large.caption.text()


# ---------------------------------------------------------------- many tokens


def test_only_the_chips_in_view_are_painted(qtbot, monkeypatch):
    chips = TokenChips("tokens")
    qtbot.addWidget(chips)
    chips.show_rows(tuple(Chip(f"t{i}") for i in range(4096)))
    painted = []
    monkeypatch.setattr(TokenChips, "_draw", lambda self, p, chip, place, n: painted.append(n))
    left = round(chips.column_rect(2000).left())
    chips.render(QPixmap(600, chips.height()), sourceRegion=QRegion(left, 0, 600, chips.height()))
    assert painted[0] <= 2000 < painted[-1]
    assert len(painted) < 40
    for column in (0, 1999, 4095):
        assert chips._column_at(chips.column_rect(column).center()) == column
    gap = chips.column_rect(7).right() + 1
    assert chips._column_at(chips.column_rect(7).center() * 0 + QPoint(round(gap), 5)) in {-1, 7}


def slow_names(strip):
    """The names that fit, each compared with all that are there."""
    order = sorted(
        range(len(strip._names)), key=lambda i: (i != strip._selected, i not in strip._important)
    )
    taken, chosen = [], []
    for index in order:
        box = strip._box(index)
        wide = box.adjusted(-7, 0, 7, 0)
        if box.left() < 0 or box.right() > strip.width():
            continue
        if not any(wide.intersects(other) for other in taken):
            taken.append(box)
            chosen.append(index)
    return set(chosen)


@pytest.mark.parametrize("seed", range(6))
def test_the_axis_chooses_the_same_names_as_a_plain_search(qtbot, seed):
    random = np.random.default_rng(seed)
    strip = AxisStrip(Qt.Orientation.Horizontal, "tokens")
    qtbot.addWidget(strip)
    strip.resize(700, 26)
    count = int(random.integers(5, 400))
    places = np.sort(random.uniform(-50, 900, count))
    important = random.choice(count, count // 5, replace=False).tolist()
    strip.set_names([f"token{i}"[: int(random.integers(1, 8))] for i in range(count)], places,
                    important)  # fmt: skip
    strip.set_selected(int(random.integers(count)))
    assert {index for index, _ in strip.shown()} == slow_names(strip)


# ---------------------------------------------------------------- patterns that are not kept


@pytest.fixture
def without_patterns(live, monkeypatch, qtbot):
    """The example, run as a long prompt is: without keeping its patterns."""
    kept = tuple(name for name in budget._USEFULNESS if name not in {"pattern", "scores"})
    monkeypatch.setattr(budget, "_USEFULNESS", kept)
    live.window.actions_table.trigger(CommandId.RUN)
    qtbot.waitUntil(lambda: live.runner.idle, timeout=WAIT)
    assert "pattern" not in live.desk.workspace.session.clean.activations
    return live


def settled(qtbot, bench):
    bench.runner.turns.finish()
    qtbot.waitUntil(lambda: bench.runner.idle, timeout=WAIT)
    bench.runner.turns.finish()


def test_the_model_computes_a_head_again_when_it_is_looked_at(without_patterns, qtbot):
    import microtome as mt

    bench = without_patterns
    panel = bench.furnishing.panels["attention"]
    bench.desk.selection.update(layer=2, head=3)
    settled(qtbot, bench)
    session = bench.desk.workspace.session
    exact = mt.trace(mt.load_model("words-4l"), session.question.prompt, sites=["pattern"])
    exact = exact.attention(2)
    np.testing.assert_allclose(panel.map.grid.values, exact[3], atol=1e-6)
    assert len(panel.thumbnails._maps) == 4
    QTest.mouseClick(panel.thumbnails, Qt.MouseButton.LeftButton,
                     pos=panel.thumbnails.cell(1).center())  # fmt: skip
    settled(qtbot, bench)
    np.testing.assert_allclose(panel.map.grid.values, exact[1], atol=1e-6)
    table = panel.exported_table()()
    assert table.rows[5][3] == pytest.approx(float(exact[1][5, 2]), abs=1e-6)
    strip = bench.furnishing.panels["token_strip"]
    before = strip.colour_by.currentText()
    strip.colour_by.setCurrentText(str(Colouring.ATTENTION))
    strip.show_session()
    assert "where L2H1 looks" in strip.explanation.text()
    strip.colour_by.setCurrentText(before)


def test_the_latest_wish_is_served_when_heads_change_quickly(without_patterns, qtbot):
    bench = without_patterns
    panel = bench.furnishing.panels["attention"]
    for head in (0, 1, 2, 3, 0, 2):
        bench.desk.selection.update(layer=1, head=head)
        bench.runner.turns.finish()
    settled(qtbot, bench)
    assert panel._pattern is not None
    assert (panel._pattern.layer, panel._pattern.head) == (1, 2)
    assert not bench.desk.workspace.arrays._asked


def test_without_the_model_the_panel_says_what_to_do(bench, sample_session, qtbot):
    clean = sample_session.traces[0]
    held = {name: each for name, each in clean.activations.items() if name != "pattern"}
    long = replace(sample_session, traces=(replace(clean, activations=held),), uuid="long")
    bench.desk.workspace.set_model(None)
    bench.desk.workspace.show(long, dirty=False)
    settled(qtbot, bench)
    panel = bench.furnishing.panels["attention"]
    bench.desk.selection.update(layer=2, head=1)
    settled(qtbot, bench)
    assert panel.map.grid is None
    assert "Attach the model" in panel.map.caption.text() or "no layer" in panel.map.caption.text()
    json.dumps(panel.view_state())
