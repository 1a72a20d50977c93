"""What is selected, in the feature space: tokens of prompts, or features of a dictionary."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Int

from microtome_desktop.presenters.space import Space
from microtome_desktop.state.selection import Selected


def selected_by(drawing: Space | None, point: int) -> dict[str, Any]:
    """What a click on a point changes of the selection; on none it leaves the prompt set."""
    if drawing is None or point < 0:
        return {"prompt": None}
    prompt, position = int(drawing.prompts[point]), int(drawing.positions[point])
    if drawing.features:
        return {"feature": (drawing.features, position)}
    return {"position": position, "prompt": prompt if prompt >= 0 else None}


def selected_rows(drawing: Space, selected: Selected) -> Int[np.ndarray, " point"]:
    """The points of what is selected."""
    if drawing.features:
        held = selected.feature
        mine = held is not None and held[0] == drawing.features
        place = (0, held[1]) if mine and held is not None else None
    else:
        prompt = -1 if selected.prompt is None else selected.prompt
        place = None if selected.position is None else (prompt, selected.position)
    if place is None:
        return np.zeros(0, np.int64)
    return drawing.rows_of(np.array([place[0]]), np.array([place[1]]))
