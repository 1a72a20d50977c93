"""Colour maps as tables of 256 colours, perceptually uniform and safe for colour-blind eyes."""

from __future__ import annotations

from functools import cache

import numpy as np
from jaxtyping import Float, UInt8

from microtome_desktop import palette as colours

# Anchor colours of magma and viridis (matplotlib, CC0), evenly spaced; the darkest magma is
# lifted to the card's own colour so that zero vanishes into the panel.
_MAGMA = ("#161a20", "#221150", "#5f187f", "#982d80", "#d3436e", "#f8765c", "#febb81", "#fcfdbf")
_VIRIDIS = ("#440154", "#46327e", "#365c8d", "#277f8e", "#1fa187", "#4ac16d", "#a0da39", "#fde725")


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


@cache
def magnitude_table() -> UInt8[np.ndarray, "256 4"]:
    """Dark to bright, for values from zero upward."""
    return _table(_MAGMA)


@cache
def sequence_table() -> UInt8[np.ndarray, "256 4"]:
    """Violet to yellow, for positions and layers."""
    return _table(_VIRIDIS)


@cache
def signed_table() -> UInt8[np.ndarray, "256 4"]:
    """Orange through the card's colour to blue, for signed effects; zero vanishes."""
    places = tuple(place for place, _ in colours.SIGNED_STOPS)
    return _table(tuple(code for _, code in colours.SIGNED_STOPS), places)


def coloured(
    values: Float[np.ndarray, "*shape"], low: float, high: float, table: UInt8[np.ndarray, "256 4"]
) -> UInt8[np.ndarray, "*shape 4"]:
    """The colour of each value, ``low`` and ``high`` at the ends of the table."""
    span = high - low or 1.0
    scaled = np.clip((values - low) / span, 0, 1) * 255
    return table[np.nan_to_num(scaled).astype(np.uint8)]
