"""Two screens side by side: panels and layouts live on either, and come back when one is gone."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

LEFT, RIGHT = (0, 0, 1600, 1000), (1600, 0, 1920, 1200)
PLACE = [2000, 200, 500, 600]  # of a panel on the right screen

# Given: the layout to begin with, and what to do; tells where panel and window are in the end.
CHILD = """
import json, sys
from PySide6.QtCore import QByteArray
from microtome_desktop.application import make_application
from microtome_desktop.state.settings import MemoryStore
from microtome_desktop.views.main_window import MainWindow
from microtome_desktop.views.workbench import Workbench

wanted = json.loads(sys.argv[1])
application = make_application([])
window = MainWindow()
bench = Workbench(window, MemoryStore())
bench.furnishing.finish()
window.show()

def settle():
    for _ in range(30):
        application.processEvents()

settle()
if "state" in wanted:
    geometry, state = (QByteArray.fromHex(wanted[name].encode()) for name in ("geometry", "state"))
    assert window.restore_layout(geometry, state)
dock = window.docks["attention"]
if "panel" in wanted:
    dock.setFloating(True)
    settle()
    dock.setGeometry(*wanted["panel"])
if "window" in wanted:
    window.setGeometry(*wanted["window"])
settle()
geometry, state = window.layout_bytes()
drawn = dock.grab().toImage()
print(json.dumps({
    "floating": dock.isFloating(),
    "panel": dock.geometry().getRect(),
    "panel on": dock.screen().geometry().getRect(),
    "window on": window.screen().geometry().getRect(),
    "drawn": [drawn.width(), drawn.height()],
    "geometry": bytes(geometry.toHex()).decode(),
    "state": bytes(state.toHex()).decode(),
}))
assert bench.shut_down()
"""


@pytest.fixture(scope="module")
def on(tmp_path_factory):
    """``on(screens, …)``: the window on these screens, in a process of its own."""
    place = tmp_path_factory.mktemp("screens") / "screens.json"

    def run(*screens, **wanted):
        rows = [
            {
                "name": f"screen {at}", "x": x, "y": y, "width": wide, "height": high,
                "logicalDpi": 96, "logicalBaseDpi": 96, "dpr": 1,
            }
            for at, (x, y, wide, high) in enumerate(screens)
        ]  # fmt: skip
        place.write_text(json.dumps({"screens": rows}))
        done = subprocess.run(
            [sys.executable, "-c", CHILD, json.dumps(wanted)],
            capture_output=True, text=True, check=False, timeout=100,
            env={**os.environ, "QT_QPA_PLATFORM": f"offscreen:configfile={place}"},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return run


@pytest.fixture(scope="module")
def beside(on):
    """A panel that was put onto the right screen."""
    return on(LEFT, RIGHT, panel=PLACE)


def test_a_panel_is_shown_on_the_second_screen(beside):
    assert beside["floating"]
    assert beside["panel"] == PLACE
    assert beside["panel on"] == list(RIGHT)
    assert beside["window on"] == list(LEFT)
    assert beside["drawn"] == PLACE[2:]


def test_it_is_there_again_at_the_next_start(on, beside):
    again = on(LEFT, RIGHT, geometry=beside["geometry"], state=beside["state"])
    assert again["floating"]
    assert again["panel on"] == list(RIGHT)
    assert again["panel"][2:] == PLACE[2:]


def test_it_comes_back_when_that_screen_is_gone(on, beside):
    alone = on(LEFT, geometry=beside["geometry"], state=beside["state"])
    x, y, wide, high = alone["panel"]
    assert alone["panel on"] == list(LEFT)
    assert 0 <= x < LEFT[2] - 100
    assert 0 <= y < LEFT[3] - 100
    assert wide > 100
    assert high > 100


def test_the_whole_window_lives_on_the_second_screen(on):
    moved = on(LEFT, RIGHT, window=[1700, 60, 1500, 1000])
    assert moved["window on"] == list(RIGHT)
    again = on(LEFT, RIGHT, geometry=moved["geometry"], state=moved["state"])
    assert again["window on"] == list(RIGHT)
