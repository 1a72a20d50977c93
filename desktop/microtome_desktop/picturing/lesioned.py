"""The scene of the lesion laboratory."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget

from microtome_desktop.commands.command import CommandId
from microtome_desktop.jobs.at_step import Asked, FirstImage, image_key
from microtome_desktop.jobs.model_requests import LoadModel
from microtome_desktop.picturing.stage import Stage
from microtome_desktop.views.lesion_lab import LesionLab


def lesioned(stage: Stage) -> QWidget:
    """Twelve face-selective channels set to zero."""
    stage.ask(FirstImage(LoadModel("shapes-resnet"), "shapes"))
    held = stage.desk.workspace.prepared.get(image_key("shapes"))
    if isinstance(held, Asked):
        stage.run(held.question)
    stage.front("lesions")
    panel = stage.part(LesionLab, "lesions")
    stage.until(lambda: panel.form.offered is not None and panel.form.offered.sees)
    stage.do(CommandId.LESION)
    return stage.card("lesions")
