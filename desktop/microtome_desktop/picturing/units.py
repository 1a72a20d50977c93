"""Scenes of the panels of a model that sees."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget

from microtome.images.sets import load_image_set
from microtome.prompts import Question
from microtome_desktop.commands.command import CommandId
from microtome_desktop.picturing.stage import Stage
from microtome_desktop.presenters.seeing import ACTIVITY
from microtome_desktop.views.see_panel import SeePanel
from microtome_desktop.views.units_panel import UnitsPanel

MODEL, SET, IMAGE = "shapes-resnet", "shapes", 45
_LAYER = "stage1.block0"


def asked(stage: Stage) -> None:
    """An image of a face, run."""
    stage.load(MODEL)
    stage.run(Question(load_image_set(SET).image(IMAGE)))


def seen(stage: Stage) -> QWidget:
    """What the channels of a layer do over the image, and which speak for the class."""
    asked(stage)
    stage.front("see")
    panel = stage.part(SeePanel, "see")
    panel.bar.choose(ACTIVITY)
    panel.show_session()
    stage.select(unit=f"{_LAYER}/19")
    return stage.card("see")


def carded(stage: Stage) -> QWidget:
    """The units of a layer, and the card of one."""
    stage.front("units")
    panel = stage.part(UnitsPanel, "units")
    panel.layer.setCurrentIndex(panel.layer.findText(_LAYER))
    stage.do(CommandId.READ_UNITS)
    stage.select(unit=f"{_LAYER}/5")
    return stage.card("units")
