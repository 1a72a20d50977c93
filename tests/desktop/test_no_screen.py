"""Where there is no screen: a picture is still drawn, and a window is refused in one line."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys

import pytest
from PySide6.QtGui import QImage, QPixmap

from microtome.errors import StorageError
from microtome.session.writer import save_session
from microtome_desktop import wiring
from microtome_desktop.screen import has_screen

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="only Linux runs without a screen"
)
_PROGRAM = """
import sys
from microtome.cli import main
status = main()
print("torch" in sys.modules)
sys.exit(status)
"""
_SCREENS = {"DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"}


# Nobody numbers a screen so high: named, but dead, as after a lost connection.
_DEAD = {"DISPLAY": ":987", "WAYLAND_DISPLAY": "wayland-987"}


def without_screen(*arguments, **named):
    surroundings = {key: value for key, value in os.environ.items() if key not in _SCREENS} | named
    return subprocess.run(
        [sys.executable, "-c", _PROGRAM, *arguments],
        env=surroundings,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def session_file(tmp_path_factory, sample_session):
    return save_session(tmp_path_factory.mktemp("screen") / "session.h5", sample_session)


@pytest.mark.parametrize("named", [{}, _DEAD], ids=["none", "dead"])
def test_a_session_is_drawn(session_file, tmp_path, named):
    picture = tmp_path / "picture.png"
    done = without_screen("render", str(session_file), "--out", str(picture), **named)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "False"  # torch was not needed
    drawn = QImage(str(picture))
    assert drawn.width() >= 1400
    assert drawn.height() >= 900
    colours = {drawn.pixel(x, y) for x in range(0, 1400, 7) for y in range(0, 900, 7)}
    assert len(colours) > 150  # curves, maps and text, not an empty frame


def test_a_picture_that_does_not_fit_leaves_the_old_one(qapp, tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    picture = tmp_path / "picture.png"
    picture.write_bytes(b"old")
    monkeypatch.setattr(wiring, "_render", lambda _: QPixmap(20, 20))
    monkeypatch.setattr("microtome.session.storage.sync_file", full)
    with pytest.raises(StorageError, match=r"picture\.png could not be saved\. The disk is full"):
        wiring.render(tmp_path / "session.h5", picture)
    assert [each.read_bytes() for each in tmp_path.glob("*.png")] == [b"old"]
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize("named", [{}, _DEAD], ids=["none", "dead"])
def test_a_window_is_refused_in_one_line(session_file, named):
    done = without_screen(str(session_file), **named)
    assert done.returncode == 2
    assert "screen" in done.stderr
    assert all(name in done.stderr for name in named.values())
    assert done.stderr.count("\n") == 1


def test_a_screen_that_answers_is_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("wayland-0")
        named = {"WAYLAND_DISPLAY": "wayland-0", "XDG_RUNTIME_DIR": "."}
        assert not has_screen(named)
        server.listen()
        assert has_screen(named)
    with socket.create_server(("127.0.0.1", 0)) as server:
        number = server.getsockname()[1] - 6000
        assert has_screen({"DISPLAY": f"127.0.0.1:{number}.0"})
    assert not has_screen({"DISPLAY": f"127.0.0.1:{number}.0"})
    assert not has_screen({"DISPLAY": "nonsense"})
    assert has_screen({"QT_QPA_PLATFORM": "offscreen"})
