"""The feature space in 3-D: points that orbit with the mouse."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from PySide6.QtCore import QEvent, QObject, QRect, Qt, QTimer
from PySide6.QtGui import QImage, QKeyEvent, QPainter
from PySide6.QtWidgets import QVBoxLayout, QWidget
from vispy.scene import cameras, visuals

from microtome_desktop import palette
from microtome_desktop.presenters.space import SHUFFLED, Space, nearest
from microtome_desktop.presenters.space_names import names_beside
from microtome_desktop.presenters.space_pixels import projected
from microtome_desktop.views.offscreen_scene import OffscreenScene
from microtome_desktop.views.space_cloud import PixelCloud
from microtome_desktop.views.space_marks import (
    label_sizes,
    paint_labels,
    paint_pointer,
    paint_rings,
)
from microtome_desktop.views.space_view import SpaceView

_MOVING_POINTS = 10_000  # what software rendering turns at a bearable rate
_FRAME_SECONDS = 0.07  # one frame at rest may take this long
_REST_MILLISECONDS = 150
_NAMING_POINTS = 4_000  # off which names are kept
_OPACITY, _FRONT_OPACITY = 0.75, 0.95
_SIZE, _FRONT_SIZE = 6, 8
_CLICK_PIXELS = 4
_TURN = 10  # degrees
_TURNS = {  # around the axis, upward
    Qt.Key.Key_Left: (_TURN, 0), Qt.Key.Key_Right: (-_TURN, 0),
    Qt.Key.Key_Up: (0, _TURN), Qt.Key.Key_Down: (0, -_TURN),
}  # fmt: skip
_SEEN = ("azimuth", "elevation", "distance", "center", "fov", "scale_factor", "roll")


class SolidSpace(SpaceView):
    """Orbits with the left button, zooms with the wheel, picks by projection on the CPU."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._space: Space | None = None
        self._colours = np.zeros((0, 4), np.float32)
        self._order = np.zeros(0, dtype=np.int64)
        self._marked = np.zeros(0, dtype=np.int64)
        self._pointed: int | None = None
        self._moves = np.zeros((0, 2))  # of the names
        self._covered = QRect()
        self._drawn = 0
        self._limit = _MOVING_POINTS * 5
        self._pressed_at: tuple[float, float] | None = None
        self.drawn = OffscreenScene(palette.CARD)
        self.drawn.decorate = self._decorate
        self.drawn.setAccessibleName("feature space")
        self.drawn.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.drawn.installEventFilter(self)
        self.canvas = self.drawn.canvas
        self._view = self.canvas.central_widget.add_view()
        self.canvas.mouse_on = self._view
        self._view.camera = cameras.TurntableCamera(fov=30, distance=3.9, elevation=22, azimuth=35)
        self._points = visuals.Markers(parent=self._view.scene)
        self._points.set_gl_state("translucent", depth_test=False)
        self._points.visible = False
        self._cloud = PixelCloud(palette.CARD)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.drawn)
        self._rest = QTimer(self, singleShot=True, interval=_REST_MILLISECONDS)
        self._rest.timeout.connect(self._draw_at_rest)
        self._telling = QTimer(self, singleShot=True, interval=0)  # the camera turns after us
        self._telling.timeout.connect(self.looked)
        self._connect_mouse()

    def _connect_mouse(self) -> None:
        events = self.canvas.events
        events.mouse_press.connect(self._on_press)
        events.mouse_release.connect(self._on_release)
        events.mouse_move.connect(self._on_move)
        events.mouse_wheel.connect(self._on_turn)

    @property
    def _many(self) -> bool:
        return self._space is not None and len(self._space.points) > SHUFFLED

    def show_space(
        self, space: Space | None, colours: Float[np.ndarray, "point 4"] | None = None
    ) -> None:
        """Draw other points, or none."""
        self._space, self._pointed = space, None
        self._marked = np.zeros(0, dtype=np.int64)
        count = 0 if space is None else len(space.points)
        self._points.visible = 0 < count <= SHUFFLED
        self.drawn.replace = self._draw_many if self._many else None
        if space is None or not count:
            self.drawn.invalidate()
            return
        if self._many:
            self._cloud.set_points(space.points)
        elif len(self._order) != count:
            # A fixed shuffle, so that any first n points are a fair sample.
            self._order = np.random.default_rng(0).permutation(count)
        self.colour(space.colours if colours is None else colours)

    def leave_free(self, part: QRect) -> None:
        """Put no names there."""
        self._covered = part

    def place(self, space: Space) -> None:
        """Draw the same points at other places."""
        self._space = space
        if self._many:
            self._cloud.set_points(space.points)
            self.drawn.invalidate()
        else:
            self._draw_points(self._drawn)

    def colour(self, colours: Float[np.ndarray, "point 4"]) -> None:
        """Draw the same points in other colours."""
        self._colours = colours
        if self._many:
            self._cloud.set_colours(colours)
            self.drawn.invalidate()
        elif self._space is not None:
            self._draw_points(min(len(self._space.points), self._limit))

    def highlight(self, points: Int[np.ndarray, " some"]) -> None:
        """Ring points."""
        self._marked = points
        self.drawn.invalidate()

    def point_to(self, point: int | None) -> None:
        """Frame a point."""
        self._pointed = point
        self.drawn.invalidate()

    def screen_places(self) -> Float[np.ndarray, "point 2"]:
        """Where the points lie in the canvas."""
        return self._projected()[0]

    def surface(self) -> QWidget:
        """The picture of the scene."""
        return self.drawn

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Arrows turn it, as the mouse does."""
        if event.type() == QEvent.Type.KeyPress and isinstance(event, QKeyEvent):
            turn = _TURNS.get(Qt.Key(event.key()))
            if turn is not None:
                self._view.camera.orbit(*turn)
                self._on_turn(event)
                return True
        return super().eventFilter(watched, event)

    def camera(self) -> dict[str, Any]:
        """Angles, distance and centre."""
        return {name: getattr(self._view.camera, name) for name in _SEEN}

    def look(self, camera: dict[str, Any]) -> None:
        """Look from the same angles and distance."""
        for name in _SEEN:
            setattr(self._view.camera, name, camera[name])
        self._on_turn()

    def drawn_note(self) -> str:
        """How many of the points are drawn, empty when all are."""
        total = 0 if self._space is None else len(self._space.points)
        drawn = self._cloud.drawn if self._many else self._drawn
        return "" if drawn >= total else f"{drawn:,} of {total:,} points drawn"

    def _onto_screen(self) -> Float[np.ndarray, "4 4"]:
        """What maps points [x, y, z, 1], as rows, to pixels of the view."""
        self.drawn.wake()  # without a window the scene has no size
        transform = self._points.get_transform("visual", "canvas")
        return np.asarray(transform.map(np.eye(4)))

    def _projected(self) -> tuple[Float[np.ndarray, "point 2"], Float[np.ndarray, " point"]]:
        if self._space is None or not len(self._space.points):
            return np.zeros((0, 2)), np.zeros(0)
        return _on_screen(self._space.points, self._onto_screen())

    def _draw_many(self) -> QImage:
        size, ratio = self.drawn.size(), self.drawn.devicePixelRatioF()
        return self._cloud.draw(self._onto_screen(), size.width(), size.height(), ratio)

    def _decorate(self, painter: QPainter) -> None:
        space = self._space
        if space is None or not len(space.points):
            return
        onto_screen = self._onto_screen()
        if len(self._marked):
            paint_rings(painter, _on_screen(space.points[self._marked], onto_screen)[0])
        if len(space.label_texts):
            places = _on_screen(space.label_places, onto_screen)[0]
            paint_labels(painter, places, self._moved(places, onto_screen), space.label_texts)
        if self._pointed is not None:
            at = space.points[self._pointed : self._pointed + 1]
            paint_pointer(painter, _on_screen(at, onto_screen)[0][0])

    def _moved(
        self, places: Float[np.ndarray, "label 2"], onto_screen: Float[np.ndarray, "4 4"]
    ) -> Float[np.ndarray, "label 2"]:
        """How far names are moved off their clusters; they keep that while the view turns."""
        space = self._space
        if space is not None and (len(self._moves) != len(places) or not self._rest.isActive()):
            sample = space.points[:: -(-len(space.points) // _NAMING_POINTS) or 1]
            room = float(self.drawn.width()), float(self.drawn.height())
            middle, size = self._covered.center(), self._covered.size()
            covered = np.array([middle.x(), middle.y(), size.width(), size.height()])
            sizes, points = label_sizes(space.label_texts), _on_screen(sample, onto_screen)[0]
            self._moves = names_beside(places, sizes, points, room, covered)
        return self._moves

    def _hit(self, place: Any) -> int:
        at = (float(place[0]), float(place[1]))
        if self._many:
            return self._cloud.row_at(at, self.drawn.devicePixelRatioF())
        places, depth = self._projected()
        found = nearest(places, depth, at)
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

    def _on_turn(self, event: Any = None) -> None:
        if self._drawn > _MOVING_POINTS and not self._many:
            self._draw_points(_MOVING_POINTS)
        self._rest.start()
        self.drawn.invalidate()
        if event is not None:
            self._telling.start()

    def _draw_at_rest(self) -> None:
        if self._space is None:
            return
        if self._many:
            self.drawn.invalidate()  # the names find their places
            return
        started = time.perf_counter()
        self.drawn.draw()
        self.drawn.update()
        took = max(time.perf_counter() - started, 1e-4)
        self._limit = max(_MOVING_POINTS, int(self._drawn * _FRAME_SECONDS / took))
        wanted = min(len(self._space.points), self._limit)
        if wanted > self._drawn:
            self._draw_points(wanted)

    def _draw_points(self, count: int) -> None:
        if self._space is None or not count:
            return
        rows = self._order[:count]
        tints = self._colours[rows]
        front = tints[:, 3] >= 1
        grouped = not front.all()  # others step back behind what is in a group
        if grouped:
            last = np.argsort(front, kind="stable")
            rows, tints, front = rows[last], tints[last], front[last]
        opacity = np.where(front & grouped, _FRONT_OPACITY, tints[:, 3] * _OPACITY)
        tints = np.column_stack([tints[:, :3], opacity])
        size = np.where(front & grouped, _FRONT_SIZE, _SIZE)
        self._points.set_data(self._space.points[rows], size=size, face_color=tints, edge_width=0)
        self._drawn = count
        self.drawn.invalidate()


def _on_screen(
    points: Float[np.ndarray, "some 3"], onto_screen: Float[np.ndarray, "4 4"]
) -> tuple[Float[np.ndarray, "some 2"], Float[np.ndarray, " some"]]:
    """Pixels and depth; what lies behind the eye is far outside."""
    rows = np.ones((4, len(points)), np.float32)
    rows[:3] = points.T
    x, y, near = projected(rows, onto_screen)
    depth, weight = onto_screen.T[[2, 3]].astype(np.float32) @ rows
    places = np.stack([np.where(near, x, -1e6), np.where(near, y, -1e6)], axis=1)
    return places, depth / np.where(near, weight, 1)
