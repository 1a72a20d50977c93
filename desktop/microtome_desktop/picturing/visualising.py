"""The scene of pictures that a class answers to."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget

from microtome_desktop.commands.command import CommandId
from microtome_desktop.picturing.stage import Stage
from microtome_desktop.views.visual_panel import VisualPanel


def visualised(stage: Stage) -> QWidget:
    """Four pictures of a face, and what a second model says of them."""
    stage.front("visualise")
    panel = stage.part(VisualPanel, "visualise")
    wanted = {"class": "Ada", "images": "shapes", "second": "shapes-resnet-b"}
    panel.form.restore({"kind": "Class", **wanted})
    stage.do(CommandId.VISUALISE)
    return stage.card("visualise")
