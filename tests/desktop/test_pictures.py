"""The pictures of the documentation: one for every panel, in both themes, and a page in step."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PySide6.QtGui import QColor, QImage, QPainter

from microtome_desktop.picturing.colours import write_small
from microtome_desktop.picturing.page import DARK, LIGHT, page
from microtome_desktop.picturing.scenes import SCENES
from microtome_desktop.picturing.stage import Stage, picture
from microtome_desktop.views.panel_table import PLACES

DOCS = Path(__file__).parents[2] / "docs"
MOST_BYTES, MOST_OF_ONE = 7 * 2**20, 200_000


def test_every_panel_has_its_picture():
    assert {scene.panel for scene in SCENES if scene.panel} == {place.name for place in PLACES}
    assert len({scene.name for scene in SCENES}) == len(SCENES)


def test_the_page_and_the_pictures_are_those_of_the_table():
    assert (DOCS / "pictures.md").read_text("utf-8") == page()
    wanted = {f"{theme}/{scene.name}.png" for theme in (DARK, LIGHT) for scene in SCENES}
    held = {str(path.relative_to(DOCS / "pictures")) for path in DOCS.rglob("*.png")}
    assert held == wanted
    sizes = [path.stat().st_size for path in DOCS.rglob("*.png")]
    assert max(sizes) < MOST_OF_ONE
    assert sum(sizes) < MOST_BYTES


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
def test_both_themes_show_something_at_the_same_size(scene):
    dark, light = (QImage(str(DOCS / "pictures" / theme / f"{scene.name}.png")).convertToFormat(
        QImage.Format.Format_Grayscale8) for theme in (DARK, LIGHT))  # fmt: skip
    assert abs(dark.width() - light.width()) <= 2
    for image, is_light in ((dark, False), (light, True)):
        rows = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), -1)
        values = rows[:, : image.width()].astype(int)
        assert (np.median(values) > 128) == is_light
        assert (np.abs(values - np.median(values)) > 40).mean() > 0.005


def test_a_scene_is_set_in_the_real_window(live):
    stage = Stage(live)
    scene = next(each for each in SCENES if each.name == "ask")
    card = scene.set(stage)
    image = picture(card, scene.ratio)
    assert (image.width(), image.height()) == (2 * card.width(), 2 * card.height())


def test_a_picture_of_many_colours_keeps_those_of_which_there_is_most(qapp, tmp_path):
    image = QImage(300, 200, QImage.Format.Format_RGB32)
    image.fill(QColor("#161a20"))
    painter = QPainter(image)
    for x in range(300):
        painter.fillRect(x, 50, 1, 100, QColor.fromHsv(x, 255, 128 + x // 3))
    painter.end()
    write_small(image, tmp_path / "few.png")
    few = QImage(str(tmp_path / "few.png"))
    assert few.colorCount() == 256
    assert few.pixelColor(3, 3).name() == "#161a20"
    away = [abs(few.pixelColor(x, 90).red() - image.pixelColor(x, 90).red()) for x in range(300)]
    assert max(away) <= 16
