"""Pictures into PNG files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from microtome.errors import StorageError

_GAP, _PAPER = 2, 255  # pixels between pictures, before they are enlarged


def side_by_side(
    pictures: UInt8[np.ndarray, "result row column channel"], edge: int
) -> UInt8[np.ndarray, "rows columns channel"]:
    """All pictures in one, each pixel enlarged to a square so that a row is about ``edge`` high."""
    apart = np.pad(pictures, ((0, 0), (0, 0), (0, _GAP), (0, 0)), constant_values=_PAPER)
    joined = np.concatenate(list(apart), axis=1)[:, :-_GAP]
    times = max(1, edge // pictures.shape[1])
    made: UInt8[np.ndarray, "rows columns channel"] = joined.repeat(times, 0).repeat(times, 1)
    return made


def write_png(path: Path, picture: UInt8[np.ndarray, "row column channel"]) -> None:
    """Write a picture. Raises StorageError where the file cannot be written."""
    flat = picture[:, :, 0] if picture.shape[2] == 1 else picture
    try:
        Image.fromarray(flat).save(path, "PNG")
    except OSError as error:
        raise StorageError(
            f"{path} could not be written: {error}.", "Choose another place."
        ) from error
