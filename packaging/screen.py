"""A screen to draw on: the user's own, or one in memory."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import environment

# -noreset: the server outlives the first client that leaves, so several can follow each other.
SERVER = ("-screen", "0", "1920x1200x24", "+extension", "GLX", "-noreset", "-nolisten", "tcp")

# A screen that is named may be gone, as after a lost connection: the program asks it.
ASK = "from microtome_desktop.screen import has_screen; raise SystemExit(not has_screen())"


def has_display() -> bool:
    """Return whether a window could be shown to somebody."""
    if not sys.platform.startswith("linux"):
        return True
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return False
    return subprocess.run([environment.PYTHON, "-c", ASK], check=False).returncode == 0


@contextmanager
def virtual_screen() -> Iterator[dict[str, str]]:
    """Give the environment for programs that shall draw into memory.

    With Xvfb that is a whole screen with OpenGL; without it a display that is there, else Qt's
    offscreen platform, which has no OpenGL.
    """
    variables = dict(os.environ)
    if not sys.platform.startswith("linux"):
        yield variables
    elif shutil.which("Xvfb"):
        with _server() as display:
            variables.pop("WAYLAND_DISPLAY", None)
            yield {**variables, "DISPLAY": display, "QT_QPA_PLATFORM": "xcb"}
    elif has_display():
        yield variables
    else:
        print("No Xvfb and no display: drawing without OpenGL.", flush=True)
        yield {**variables, "QT_QPA_PLATFORM": "offscreen"}


@contextmanager
def _server() -> Iterator[str]:
    """Run Xvfb on the first free display number and give its name."""
    reading, writing = os.pipe()
    command = ["Xvfb", "-displayfd", str(writing), *SERVER]
    server = subprocess.Popen(command, pass_fds=[writing], stderr=subprocess.DEVNULL)
    os.close(writing)
    try:
        with os.fdopen(reading) as answer:
            number = answer.readline().strip()
        if not number:
            raise SystemExit("Xvfb did not start; run `Xvfb :99` to see why.")
        yield f":{number}"
    finally:
        server.terminate()
        server.wait()
