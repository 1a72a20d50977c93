"""The same window at 100, 150 and 200 %: every part in its place, only sharper."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QImage

SIZE = (1760, 1080)
_PROGRAM = """
import sys
from microtome.cli import main
status = main()
print("torch" in sys.modules)
sys.exit(status)
"""


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """The example's window at each scale, drawn in fresh processes at the same time."""
    import microtome as mt

    folder = tmp_path_factory.mktemp("dpi")
    model = mt.load_model("words-4l")
    question = mt.Question("When Mary and John went to the store, John gave a drink to")
    mt.save_session(folder / "session.h5", mt.examine(model, question))
    running = {}
    for scale in ("1", "1.5", "2"):
        out = folder / f"{scale}.png"
        running[scale] = (
            out,
            subprocess.Popen(
                [
                    sys.executable,
                    "-c",
                    _PROGRAM,
                    "render",
                    str(folder / "session.h5"),
                    "--out",
                    out,
                ],
                env={**os.environ, "QT_SCALE_FACTOR": scale},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            ),
        )
    for _, process in running.values():
        told, said = process.communicate(timeout=100)
        assert process.returncode == 0, said
        assert told.splitlines()[-1] == "False"  # torch was not needed
    return {scale: QImage(str(out)) for scale, (out, _) in running.items()}


def grey(image):
    small = image.scaled(
        *SIZE, Qt.AspectRatioMode.IgnoreAspectRatio, Qt.TransformationMode.SmoothTransformation
    ).convertToFormat(QImage.Format.Format_Grayscale8)
    rows = np.frombuffer(small.constBits(), np.uint8).reshape(SIZE[1], small.bytesPerLine())
    return rows[:, : SIZE[0]].astype(float)


def blocks(values, side=20):
    """Means of squares: where there is something, whatever the shape of each letter."""
    high, wide = (n // side for n in values.shape)
    cut = values[: high * side, : wide * side]
    return cut.reshape(high, side, wide, side).mean(axis=(1, 3))


def test_a_picture_shows_the_whole_window(pictures):
    drawn = pictures["1"]
    assert (drawn.width(), drawn.height()) == SIZE
    colours = {drawn.pixel(x, y) for x in range(0, SIZE[0], 7) for y in range(0, SIZE[1], 7)}
    assert len(colours) > 150  # curves, maps and text, not an empty frame


@pytest.mark.parametrize("scale", ["1.5", "2"])
def test_every_part_is_where_it_is_at_100_percent(pictures, scale):
    factor = float(scale)
    assert pictures[scale].width() == round(SIZE[0] * factor)
    one, other = blocks(grey(pictures["1"])), blocks(grey(pictures[scale]))
    # Text takes a little more or less room at another scale; a part out of place differs by far.
    assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.95
    assert np.abs(one - other).mean() < 3


def test_more_pixels_are_more_detail(pictures):
    def sharpness(image):
        values = grey(image) if image is pictures["1"] else None
        if values is None:
            wide = image.convertToFormat(QImage.Format.Format_Grayscale8)
            rows = np.frombuffer(wide.constBits(), np.uint8)
            values = rows.reshape(wide.height(), wide.bytesPerLine())[:, : wide.width()].astype(int)
        return np.abs(np.diff(values, axis=1)).max()

    # A picture that was only stretched has no edge as hard as one that was drawn.
    assert sharpness(pictures["2"]) >= 0.9 * sharpness(pictures["1"])
    # Nor has one whose pixels were only doubled any square of four that is not of one colour.
    wide = pictures["2"].convertToFormat(QImage.Format.Format_Grayscale8)
    rows = np.frombuffer(wide.constBits(), np.uint8).reshape(wide.height(), -1)
    fours = rows[: SIZE[1] * 2, : SIZE[0] * 2].reshape(SIZE[1], 2, SIZE[0], 2)
    mixed = np.ptp(fours.astype(int), axis=(1, 3)) > 20
    assert mixed.mean() > 0.01
