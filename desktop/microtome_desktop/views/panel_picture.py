"""A panel as a picture, and as a drawing of lines and text."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pyqtgraph as pg
from PySide6.QtCore import QBuffer, QIODevice, QPoint, QRect
from PySide6.QtGui import QColor, QImage, QPainter
from PySide6.QtSvg import QSvgGenerator
from PySide6.QtWidgets import QWidget

from microtome_desktop import palette as colours
from microtome_desktop.views.panel import Panel

RATIO = 2  # pixels of a picture for one of the screen
_DESCRIPTION = "Lines and text as Microtome draws them; maps of colours and points in 3-D are"
_FLAGS = QWidget.RenderFlag.DrawWindowBackground | QWidget.RenderFlag.DrawChildren


def picture_of(panel: Panel) -> QImage:
    """The panel at twice the resolution of the screen."""
    image = QImage(panel.size() * RATIO, QImage.Format.Format_ARGB32_Premultiplied)
    image.setDevicePixelRatio(RATIO)
    _paint(panel, image)
    finish = getattr(panel, "finish_drawing", None)
    if finish is not None:  # it has seen the finer grid now, and draws for it
        finish()
        _paint(panel, image)
    return image


def _paint(panel: Panel, image: QImage) -> None:
    image.fill(QColor(colours.CARD))
    panel.render(image, QPoint(), panel.rect(), _FLAGS)


def drawing_of(panel: Panel) -> bytes:
    """The panel as SVG: text is text, and only what are pixels on screen are pixels there."""
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    generator = QSvgGenerator()
    generator.setOutputDevice(buffer)
    generator.setSize(panel.size())
    generator.setViewBox(QRect(QPoint(), panel.size()))
    generator.setTitle(f"Microtome: {panel.title}")
    generator.setDescription(f"{_DESCRIPTION} embedded pictures.")
    with _exporting(panel):
        painter = QPainter(generator)
        painter.fillRect(panel.rect(), QColor(colours.CARD))
        panel.render(painter, QPoint(), panel.rect(), _FLAGS)
        painter.end()
    return bytes(buffer.data().data())


@contextmanager
def _exporting(panel: Panel) -> Iterator[None]:
    """Plots draw shapes where they would copy pictures of them."""
    views = panel.findChildren(pg.GraphicsView)
    items = [item for view in views for item in view.scene().items()]
    able = [item for item in items if isinstance(item, pg.ScatterPlotItem)]
    for item in able:
        item.setExportMode(True, {"resolutionScale": 1.0, "antialias": True})
    try:
        yield
    finally:
        for item in able:
            item.setExportMode(False)
