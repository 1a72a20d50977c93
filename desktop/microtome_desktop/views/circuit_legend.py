"""The legend of the circuit: glyphs and dashes as they are drawn, with their counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from PySide6.QtCore import QPointF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPen, QPixmap
from PySide6.QtWidgets import QHBoxLayout, QLabel, QWidget

from microtome.records.circuit import Circuit
from microtome_desktop import palette as colours
from microtome_desktop.presenters.circuit_curves import (
    LOWERS,
    RAISES,
    Mark,
    hue_colour,
    hue_mark,
)
from microtome_desktop.presenters.circuit_kinds import (
    FALLS_EDGE,
    EdgeStyle,
    edge_style,
    node_style,
)
from microtome_desktop.presenters.circuit_text import edge_counts, legend_counts
from microtome_desktop.presenters.edited_graph import FALLING
from microtome_desktop.views.edge_haze import HATCH
from microtome_desktop.views.edge_marks import paint_mark
from microtome_desktop.views.labels import paint_cross
from microtome_desktop.views.node_layer import glyph
from microtome_desktop.views.text_flow import drop, flow, renew, text_label

_KINDS = {FALLING: FALLS_EDGE}  # lines that are dashed
_SIGNS: Mapping[str, int] = {"raises": RAISES, "lowers": LOWERS}
_HATCHED = "lowers, in a crowd"
_ALONG = np.array([(1.0, 5), (7, 5), (13, 5), (19, 5)])  # a line of the legend


class Legend(QWidget):
    """Glyphs and dashes exactly as drawn, with how many of each are on screen."""

    def __init__(self) -> None:
        super().__init__()
        self._row = flow(self, bottom=4)
        self._keys: list[str] = []
        self._parts: list[QWidget] = []
        self._labels: list[QLabel] = []
        self.entries: tuple[str, ...] = ()
        self.drawn = ""

    def tell(
        self,
        circuit: Circuit | None,
        drawn: str,
        edited: int = 0,
        colouring: Mapping[str, int] | None = None,
        moved: Mapping[str, int] | None = None,
        *,
        crowd: bool = False,
    ) -> None:
        """List the kinds of a circuit, say how much is drawn, and how many nodes are edited.

        ``colouring`` names the hues of edges, where they are not those of their signs;
        ``moved`` counts nodes that rise and fall, where a change is drawn; of a ``crowd`` not
        every edge is drawn by a pen.
        """
        ratio = self.devicePixelRatioF()
        lines = colouring or _SIGNS
        rows = [] if circuit is None else _legend_rows(circuit, drawn, (ratio, edited), lines)
        if crowd and LOWERS in lines.values():
            rows[-1:-1] = [_Entry(_HATCHED, _HATCHED, _hatched(hue_colour(LOWERS), ratio))]
        if moved:
            rows[-1:-1] = [
                _Entry(kind, f"{kind} {count}", glyph(node_style(kind), ratio=ratio))
                for kind, count in moved.items()
            ]
        self.entries, self.drawn = tuple(row.text for row in rows), drawn
        if [row.key for row in rows] == self._keys:
            for label, row in zip(self._labels, rows, strict=True):
                label.setText(row.text)
            renew(self, self._row)
            return
        for part in self._parts:
            drop(self._row, part)
        self._keys, self._parts, self._labels = [row.key for row in rows], [], []
        for row in rows:
            self._add(row)
        renew(self, self._row)

    def _add(self, entry: _Entry) -> None:
        part = QWidget()
        row = QHBoxLayout(part)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(5)
        if entry.picture is not None:
            mark = QLabel()
            mark.setPixmap(entry.picture)
            row.addWidget(mark)
        label = text_label(entry.text, colours.TEXT if entry.picture is None else colours.TEXT_DIM)
        row.addWidget(label)
        self._row.addWidget(part)
        self._parts.append(part)
        self._labels.append(label)


@dataclass(frozen=True, slots=True)
class _Entry:
    """One entry of the legend; entries of one key differ in their count only."""

    key: str
    text: str
    picture: QPixmap | None = None


def _legend_rows(
    circuit: Circuit, drawn: str, marks: tuple[float, int], lines: Mapping[str, int]
) -> list[_Entry]:
    ratio, edited = marks
    rows = [
        _Entry(style.kind, f"{style.title} {count}", glyph(style, ratio=ratio))
        for style, count in legend_counts(circuit)
    ]
    for kind, count in edge_counts(circuit):
        style = edge_style(kind)
        if style.mark:
            rows.append(
                _Entry(style.mark, f"{style.title} {count}", _line(style, colours.TEXT_DIM, ratio))
            )
    rows += [
        _Entry(
            f"{text} {hue_colour(hue)}",
            text,
            _line(edge_style(_KINDS.get(text, 0)), hue_colour(hue), ratio, hue_mark(hue)),
        )
        for text, hue in lines.items()
    ]
    if edited:
        rows.append(_Entry("edited", f"edited {edited}", _cross(ratio)))
    return [*rows, _Entry("drawn", drawn)]


def _cross(ratio: float) -> QPixmap:
    """The mark of edited nodes as it is drawn."""
    pixmap = QPixmap(QSize(14, 14) * ratio)
    pixmap.setDevicePixelRatio(ratio)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    paint_cross(painter, QPointF(7, 7), 4.0, colours.BAD)
    painter.end()
    return pixmap


def _hatched(colour: str, ratio: float) -> QPixmap:
    """What lowers where edges are too many for a pen: cut by level lines."""
    pixmap = QPixmap(QSize(20, 14) * ratio)
    pixmap.setDevicePixelRatio(ratio)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    for top in range(1, 14, HATCH):
        painter.fillRect(0, top, 20, HATCH - 2, QColor(colour))
    painter.end()
    return pixmap


def _line(style: EdgeStyle, colour: str, ratio: float, mark: Mark | None = None) -> QPixmap:
    pixmap = QPixmap(QSize(20, 10) * ratio)
    pixmap.setDevicePixelRatio(ratio)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    pen = QPen(QColor(colour), 1.8)
    if style.dashes:
        pen.setDashPattern([max(step / 1.3, 0.1) for step in style.dashes])
        pen.setCapStyle(Qt.PenCapStyle.FlatCap)
    painter.setPen(pen)
    painter.drawLine(1, 5, 19, 5)
    paint_mark(painter, _ALONG, QPen(QColor(colour), 1.8), mark)
    painter.end()
    return pixmap
