"""Where there is no screen: a picture is still drawn, and a window is refused in one line."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from PySide6.QtGui import QImage

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="only Linux runs without a screen"
)
_PROGRAM = "import sys; from microtome.cli import main; sys.exit(main())"
_SCREENS = {"DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"}


def without_screen(*arguments):
    surroundings = {key: value for key, value in os.environ.items() if key not in _SCREENS}
    return subprocess.run(
        [sys.executable, "-c", _PROGRAM, *arguments],
        env=surroundings,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def session_file(tmp_path_factory):
    import microtome as mt

    path = tmp_path_factory.mktemp("screen") / "session.h5"
    run = mt.trace(mt.load_model("induction-exact-tiny"), [0, 1, 2, 1])
    mt.save_session(path, mt.Session(model=run.model, traces=(run,)))
    return path


def test_a_session_is_drawn(session_file, tmp_path):
    picture = tmp_path / "picture.png"
    done = without_screen("render", str(session_file), "--out", str(picture))
    assert done.returncode == 0, done.stderr
    assert QImage(str(picture)).width() >= 1400


def test_a_window_is_refused_in_one_line(session_file):
    done = without_screen(str(session_file))
    assert done.returncode == 2
    assert "screen" in done.stderr
    assert done.stderr.count("\n") == 1
