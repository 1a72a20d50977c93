"""Draw the icon's picture files from its SVG: python packaging/icons.py, after it was changed."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image
from PySide6.QtCore import QBuffer, QByteArray, QIODevice
from PySide6.QtGui import QImage, QPainter
from PySide6.QtSvg import QSvgRenderer

ROOT = Path(__file__).resolve().parent.parent
ICONS = ROOT / "resources" / "microtome_resources" / "share" / "icons" / "hicolor"
SIZES = (16, 24, 32, 48, 64, 128, 256, 512)
WINDOWS = (16, 24, 32, 48, 64, 128, 256)
MACOS = (16, 32, 64, 128, 256, 512)


def main() -> None:
    """Write the PNG of each size, and those of Windows and macOS that hold several."""
    renderer = QSvgRenderer(str(ICONS / "scalable" / "apps" / "microtome.svg"))
    made = {size: drawn(renderer, size) for size in SIZES}
    for size, data in made.items():
        place = ICONS / f"{size}x{size}" / "apps" / "microtome.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    for kind, sizes in (("windows/microtome.ico", WINDOWS), ("macos/microtome.icns", MACOS)):
        place = ROOT / "packaging" / kind
        images = [Image.open(io.BytesIO(made[size])) for size in sizes]
        place.parent.mkdir(exist_ok=True)
        given = {"sizes": [(size, size) for size in sizes]} if place.suffix == ".ico" else {}
        images[-1].save(place, append_images=images[:-1], **given)


def drawn(renderer: QSvgRenderer, size: int) -> bytes:
    """The icon as a PNG of a size."""
    image = QImage(size, size, QImage.Format.Format_ARGB32)
    image.fill(0)
    painter = QPainter(image)
    renderer.render(painter)
    painter.end()
    data = QByteArray()
    buffer = QBuffer(data)
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    image.save(buffer, "PNG")
    return bytes(data.data())


if __name__ == "__main__":
    main()
