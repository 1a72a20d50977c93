"""A panel, or a part of one, as a picture, and as a drawing of lines and text."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pyqtgraph as pg
from PySide6.QtCore import QBuffer, QIODevice, QMarginsF, QPoint, QRect, QSizeF
from PySide6.QtGui import QColor, QImage, QPageSize, QPaintDevice, QPainter, QPdfWriter
from PySide6.QtSvg import QSvgGenerator
from PySide6.QtWidgets import QWidget

from microtome_desktop import palette as colours
from microtome_desktop.jobs.export_requests import MADE
from microtome_desktop.views.panel import Panel

RATIO = 2  # pixels of a picture for one of the screen
_DESCRIPTION = "Lines and text as Microtome draws them; maps of colours and points in 3-D are"
_EXACT = QPageSize.SizeMatchPolicy.ExactMatch
_FLAGS = QWidget.RenderFlag.DrawWindowBackground | QWidget.RenderFlag.DrawChildren


def picture_of(panel: QWidget) -> QImage:
    """The panel at twice the resolution of the screen."""
    image = QImage(panel.size() * RATIO, QImage.Format.Format_ARGB32_Premultiplied)
    image.setDevicePixelRatio(RATIO)
    _paint(panel, image)
    finish = getattr(panel, "finish_drawing", None)
    if finish is not None:  # it has seen the finer grid now, and draws for it
        finish()
        _paint(panel, image)
    return image


def _paint(panel: QWidget, image: QImage) -> None:
    image.fill(QColor(colours.CARD))
    panel.render(image, QPoint(), panel.rect(), _FLAGS)


def drawing_of(panel: QWidget, title: str = "", told: str = "") -> bytes:
    """The panel as SVG: text is text, and only what are pixels on screen are pixels there.

    ``told``, what made it, stands in its description.
    """
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    generator = QSvgGenerator()
    generator.setOutputDevice(buffer)
    generator.setSize(panel.size())
    generator.setViewBox(QRect(QPoint(), panel.size()))
    generator.setTitle(f"Microtome: {title or _named(panel)}")
    generator.setDescription(f"{_DESCRIPTION} embedded pictures.\n\n{told}".rstrip())
    _draw(panel, generator)
    return bytes(buffer.data().data())


def document_of(panel: QWidget, title: str = "", told: str = "") -> bytes:
    """The panel as a page of PDF of its own size, drawn as the SVG is; ``told`` is attached."""
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    writer = QPdfWriter(buffer)
    writer.setTitle(f"Microtome: {title or _named(panel)}")
    if told:
        writer.addFileAttachment(f"{MADE}.txt", told.encode(), "text/plain")
    # A pixel of the screen is a step of the page, so that text keeps its size beside lines.
    dots = panel.logicalDpiX()
    writer.setResolution(dots)
    inches = QSizeF(panel.size()) / dots
    writer.setPageSize(QPageSize(inches, QPageSize.Unit.Inch, "", _EXACT))
    writer.setPageMargins(QMarginsF())
    _draw(panel, writer)
    return bytes(buffer.data().data())


def _named(panel: QWidget) -> str:
    return panel.title if isinstance(panel, Panel) else panel.accessibleName()


def _draw(panel: QWidget, device: QPaintDevice) -> None:
    with _exporting(panel):
        painter = QPainter(device)
        painter.fillRect(panel.rect(), QColor(colours.CARD))
        panel.render(painter, QPoint(), panel.rect(), _FLAGS)
        painter.end()


@contextmanager
def _exporting(panel: QWidget) -> Iterator[None]:
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
