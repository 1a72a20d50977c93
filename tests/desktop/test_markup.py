"""Names from files that look like markup: Qt shows them letter by letter, and loads no image."""

from __future__ import annotations

import json
import shutil

import pytest
from acts import rest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QApplication, QLabel, QToolTip

import microtome as mt
import microtome_resources as resources
from microtome.prompts import Question
from microtome_desktop import theme
from microtome_desktop.commands.command import CommandId

MARK = "<img src='x.png'>"
WAIT = 60_000


@pytest.fixture
def hostile(tmp_path):
    """The files of shapes-resnet and of its set; each class has the mark in its name."""
    model, images = tmp_path / f"net {MARK}", tmp_path / "set"
    shutil.copytree(resources.model_path("shapes-resnet"), model)
    config = json.loads((model / "config.json").read_text())
    config["id2label"] = {key: f"{MARK}{name}" for key, name in config["id2label"].items()}
    config["label2id"] = {name: int(key) for key, name in config["id2label"].items()}
    (model / "config.json").write_text(json.dumps(config))
    shutil.copytree(resources.image_set_path("shapes"), images)
    told = json.loads((images / "set.json").read_text())
    told["name"] = told["title"] = told["note"] = f"{MARK}set"
    for key in ("classes", "domains"):
        told[key] = [f"{MARK}{name}" for name in told[key]]
    (images / "set.json").write_text(json.dumps(told))
    return model, images


@pytest.fixture
def dressed(qapp):
    """The theme, in which windows of other tests would open slowly."""
    sheet, shades = qapp.styleSheet(), qapp.palette()
    theme.apply(qapp)
    yield
    qapp.setStyleSheet(sheet)
    qapp.setPalette(shades)


def tips():
    """Tool tips of Qt that are there."""
    return [one for one in QApplication.topLevelWidgets() if one.inherits("QTipLabel")]


def taken_for_markup(window):
    """Labels on screen that show the names of the files as markup."""
    labels = [one for one in window.findChildren(QLabel) if one.isVisible() and one.text()]
    assert len(labels) > 20
    rich = [one for one in labels if one.textFormat() != Qt.TextFormat.PlainText]
    assert [(one.objectName(), one.text()) for one in rich if not one.property("markup")] == []
    return [one.text() for one in rich if MARK in one.text()]


def test_names_that_look_like_markup_are_shown_letter_by_letter(live, hostile, dressed, qtbot):
    folder, images = hostile
    desk, panels = live.desk, live.furnishing.panels
    live.handlers.load(str(folder))
    qtbot.waitUntil(lambda: desk.workspace.model is not None and desk.workspace.model.sees,
                    timeout=WAIT)  # fmt: skip
    rest(live, qtbot)
    pictures = mt.load_image_set(images)
    desk.draft.fill(Question(pictures.image(45), None, *pictures.classes[7:9]))
    rest(live, qtbot)
    live.window.actions_table.trigger(CommandId.RUN)
    rest(live, qtbot)
    for name in ("ask", "see", "space", "lesions", "circuit"):
        live.window.show_panel(name)
        rest(live, qtbot)
        assert taken_for_markup(live.window) == [], name
    assert MARK in panels["see"].said.text()
    # The tip is the one that Qt makes for every widget, row and heading.
    told = panels["see"].said.toolTip()
    QToolTip.showText(QPoint(40, 40), told, live.window)
    (tip,) = tips()
    said = tip.textFormat(), tip.text()
    QToolTip.hideText()
    qtbot.waitUntil(lambda: not tips())
    assert said == (Qt.TextFormat.PlainText, told)
    assert MARK in told
