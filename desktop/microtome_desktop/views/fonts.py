"""The window's two typefaces, with the platform's own where they are not installed."""

from __future__ import annotations

from PySide6.QtGui import QFont, QFontDatabase

_TEXT_FAMILIES = (
    "Inter",
    "Segoe UI Variable",
    "Segoe UI",
    "SF Pro Text",
    "Noto Sans",
    "DejaVu Sans",
)
_MONO_FAMILIES = (
    "JetBrains Mono",
    "Cascadia Mono",
    "SF Mono",
    "Consolas",
    "Noto Sans Mono",
    "DejaVu Sans Mono",
)


def text_font(pixels: int = 13) -> QFont:
    """The typeface of labels and buttons."""
    font = QFont()
    font.setFamilies(list(_TEXT_FAMILIES))
    font.setPixelSize(pixels)
    font.setHintingPreference(QFont.HintingPreference.PreferNoHinting)
    return font


def mono_font(pixels: int = 12) -> QFont:
    """The typeface of tokens, numbers and node names."""
    font = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont)
    font.setFamilies(list(_MONO_FAMILIES))
    font.setPixelSize(pixels)
    return font
