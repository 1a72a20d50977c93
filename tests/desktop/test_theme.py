"""The theme: readable contrasts, every colour named, fonts with a fallback."""

from __future__ import annotations

import re

import pytest
from PySide6.QtGui import QColor, QFontInfo, QPalette

from microtome_desktop import palette as colours
from microtome_desktop import theme
from microtome_desktop.views.fonts import mono_font, text_font


def luminance(code):
    """WCAG's relative luminance of a colour."""
    channels = [int(code[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("surface", [colours.WINDOW, colours.CARD, colours.RAISED])
@pytest.mark.parametrize(
    ("ink", "wanted"),
    [(colours.TEXT, 7), (colours.TEXT_DIM, 4.5), (colours.ACCENT, 4.5), (colours.BAD, 4.5)],
)
def test_text_can_be_read_on_every_surface(surface, ink, wanted):
    assert contrast(ink, surface) >= wanted


def test_the_sheet_has_no_unnamed_colour_left():
    sheet = theme.style_sheet()
    assert not re.search(r"\b(WINDOW|CARD|RAISED|LINE|FAINT|DIM|TEXT|ACCENT|BAD)\b", sheet)
    assert sheet.count("{") == sheet.count("}")
    for code in re.findall(r"#[0-9a-fA-F]{6}\b", sheet):
        assert QColor(code).isValid()


def test_the_palette_dims_what_is_disabled():
    palette = theme.palette()
    group = QPalette.ColorGroup.Disabled
    assert palette.color(group, QPalette.ColorRole.Text).name() == colours.TEXT_FAINT
    assert palette.color(QPalette.ColorRole.Accent).name() == colours.ACCENT


def test_fonts_resolve_to_something_installed(qapp):
    assert QFontInfo(text_font()).pixelSize() == 13
    assert QFontInfo(mono_font()).fixedPitch()
