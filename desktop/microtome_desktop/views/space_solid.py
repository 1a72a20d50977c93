"""The feature space in 3-D: vispy points that orbit with the mouse."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QVBoxLayout, QWidget
from vispy.scene import cameras, visuals

from microtome_desktop import palette
from microtome_desktop.presenters.space import Space, nearest
from microtome_desktop.views.offscreen_scene import OffscreenScene
from microtome_desktop.views.space_view import SpaceView

_MOVING_POINTS = 10_000  # what software rendering turns at a bearable rate
_FRAME_SECONDS = 0.07  # one frame at rest may take this long
_REST_MILLISECONDS = 150
_OPACITY = 0.75
_CLICK_PIXELS = 4


class SolidSpace(SpaceView):
    """Orbits with the left button, zooms with the wheel, picks by projection on the CPU."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._space: Space | None = None
        self._order = np.zeros(0, dtype=np.int64)
        self._drawn = 0
        self._limit = _MOVING_POINTS * 5
        self._frame_started = 0.0
        self._pressed_at: tuple[float, float] | None = None
        self.drawn = OffscreenScene(palette.CARD)
        self.canvas = self.drawn.canvas
        self._view = self.canvas.central_widget.add_view()
        self._view.camera = cameras.TurntableCamera(fov=30, distance=3.9, elevation=22, azimuth=35)
        self._points = visuals.Markers(parent=self._view.scene)
        self._points.set_gl_state("translucent", depth_test=False)
        self._marks = visuals.Markers(parent=self._view.scene)
        self._marks.set_gl_state("translucent", depth_test=False)
        self._marks.visible = False
        self._points.visible = False
        self._texts = self._make_texts()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.drawn)
        self._rest = QTimer(self, singleShot=True, interval=_REST_MILLISECONDS)
        self._rest.timeout.connect(self._draw_at_rest)
        self._connect_mouse()

    def _make_texts(self) -> Any:
        """The labels; one visual for all spaces, because a new one draws all letters anew."""
        texts = visuals.Text(
            ["x"], pos=np.zeros((1, 3)), color=palette.TEXT, font_size=8, parent=self._view.scene
        )
        texts.set_gl_state("translucent", depth_test=False)
        texts.visible = False
        return texts

    def _connect_mouse(self) -> None:
        events = self.canvas.events
        events.mouse_press.connect(self._on_press)
        events.mouse_release.connect(self._on_release)
        events.mouse_move.connect(self._on_move)
        events.mouse_wheel.connect(self._on_turn)

    def show_space(self, space: Space | None) -> None:
        """Draw other points, or none."""
        self._space = space
        self._marks.visible = False
        self._points.visible = space is not None and len(space.points) > 0
        self._texts.visible = space is not None and len(space.label_texts) > 0
        if space is None or not len(space.points):
            self.drawn.invalidate()
            return
        # A fixed shuffle, so that any first n points are a fair sample.
        self._order = np.random.default_rng(0).permutation(len(space.points))
        self._draw_points(min(len(space.points), self._limit))
        if space.label_texts:
            self._texts.text = list(space.label_texts)
            self._texts.pos = space.label_places
        self.drawn.invalidate()

    def highlight(self, points: np.ndarray) -> None:
        """Ring points."""
        self._marks.visible = self._space is not None and len(points) > 0
        if self._space is not None and len(points):
            self._marks.set_data(
                self._space.points[points],
                size=13,
                face_color=(0, 0, 0, 0),
                edge_color=palette.TEXT,
                edge_width=2,
            )
        self.drawn.invalidate()

    def screen_places(self) -> np.ndarray:
        """Where the points lie in the canvas."""
        return self._projected()[0]

    def surface(self) -> QWidget:
        """The picture of the scene."""
        return self.drawn

    def drawn_note(self) -> str:
        """How many of the points are drawn, empty when all are."""
        total = 0 if self._space is None else len(self._space.points)
        return "" if self._drawn >= total else f"{self._drawn:,} of {total:,} points drawn"

    def _projected(self) -> tuple[np.ndarray, np.ndarray]:
        if self._space is None or not len(self._space.points):
            return np.zeros((0, 2)), np.zeros(0)
        transform = self._points.get_transform("visual", "canvas")
        mapped = transform.map(self._space.points)
        weight = np.where(np.abs(mapped[:, 3:4]) < 1e-12, 1.0, mapped[:, 3:4])
        places = mapped[:, :3] / weight
        return places[:, :2], places[:, 2]

    def _hit(self, place: Any) -> int:
        places, depth = self._projected()
        found = nearest(places, depth, (float(place[0]), float(place[1])))
        return -1 if found is None else found

    def _on_press(self, event: Any) -> None:
        self._pressed_at = (float(event.pos[0]), float(event.pos[1]))

    def _on_release(self, event: Any) -> None:
        if self._pressed_at is None:
            return
        moved = np.hypot(event.pos[0] - self._pressed_at[0], event.pos[1] - self._pressed_at[1])
        self._pressed_at = None
        if moved <= _CLICK_PIXELS:
            self.clicked.emit(self._hit(event.pos))

    def _on_move(self, event: Any) -> None:
        if event.is_dragging:
            self._on_turn(event)
        else:
            self.hovered.emit(self._hit(event.pos))

    def _on_turn(self, event: Any) -> None:
        if self._drawn > _MOVING_POINTS:
            self._draw_points(_MOVING_POINTS)
        self._rest.start()

    def _draw_at_rest(self) -> None:
        if self._space is None:
            return
        started = time.perf_counter()
        self.drawn.draw()
        took = max(time.perf_counter() - started, 1e-4)
        self._limit = max(_MOVING_POINTS, int(self._drawn * _FRAME_SECONDS / took))
        wanted = min(len(self._space.points), self._limit)
        if wanted > self._drawn:
            self._draw_points(wanted)

    def _draw_points(self, count: int) -> None:
        if self._space is None:
            return
        rows = self._order[:count]
        tints = self._space.colours[rows].copy()
        tints[:, 3] = _OPACITY
        self._points.set_data(self._space.points[rows], size=6, face_color=tints, edge_width=0)
        self._drawn = count
        self.drawn.invalidate()
