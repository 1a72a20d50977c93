"""The colours of the window, named by what they mean, in a dark and a light theme.

Views read them as attributes of this module when they paint or are made, so that ``use`` changes
what is drawn from then on.
"""

from __future__ import annotations

from functools import cache
from typing import Final

DARK: Final = "dark"
LIGHT: Final = "light"
READABLE: Final = 4.5  # the least contrast of text, by WCAG 2.2

_DARK = {
    "WINDOW": "#0f1216", "FIELD": "#0f1216", "CARD": "#161a20", "RAISED": "#1d222a",
    "RAISED_MORE": "#262d38", "LINE": "#272d37", "SELECTED": "#2a4266", "VEIL": "#ffffff",
    "TEXT": "#d7dce4", "TEXT_DIM": "#9ea6b4", "TEXT_FAINT": "#828b99", "OFF": "#6a7484",
    "ACCENT": "#6ea8fe", "ACCENT_MORE": "#86b6ff", "ON_ACCENT": "#0b1320", "WARM": "#f2a65a",
    "EXCITES": "#6ea8fe", "INHIBITS": "#f2795a", "GOOD": "#57c785", "BAD": "#ef6a6a",
    "TOKEN": "#57c7b8", "POSITION": "#7f9fb5", "HEAD": "#f2a65a", "MLP": "#b58cf5",
    "OUTPUT": "#d7dce4", "GROUP": "#e58fc3", "DIFFERENT": "#5a3c22",
    "BANNER": "#33291a", "BANNER_LINE": "#5c4526",
    "ALARM": "#3a1c1f", "ALARM_LINE": "#7a353a",
}  # fmt: skip
_LIGHT = {
    "WINDOW": "#e9ecf0", "FIELD": "#ffffff", "CARD": "#fbfcfd", "RAISED": "#eff2f6",
    "RAISED_MORE": "#dfe5ed", "LINE": "#ccd3dd", "SELECTED": "#c9dcfa", "VEIL": "#000000",
    "TEXT": "#1b2230", "TEXT_DIM": "#475160", "TEXT_FAINT": "#606a79", "OFF": "#737d8c",
    "ACCENT": "#1c5dc2", "ACCENT_MORE": "#174fa6", "ON_ACCENT": "#ffffff", "WARM": "#924d0a",
    "EXCITES": "#2966c8", "INHIBITS": "#b64026", "GOOD": "#1a7742", "BAD": "#bb2b2b",
    "TOKEN": "#0e8072", "POSITION": "#5b7b91", "HEAD": "#c26a12", "MLP": "#7748cf",
    "OUTPUT": "#1b2230", "GROUP": "#b23a82", "DIFFERENT": "#f4d9b8",
    "BANNER": "#fbeed8", "BANNER_LINE": "#e2c08a",
    "ALARM": "#fbe1e1", "ALARM_LINE": "#dd9a9a",
}  # fmt: skip
# Groups of points: their own colours, brighter (darker) than those of tasks and positions.
_GROUPS = {
    DARK: ("#ffd84a", "#ff6fb1", "#45d6ff", "#8cf06a", "#ff8f45", "#bd9bff", "#ffffff", "#ff5a5a"),
    LIGHT: ("#b38600", "#c2187a", "#007fa8", "#2f8a12", "#c45200", "#6a3fd0", "#000000", "#c01818"),
}
THEMES: Final = {DARK: _DARK, LIGHT: _LIGHT}

NAME = DARK
WINDOW, CARD, RAISED, RAISED_MORE = "", "", "", ""
FIELD = ""  # where one types or chooses
LINE, VEIL = "", ""
SELECTED = ""  # behind a chosen line
TEXT, TEXT_DIM, TEXT_FAINT = "", "", ""  # faint: hints, which are still to be read
OFF = ""  # what cannot be used now
ACCENT, ACCENT_MORE, ON_ACCENT, WARM = "", "", "", ""
EXCITES, INHIBITS, GOOD, BAD = "", "", "", ""
TOKEN, POSITION, HEAD, MLP, OUTPUT = "", "", "", "", ""
GROUP = ""  # nodes that the user put together
DIFFERENT, BANNER, BANNER_LINE = "", "", ""
ALARM, ALARM_LINE = "", ""  # a bar that warns of wrong numbers
POINT_GROUPS: tuple[str, ...] = ()
# Signed effects run through the card's own colour, so that zero disappears.
SIGNED_STOPS: tuple[tuple[float, str], ...] = ()
DIMMED = 0.22  # opacity of everything off the selected path
MAP = "magma"  # of values from zero upward


def use(theme: str) -> None:
    """Draw in this theme, ``dark`` or ``light``, from now on."""
    held = THEMES[theme]
    stops = ((0.0, held["INHIBITS"]), (0.5, held["CARD"]), (1.0, held["EXCITES"]))
    globals().update(held, NAME=theme, SIGNED_STOPS=stops, POINT_GROUPS=_GROUPS[theme])


def ink(fill: str) -> str:
    """What can be read on a filled cell or chip: the text's colour, else white or black."""
    inks = (TEXT, "#ffffff", "#000000")
    return next((each for each in inks if contrast(each, fill) >= READABLE), inks[-1])


def contrast(one: str, other: str) -> float:
    """How far two colours are apart in lightness, from 1 to 21.

    Source: WCAG 2.2, contrast ratio.
    """
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


@cache
def _luminance(code: str) -> float:
    channels = (int(code[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def use_map(name: str) -> None:
    """Draw values from zero upward in this colour map from now on."""
    globals()["MAP"] = name


use(DARK)
