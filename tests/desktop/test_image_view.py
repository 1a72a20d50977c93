"""The widget that shows images, by mouse and keyboard."""

from __future__ import annotations

import numpy as np
import pytest
from acts import to_front
from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QColor, QMouseEvent
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from microtome_desktop import palette
from microtome_desktop.views.image_view import ImageView

RAMP = np.arange(8 * 6 * 3, dtype=np.uint8).reshape(8, 6, 3)  # 8 rows, 6 columns


@pytest.fixture
def view(qtbot: QtBot) -> ImageView:
    made = ImageView(side=120)
    qtbot.addWidget(made)
    made.resize(240, 160)
    made.show()
    qtbot.waitUntil(made.windowHandle().isExposed)
    to_front(made)  # the keys of another window that is active come first
    return made


def _point(view: ImageView, row: int, column: int) -> None:
    """Lay the pointer on a pixel; the real one would be told of late, amid the keys that follow."""
    place, none = view.place_of(row, column), Qt.MouseButton.NoButton
    kind, keys = QEvent.Type.MouseMove, Qt.KeyboardModifier.NoModifier
    event = QMouseEvent(kind, place, view.mapToGlobal(place), none, none, keys)
    QApplication.sendEvent(view, event)


def _colour(view: ImageView, row: int, column: int) -> tuple[int, int, int]:
    shown = view.grab().toImage().pixelColor(view.place_of(row, column).toPoint())
    return shown.red(), shown.green(), shown.blue()


def test_each_pixel_is_a_square_of_its_own_colour(view: ImageView) -> None:
    view.show_image(RAMP, title="a ramp")
    for row, column in ((0, 0), (3, 5), (7, 2)):
        assert _colour(view, row, column) == tuple(RAMP[row, column].tolist())
    grey = np.full((4, 4, 1), 77, dtype=np.uint8)
    view.show_image(grey)
    assert _colour(view, 1, 1) == (77, 77, 77)


@pytest.mark.parametrize("theme", [palette.DARK, palette.LIGHT])
def test_an_overlay_shows_the_image_at_zero_and_the_sign_elsewhere(
    view: ImageView, theme: str
) -> None:
    palette.use(theme)
    try:
        overlay = np.array([[0.0, 2.0], [-2.0, 0.0]], dtype=np.float32)  # a quarter each
        view.show_image(np.full((8, 8, 3), 90, dtype=np.uint8), overlay, signed=True)
        assert _colour(view, 1, 1) == (90, 90, 90)
        excites, inhibits = QColor(palette.EXCITES), QColor(palette.INHIBITS)
        above, below = _colour(view, 1, 6), _colour(view, 6, 1)
        assert abs(above[2] - excites.blue()) < 40
        assert above[2] > above[0]
        assert abs(below[0] - inhibits.red()) < 40
        assert below[0] > below[2]
        view.show_image(np.full((8, 8, 3), 90, dtype=np.uint8), overlay)  # from zero upward
        assert _colour(view, 6, 1) == (90, 90, 90)
        assert _colour(view, 1, 6) != (90, 90, 90)
    finally:
        palette.use(palette.DARK)


def test_the_pointer_tells_its_pixel_and_the_keys_walk_over_cells(
    view: ImageView, qtbot: QtBot
) -> None:
    view.show_image(RAMP)
    seen: list[tuple[int, int]] = []
    held: list[tuple[int, int]] = []
    view.hovered.connect(lambda row, column: seen.append((row, column)))
    view.pressed.connect(lambda row, column: held.append((row, column)))
    _point(view, 5, 4)
    qtbot.mouseClick(view, Qt.MouseButton.LeftButton, pos=view.place_of(5, 4).toPoint())
    qtbot.mouseClick(view, Qt.MouseButton.LeftButton, pos=view.rect().bottomRight())
    assert seen[-1] == (5, 4)
    assert held == [(5, 4)]
    view.show_grid(4, 3)  # cells of 2 × 2 pixels
    qtbot.keyClick(view, Qt.Key.Key_Right)  # the last column: stays
    qtbot.keyClick(view, Qt.Key.Key_Down)
    qtbot.keyClick(view, Qt.Key.Key_Return)
    assert held[-1] == (6, 4)
    view.mark(0, 0, 2, 2)
    left, middle = int(view.image_rect().left()), int(view.place_of(0, 0).y())
    frame = view.grab().toImage().pixelColor(left, middle)
    assert frame.red() > frame.blue() + 60  # the warm line, over bluish pixels
    view.show_image(None)
    assert view.framed is None
    assert view.shown is None
