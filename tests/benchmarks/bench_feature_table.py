"""A table of 100,000 features with a histogram a row: scrolled, sorted and searched in the window.

The index is made at random, with examples as the real one has, and read from a session's file as
well. A frame is a step of the scroll bar until the rows are painted.
"""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PySide6.QtWidgets import QApplication

from microtome_desktop.presenters.feature_table import FeatureTable, feature_table
from microtome_desktop.views.feature_rows import FeatureRows

pytestmark = pytest.mark.benchmark
FEATURES, FRAMES, ROUNDS = 100_000, 240, 5
FRAME_WANTED, LONGEST_WANTED, STEP_WANTED = 16.7, 50, 300  # ms


def _helper() -> ModuleType:
    path = Path(__file__).parents[1] / "desktop" / "indexed.py"
    spec = importlib.util.spec_from_file_location("indexed", path)
    assert spec
    assert spec.loader
    made = importlib.util.module_from_spec(spec)
    sys.modules["indexed"] = made
    spec.loader.exec_module(made)
    return made


def _timed(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return 1000 * (time.perf_counter() - began)


def _both(act: Callable[[], object]) -> tuple[float, float]:
    """By the clock, and what this thread computed: the machine may be busy."""
    own = time.thread_time()
    clock = _timed(act)
    return clock, 1000 * (time.thread_time() - own)


@pytest.fixture(scope="module")
def table(measuring: Any) -> FeatureTable:
    """All columns, as a worker makes them before anything is shown."""
    analysis = _helper().index(FEATURES)
    took = [_timed(lambda: feature_table(analysis)) for _ in range(3)]
    measuring.figure("feature table made by a worker", took, "ms")
    return feature_table(analysis)


@pytest.fixture
def rows(qapp: QApplication, table: FeatureTable, measuring: Any) -> Iterator[FeatureRows]:
    """The table in a window, wide enough for every column."""
    made = FeatureRows()
    made.resize(1300, 620)
    made.show()
    made.columns.restore({"off": []})
    made.show_table(table, {}, {})
    measuring.pump(lambda: made.isVisible() and made.rowAt(2) >= 0)
    yield made
    made.close()
    made.deleteLater()
    qapp.processEvents()


def test_scrolling_has_no_pause(rows: FeatureRows, measuring: Any) -> None:
    bar, random = rows.verticalScrollBar(), np.random.default_rng(0)
    places = random.integers(0, bar.maximum(), FRAMES)

    def frame(place: int) -> None:
        bar.setValue(place)
        rows.viewport().repaint()

    frame(1)
    jumps = [_both(lambda place=place: frame(int(place))) for place in places]
    start = bar.maximum() // 2
    wheel = [_both(lambda step=step: frame(start + 3 * step)) for step in range(FRAMES)]
    for name, took in (("a page not seen before", jumps), ("three rows of the wheel", wheel)):
        clock, own = zip(*took, strict=True)
        measuring.figure(f"{name}, by the clock", clock, "ms", FRAME_WANTED)
        measuring.figure(f"{name}, the longest", clock, "ms", LONGEST_WANTED, told="longest")
        measuring.figure(f"{name}, by processor time", own, "ms", FRAME_WANTED)


def test_sorting_and_searching_are_one_step(rows: FeatureRows, measuring: Any) -> None:
    for key in ("mean", "density", "label", "raised", "alike"):
        took = [
            _timed(lambda falling=falling, key=key: rows.sort_by(key, descending=falling))
            for falling in (True, False) * ROUNDS
        ]
        measuring.figure(f"sorted by {key}", took, "ms", STEP_WANTED)
    took = [_timed(lambda text=text: rows.search(text)) for text in ("gave", "") * ROUNDS]
    measuring.figure("searched", took, "ms", STEP_WANTED)
