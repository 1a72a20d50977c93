"""The theme: readable contrasts, every colour named, fonts with a fallback."""

from __future__ import annotations

import ast
import re
import weakref
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QFontInfo, QPalette
from shiboken6 import delete

import microtome_desktop
from microtome_desktop import palette as colours
from microtome_desktop import theme
from microtome_desktop.presenters.colour_maps import MAPS, magnitude_table, signed_table
from microtome_desktop.views.discovery_asking import DiscoveryAsking
from microtome_desktop.views.feature_space_panel import FeatureSpacePanel
from microtome_desktop.views.fonts import mono_font, text_font
from microtome_desktop.views.head_rows import inks_on
from microtome_desktop.views.sweep_asking import SweepAsking
from microtome_desktop.views.token_strip import mixed


def luminance(code):
    """WCAG's relative luminance of a colour."""
    channels = [int(code[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.fixture(params=list(colours.THEMES))
def theme_name(request):
    """Each theme in turn; the dark one after."""
    colours.use(request.param)
    yield request.param
    colours.use(colours.DARK)


@pytest.mark.parametrize(
    ("kind", "name"),
    [(DiscoveryAsking, "discovery"), (SweepAsking, "patching"), (FeatureSpacePanel, "space")],
)
def test_a_panel_that_was_replaced_hears_nothing(bench, kind, name):
    """What still holds it, a job for one, must not stop what others are told."""
    context = bench.furnishing.panels["hypothesis"].context
    old = kind(context)
    context.later((old, "again"), old.update)
    delete(old)
    context.workspace.prepared.put(name, np.zeros(1))
    bench.runner.turns.finish()
    context.workspace.prepared.clear()


SURFACES = ("WINDOW", "FIELD", "CARD", "RAISED")
INKS = ("TEXT_DIM", "TEXT_FAINT", "ACCENT", "WARM", "GOOD", "BAD", "EXCITES", "INHIBITS")
KINDS = ("TOKEN", "POSITION", "HEAD", "MLP", "OUTPUT", "GROUP")
# What is neither written in nor drawn with, or cannot be used now.
GROUNDS = (
    "RAISED_MORE", "LINE", "SELECTED", "VEIL", "ON_ACCENT", "ACCENT_MORE", "DIFFERENT", "BANNER",
    "BANNER_LINE", "ALARM", "ALARM_LINE", "OFF",
)  # fmt: skip


@pytest.mark.parametrize("surface", SURFACES)
def test_text_can_be_read_on_every_surface(theme_name, surface):
    ground = getattr(colours, surface)
    assert {ink: contrast(getattr(colours, ink), ground) for ink in INKS
            if contrast(getattr(colours, ink), ground) < 4.5} == {}  # fmt: skip
    assert contrast(colours.TEXT, ground) >= 7
    kinds = [getattr(colours, kind) for kind in KINDS] + list(colours.POINT_GROUPS)
    assert min(contrast(kind, ground) for kind in kinds[: len(KINDS)]) >= 3
    assert min(contrast(kind, colours.CARD) for kind in kinds) >= 3


def test_every_colour_is_tried():
    """A new one belongs to those that text is written in, or to those it is not."""
    known = {"TEXT", *SURFACES, *INKS, *KINDS, *GROUNDS}
    assert set(colours.THEMES["dark"]) == known


def test_text_can_be_read_where_it_stands_on_a_colour(theme_name):
    assert contrast(colours.ON_ACCENT, colours.ACCENT) >= 4.5
    assert contrast(colours.ON_ACCENT, colours.ACCENT_MORE) >= 4.5
    for ground in ("SELECTED", "RAISED_MORE", "BANNER", "ALARM"):
        assert contrast(colours.TEXT, getattr(colours, ground)) >= 7
    assert contrast(colours.WARM, colours.DIFFERENT) >= 4.5  # where two prompts differ
    # Disabled, WCAG asks for nothing; it is to be seen all the same.
    assert contrast(colours.OFF, colours.CARD) >= 3
    for share in np.linspace(-1, 1, 81):  # chips of tokens
        fill = mixed(float(share))
        assert contrast(colours.ink(fill), fill) >= 4.5


@pytest.mark.parametrize("name", list(MAPS))
def test_numbers_can_be_read_on_every_colour_of_a_map(theme_name, name):
    colours.use_map(name)
    table = np.concatenate([magnitude_table(), signed_table()])[None, :, :4]
    colours.use_map("magma")
    inks = inks_on(table[0])
    pairs = zip(table[0], inks, strict=True)
    assert min(contrast("#" + bytes(ink[:3]).hex(), "#" + bytes(fill[:3]).hex())
               for fill, ink in pairs) >= 4.5  # fmt: skip


def test_no_colour_is_taken_when_a_module_is_read():
    """It would stay that of the theme before."""
    frozen = []
    for path in Path(microtome_desktop.__file__).parent.rglob("*.py"):
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.Assign | ast.AnnAssign):
                parts = (n for n in ast.walk(node) if isinstance(n, ast.Attribute))
                used = [
                    n.attr for n in parts if getattr(n.value, "id", "") in {"colours", "palette"}
                ]
                frozen += [
                    f"{path.name}:{node.lineno} {n}" for n in used if n in colours.THEMES["dark"]
                ]
    assert frozen == []


def test_both_themes_name_the_same_colours():
    dark, light = colours.THEMES.values()
    assert dark.keys() == light.keys()
    assert all(re.fullmatch("#[0-9a-f]{6}", code) for held in (dark, light) for code in
               held.values())  # fmt: skip


@pytest.mark.parametrize("name", list(MAPS))
def test_a_colour_map_grows_evenly_in_lightness(theme_name, name):
    colours.use_map(name)
    table = magnitude_table()
    colours.use_map("magma")
    light = np.array([luminance("#" + bytes(row[:3]).hex()) for row in table]) ** (1 / 2.4)
    steps = np.diff(light[16:])  # the first step leaves the card's own colour
    steps = -steps if theme_name == colours.LIGHT else steps
    assert (steps > -2e-3).all()
    assert tuple(table[0][:3]) == tuple(int(colours.CARD[i : i + 2], 16) for i in (1, 3, 5))


@pytest.mark.parametrize("name", list(MAPS))
def test_a_colour_map_is_the_published_one(name):
    import pyqtgraph

    published = pyqtgraph.colormap.get(name).getLookupTable(nPts=256, mode="byte")[:, :3]
    colours.use_map(name)
    ours = magnitude_table()[:, :3]
    colours.use_map("magma")
    away = np.abs(ours[64:].astype(int) - published[64:].astype(int))
    assert away.max() <= 24  # eight anchors, straight lines between


@pytest.mark.parametrize("scheme", [Qt.ColorScheme.Light, Qt.ColorScheme.Dark])
def test_the_system_s_theme_is_followed(qapp, monkeypatch, scheme):
    class Hints:
        def colorScheme(self):  # noqa: N802
            return scheme

    monkeypatch.setattr(theme.QGuiApplication, "styleHints", Hints)
    wanted = colours.LIGHT if scheme == Qt.ColorScheme.Light else colours.DARK
    assert theme.resolved("system") == wanted
    assert theme.resolved("light") == colours.LIGHT
    assert theme.resolved("nonsense") == colours.DARK


def lightness(widget):
    image = widget.grab().toImage()
    pixels = [image.pixelColor(x, y).lightness() for x in range(5, image.width(), 23)
              for y in range(5, image.height(), 23)]  # fmt: skip
    return float(np.median(pixels))


def test_the_window_changes_its_theme_and_keeps_everything_else(qtbot, bench):
    desk, panels = bench.desk, bench.furnishing.panels
    node = desk.workspace.session.circuit.node_id[5]
    desk.selection.update(node=node, layer=2)
    panels["circuit"].controls.nodes.setValue(25)
    panels["heatmap"].restore_view(panels["heatmap"].view_state())
    bench.runner.turns.finish()
    before = {name: panel.view_state() for name, panel in panels.items()}
    old = weakref.ref(panels["circuit"])
    desk.settings.theme = "light"
    bench.runner.turns.finish()
    qtbot.waitUntil(lambda: bench.runner.idle)
    try:
        assert lightness(bench.window) > 190
        for name, panel in bench.furnishing.panels.items():
            if panel.isVisible() and panel.height() > 40:
                assert lightness(panel) > 150, name
        assert {n: p.view_state() for n, p in bench.furnishing.panels.items()} == before
        circuit = bench.furnishing.panels["circuit"]
        assert circuit.canvas.drawing is not None
        assert circuit.shown.node_id[circuit.canvas._node] == node
        assert old() is None  # nothing listens twice
        desk.selection.update(node="OUT")
        bench.runner.turns.finish()
        assert bench.furnishing.panels["node_card"].heading.text() != ""
        bench.exports.menus["circuit"].look()
        assert bench.exports.menus["circuit"].copy_table.isEnabled()
    finally:
        desk.settings.theme = "dark"
        bench.runner.turns.finish()
        qtbot.waitUntil(lambda: bench.runner.idle)
    assert lightness(bench.window) < 60


def test_what_waits_for_its_turn_ends_with_the_panel_of_the_other_theme(bench):
    desk, turns = bench.desk, bench.runner.turns
    for name in ("see", "units", "visualise"):
        assert bench.furnishing.panels[name].isWidgetType()
    try:
        for theme_name in ("light", "dark"):
            bench.handlers.settle = desk.work.changed.emit  # asks for turns as the panels go
            desk.settings.theme = theme_name
            turns.finish()
    finally:
        desk.settings.theme = "dark"
        turns.finish()


def test_the_sheet_has_no_unnamed_colour_left():
    sheet = theme.style_sheet()
    assert not re.search(r"\b[A-Z]{3,}\b", sheet)
    assert sheet.count("{") == sheet.count("}")
    for code in re.findall(r"#[0-9a-fA-F]{6}\b", sheet):
        assert QColor(code).isValid()


def test_the_palette_dims_what_is_disabled():
    palette = theme.palette()
    group = QPalette.ColorGroup.Disabled
    assert palette.color(group, QPalette.ColorRole.Text).name() == colours.OFF
    assert palette.color(QPalette.ColorRole.Accent).name() == colours.ACCENT


def test_fonts_resolve_to_something_installed(qapp):
    assert QFontInfo(text_font()).pixelSize() == 13
    assert QFontInfo(mono_font()).fixedPitch()
