"""An image and what lies over it as one picture of pixels."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, UInt8

from microtome_desktop.presenters.colour_maps import coloured, magnitude_table, signed_table

_STRONGEST = 0.85  # how far the largest value of an overlay covers the image
_FAINT = 0.5  # of the image's colour and contrast that is left below an overlay


def with_overlay(
    values: UInt8[np.ndarray, "row column channel"],
    overlay: Float[np.ndarray, "_ _"] | None,
    *,
    signed: bool,
) -> UInt8[np.ndarray, "row column 3"]:
    """The image in red, green and blue, under an overlay where there is one.

    An overlay covers the whole image, with as many rows and columns as it has. It is coloured
    from zero to its largest value (``signed``: to the largest on either side) and is the more
    opaque the further it is from zero, so that zero shows the image. Below it the image is paler.
    """
    image = np.repeat(values, 3, axis=2) if values.shape[2] == 1 else values
    if overlay is None or not overlay.size:
        return np.ascontiguousarray(image)
    laid = _spread(np.nan_to_num(overlay.astype(np.float32)), image.shape[0], image.shape[1])
    peak = float(np.abs(laid).max()) or 1.0
    low = -peak if signed else 0.0
    table = signed_table() if signed else magnitude_table()
    strength = np.abs(laid) if signed else np.clip(laid, 0, None)
    cover = (_STRONGEST * np.sqrt(strength / peak))[..., None]
    colour = coloured(laid, low, peak, table)[..., :3].astype(np.float32)
    mixed = (1 - cover) * _paler(image) + cover * colour
    return np.ascontiguousarray(mixed.round().astype(np.uint8))


def _paler(image: UInt8[np.ndarray, "row column 3"]) -> Float[np.ndarray, "row column 3"]:
    grey = image.mean(axis=2, keepdims=True, dtype=np.float32)
    paler: Float[np.ndarray, "row column 3"] = _FAINT * image + (1 - _FAINT) * grey
    return paler


def _spread(
    overlay: Float[np.ndarray, "_ _"], rows: int, columns: int
) -> Float[np.ndarray, "{rows} {columns}"]:
    """The overlay's value at each pixel: that of the cell that the pixel lies in."""
    down = np.arange(rows) * overlay.shape[0] // rows
    across = np.arange(columns) * overlay.shape[1] // columns
    spread: Float[np.ndarray, "_ _"] = overlay[down[:, None], across[None, :]]
    return spread
