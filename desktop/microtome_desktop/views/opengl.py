"""Whether this machine can draw in 3-D, asked once."""

from __future__ import annotations

from functools import cache

from PySide6.QtGui import QGuiApplication, QOffscreenSurface, QOpenGLContext

# These platforms hand out contexts that no widget can draw with.
_WITHOUT_WIDGETS = frozenset({"offscreen", "minimal", "minimalegl", "vnc"})


@cache
def opengl_problem() -> str:
    """Why the 3-D view cannot be shown here, empty when it can."""
    platform = QGuiApplication.platformName()
    if platform in _WITHOUT_WIDGETS:
        return f"the {platform} display has no OpenGL"
    context = QOpenGLContext()
    if not context.create():
        return "no OpenGL driver could be started"
    surface = QOffscreenSurface()
    surface.create()
    usable = surface.isValid() and context.makeCurrent(surface)
    if usable:
        context.doneCurrent()
    return "" if usable else "the OpenGL driver gives no usable context"
