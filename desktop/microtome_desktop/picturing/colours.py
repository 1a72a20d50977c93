"""Pictures with 256 colours of their own: a window has few, and a page loads them twice as fast."""

from __future__ import annotations

from pathlib import Path

from PIL import Image
from PySide6.QtGui import QImage


def write_small(image: QImage, path: Path) -> None:
    """Write a PNG with the 256 colours that suit the picture best.

    Raises OSError when it cannot be written.
    """
    plain = image.convertToFormat(QImage.Format.Format_RGB888)
    size, line = (plain.width(), plain.height()), plain.bytesPerLine()
    pixels = Image.frombytes("RGB", size, bytes(plain.constBits()), "raw", "RGB", line)
    pixels.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
