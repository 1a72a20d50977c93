"""Pictures with 256 colours of their own: a window has few, and a page loads them twice as fast."""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt8
from PySide6.QtGui import QImage, qRgb

_MOST = 256
_KEPT = 96  # surfaces and inks, exactly as they are


def indexed(image: QImage) -> QImage:
    """The picture with at most 256 colours, those of which there is most kept as they are.

    Source: Heckbert, "Color image quantization for frame buffer display" (1982), median cut.
    """
    plain = image.convertToFormat(QImage.Format.Format_RGB888)
    high, wide = plain.height(), plain.width()
    rows = np.frombuffer(plain.constBits(), np.uint8).reshape(high, plain.bytesPerLine())
    pixels = rows[:, : 3 * wide].reshape(-1, 3).astype(np.int64)
    numbers = pixels @ np.array([1 << 16, 1 << 8, 1], dtype=np.int64)
    codes, inverse, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    colours = np.stack([codes // (1 << 16), codes // (1 << 8) % 256, codes % 256], axis=1)
    table, box_of = _cut(colours, counts)
    made = QImage(wide, high, QImage.Format.Format_Indexed8)
    made.setColorTable([qRgb(*map(int, colour)) for colour in table])
    _fill(made, box_of[inverse].reshape(high, wide).astype(np.uint8))
    return made


def _cut(colours: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A table of colours [entry, channel], and the entry of each colour [colour]."""
    by_count = np.argsort(-counts, kind="stable")
    kept, boxes = by_count[:_KEPT, None], [by_count[_KEPT:]] if len(colours) > _KEPT else []
    while len(boxes) < min(_MOST, len(colours)) - len(kept):
        spread = [np.ptp(colours[box], axis=0).max() * counts[box].sum() ** 0.1 for box in boxes]
        widest = boxes.pop(int(np.argmax(spread)))
        channel = int(np.argmax(np.ptp(colours[widest], axis=0)))
        order = widest[np.argsort(colours[widest, channel], kind="stable")]
        values = colours[order, channel]
        # In the middle of the range: colours of a scale are as many as those of an edge of text.
        half = np.searchsorted(values, (values[0] + values[-1]) / 2, side="right")
        middle = int(np.clip(half, 1, len(order) - 1))
        boxes += [order[:middle], order[middle:]]
    boxes = [*kept, *boxes]
    entry = np.empty(len(colours), dtype=np.int64)
    for number, box in enumerate(boxes):
        entry[box] = number
    return np.array([colours[box[np.argmax(counts[box])]] for box in boxes]), entry


def _fill(image: QImage, values: UInt8[np.ndarray, "high wide"]) -> None:
    """Write the values into the picture, whose lines are longer than they are wide."""
    lines = np.frombuffer(image.bits(), np.uint8).reshape(values.shape[0], image.bytesPerLine())
    lines[:, : values.shape[1]] = values
