"""Pictures with 256 colours of their own: a window has few, and a page loads them twice as fast."""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt8
from PySide6.QtGui import QImage, qRgb

_MOST = 256


def indexed(image: QImage) -> QImage:
    """The picture with at most 256 colours, those of which there is most kept as they are.

    Source: Heckbert, "Color image quantization for frame buffer display" (1982), median cut.
    """
    plain = image.convertToFormat(QImage.Format.Format_RGB888)
    high, wide = plain.height(), plain.width()
    rows = np.frombuffer(plain.constBits(), np.uint8).reshape(high, plain.bytesPerLine())
    pixels = rows[:, : 3 * wide].reshape(-1, 3).astype(np.int64)
    codes, inverse, counts = np.unique(
        pixels @ np.array([1 << 16, 1 << 8, 1]), return_inverse=True, return_counts=True
    )
    colours = np.stack([codes >> 16, codes >> 8 & 255, codes & 255], axis=1)
    table, box_of = _cut(colours, counts)
    made = QImage(wide, high, QImage.Format.Format_Indexed8)
    made.setColorTable([qRgb(*map(int, colour)) for colour in table])
    _fill(made, box_of[inverse].reshape(high, wide).astype(np.uint8))
    return made


def _cut(colours: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A table of colours [entry, channel], and the entry of each colour [colour]."""
    boxes = [np.arange(len(colours))]
    while len(boxes) < min(_MOST, len(colours)):
        spread = [np.ptp(colours[box], axis=0).max() * counts[box].sum() ** 0.25 for box in boxes]
        widest = boxes.pop(int(np.argmax(spread)))
        channel = int(np.argmax(np.ptp(colours[widest], axis=0)))
        order = widest[np.argsort(colours[widest, channel], kind="stable")]
        held = np.cumsum(np.sqrt(counts[order]))
        middle = int(np.clip(np.searchsorted(held, held[-1] / 2), 1, len(order) - 1))
        boxes += [order[:middle], order[middle:]]
    entry = np.empty(len(colours), dtype=np.int64)
    for number, box in enumerate(boxes):
        entry[box] = number
    return np.array([colours[box[np.argmax(counts[box])]] for box in boxes]), entry


def _fill(image: QImage, values: UInt8[np.ndarray, "high wide"]) -> None:
    """Write the values into the picture, whose lines are longer than they are wide."""
    lines = np.frombuffer(image.bits(), np.uint8).reshape(values.shape[0], image.bytesPerLine())
    lines[:, : values.shape[1]] = values
