"""Colour maps as tables of 256 colours, perceptually uniform and safe for colour-blind eyes."""

from __future__ import annotations

from functools import cache

import numpy as np
from jaxtyping import Float, UInt8

from microtome_desktop import palette as colours

# Anchor colours of matplotlib's maps (CC0), evenly spaced from dark to bright.
MAPS = {
    "magma": ("#000004", "#221150", "#5f187f", "#982d80", "#d3436e", "#f8765c", "#febb81",
              "#fcfdbf"),
    "viridis": ("#440154", "#46327e", "#365c8d", "#277f8e", "#1fa187", "#4ac16d", "#a0da39",
                "#fde725"),
    "cividis": ("#00224e", "#1b3b6d", "#454f6b", "#666970", "#868379", "#aa9e72", "#d0be67",
                "#fee838"),
    "inferno": ("#000004", "#280b53", "#65156e", "#9f2a63", "#d44842", "#f57d15", "#fac127",
                "#fcffa4"),
}  # fmt: skip


def _rgb(code: str) -> tuple[int, int, int]:
    return int(code[1:3], 16), int(code[3:5], 16), int(code[5:7], 16)


def _table(
    codes: tuple[str, ...], places: tuple[float, ...] | None = None
) -> UInt8[np.ndarray, "256 4"]:
    anchors = np.array([_rgb(code) for code in codes], dtype=float)
    at = np.linspace(0, 1, len(codes)) if places is None else np.array(places)
    wanted = np.linspace(0, 1, 256)
    channels = [np.interp(wanted, at, anchors[:, channel]) for channel in range(3)]
    return np.stack([*channels, np.full(256, 255.0)], axis=1).round().astype(np.uint8)


def magnitude_table() -> UInt8[np.ndarray, "256 4"]:
    """For values from zero upward, in the map that was chosen.

    The end that means zero takes the card's own colour, so that it vanishes into the panel: the
    dark end in the dark theme, the bright one in the light theme.
    """
    return _magnitudes(colours.MAP, colours.NAME, colours.CARD)


@cache
def _magnitudes(name: str, theme: str, card: str) -> UInt8[np.ndarray, "256 4"]:
    codes = MAPS[name]
    if theme == colours.LIGHT:
        codes = codes[::-1]
    return _table((card, *codes[1:]))


@cache
def sequence_table() -> UInt8[np.ndarray, "256 4"]:
    """Violet to yellow, for positions and layers."""
    return _table(MAPS["viridis"])


def signed_table() -> UInt8[np.ndarray, "256 4"]:
    """Orange through the card's colour to blue, for signed effects; zero vanishes."""
    return _signed(colours.SIGNED_STOPS)


@cache
def _signed(stops: tuple[tuple[float, str], ...]) -> UInt8[np.ndarray, "256 4"]:
    return _table(tuple(code for _, code in stops), tuple(place for place, _ in stops))


def coloured(
    values: Float[np.ndarray, "*shape"], low: float, high: float, table: UInt8[np.ndarray, "256 4"]
) -> UInt8[np.ndarray, "*shape 4"]:
    """The colour of each value, ``low`` and ``high`` at the ends of the table."""
    span = high - low or 1.0
    scaled = np.clip((values - low) / span, 0, 1) * 255
    return table[np.nan_to_num(scaled).astype(np.uint8)]
