"""Two screens side by side: panels and layouts live on either, and come back when one is gone."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

LEFT, RIGHT = (0, 0, 1600, 1000), (1600, 0, 1920, 1200)
PLACE = [2000, 200, 500, 600]  # of a panel on the right screen

# Given: one window after another, each with the layout to begin with and what to do; tells where
# panel and window of each are in the end.
CHILD = """
import json, sys
from PySide6.QtCore import QByteArray
from microtome_desktop.application import make_application
from microtome_desktop.state.settings import MemoryStore
from microtome_desktop.views.main_window import MainWindow
from microtome_desktop.views.workbench import Workbench

application = make_application([])

def settle():
    for _ in range(30):
        application.processEvents()

def seen(wanted, before):
    window = MainWindow()
    bench = Workbench(window, MemoryStore())
    bench.furnishing.finish()
    window.show()
    settle()
    if "layout" in wanted:
        held = wanted["layout"] or before
        geometry, state = (QByteArray.fromHex(held[n].encode()) for n in ("geometry", "state"))
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
    told = {
        "floating": dock.isFloating(),
        "panel": dock.geometry().getRect(),
        "panel on": dock.screen().geometry().getRect(),
        "window on": window.screen().geometry().getRect(),
        "drawn": [drawn.width(), drawn.height()],
        "geometry": bytes(geometry.toHex()).decode(),
        "state": bytes(state.toHex()).decode(),
    }
    assert bench.shut_down()
    window.close()
    return told

found = []
for wanted in json.loads(sys.argv[1]):
    found.append(seen(wanted, found[-1] if found else None))
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def on(tmp_path_factory):
    """``on(screens, wanted)``: windows on these screens, one after another, in another process."""
    place = tmp_path_factory.mktemp("screens") / "screens.json"

    def run(screens, *wanted):
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
def both(on):
    """A panel that was put onto the right screen, and the window; each of them, and started anew.

    An empty layout is that of the window before.
    """
    panel, window = {"panel": PLACE}, {"window": [1700, 60, 1500, 1000]}
    return on((LEFT, RIGHT), panel, {"layout": None}, window, {"layout": None})


def test_a_panel_is_shown_on_the_second_screen(both):
    beside = both[0]
    assert beside["floating"]
    assert beside["panel"] == PLACE
    assert beside["panel on"] == list(RIGHT)
    assert beside["window on"] == list(LEFT)
    assert beside["drawn"] == PLACE[2:]


def test_it_is_there_again_at_the_next_start(both):
    again = both[1]
    assert again["floating"]
    assert again["panel on"] == list(RIGHT)
    assert again["panel"][2:] == PLACE[2:]


def test_it_comes_back_when_that_screen_is_gone(on, both):
    (alone,) = on((LEFT,), {"layout": both[0]})
    x, y, wide, high = alone["panel"]
    assert alone["panel on"] == list(LEFT)
    assert 0 <= x < LEFT[2] - 100
    assert 0 <= y < LEFT[3] - 100
    assert wide > 100
    assert high > 100


def test_the_whole_window_lives_on_the_second_screen(both):
    moved, again = both[2:]
    assert moved["window on"] == list(RIGHT)
    assert again["window on"] == list(RIGHT)
