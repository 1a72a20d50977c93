"""The scene of the feature space of images: a point under the pointer, and its thumbnail."""

from __future__ import annotations

import numpy as np
from PySide6.QtWidgets import QWidget

from microtome_desktop.picturing.stage import Stage
from microtome_desktop.views.feature_space_panel import FeatureSpacePanel


def images_in_space(stage: Stage) -> QWidget:
    """Images of shapes at the layer in front of the read-out, one of them shown."""
    stage.load("shapes-resnet")
    if stage.desk.workspace.session is None or not stage.desk.workspace.session.model.sees:
        raise LookupError("No image was run.")
    panel = stage.panel("feature_space")
    if not isinstance(panel, FeatureSpacePanel):
        raise LookupError("There is no feature space.")  # noqa: TRY004  a part that is missing
    stage.until(lambda: panel.drawing is not None and bool(panel.drawing.images))
    places = panel.view.screen_places()
    middle = np.linalg.norm(places - np.median(places, axis=0), axis=1)
    panel.images.hover(panel.active, int(np.argsort(middle)[len(middle) // 4]))
    return stage.card("feature_space")
