"""What is selected, in the feature space: tokens of prompts, or features of a dictionary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Int

from microtome.records.analysis import Analysis
from microtome.records.run_codes import RunCodes
from microtome.records.session import Session
from microtome_desktop.presenters.space import Space, projections
from microtome_desktop.presenters.space_colours import ColourBy, graded
from microtome_desktop.presenters.tokens import shown_token
from microtome_desktop.state.selection import Selected

_HERE = 3  # tokens of the prompt that are told of a feature
UMAP = "umap"


def selected_by(drawing: Space | None, point: int) -> dict[str, Any]:
    """What a click on a point changes of the selection; on none it leaves the prompt set."""
    if drawing is None or point < 0:
        return {"prompt": None}
    prompt, position = int(drawing.prompts[point]), int(drawing.positions[point])
    if drawing.features:
        return {"feature": (drawing.features, position)}
    if drawing.images:  # places in an image are no positions of a run
        return {"prompt": prompt if prompt >= 0 else None}
    return {"position": position, "prompt": prompt if prompt >= 0 else None}


def selected_rows(drawing: Space, selected: Selected) -> Int[np.ndarray, " point"]:
    """The points of what is selected; of images all of one, the run's own without another."""
    if drawing.images:
        wanted = -1 if selected.prompt is None else selected.prompt
        return np.flatnonzero(drawing.prompts == wanted)
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


def spoken(drawing: Space, rows: Int[np.ndarray, " point"]) -> str:
    """What is ringed, and what all of it is, in words."""
    what = "features" if drawing.features else "points"
    words = drawing.tokens[rows[:_HERE]].tolist() if len(drawing.tokens) else []
    named = f" ({', '.join(shown_token(word) for word in words)})" if words else ""
    ringed = f"{len(rows):,} ringed{named}" if len(rows) else "none is ringed"
    return f"{drawing.caption}; {len(drawing.points):,} {what}, {ringed}"


def feature_row(drawing: Space | None, feature: tuple[str, int] | None) -> list[int]:
    """The point of a feature, none where the drawing is of something else."""
    if drawing is None or feature is None or drawing.features != feature[0]:
        return []
    return [int(row) for row in drawing.rows_of(np.zeros(1, np.int64), np.array([feature[1]]))]


def directions_in(session: Session | None, fingerprint: str, method: str) -> Analysis | None:
    """The directions of a dictionary placed by a method, None where they were not."""
    found = (one for one in projections(session) if one.params.get("features") == fingerprint)
    return next((one for one in found if one.params.get("method", "pca") == method), None)


def feature_told(
    drawing: Space,
    point: int,
    analysis: Analysis | None,
    label: str,
    here: Sequence[tuple[str, float]] | None,
) -> str:
    """What is said of a feature under the cursor; ``here`` is where it is on in the run."""
    held = {} if analysis is None else analysis.arrays
    row = int(drawing.positions[point])
    parts = [drawing.describe(point)]
    if label:
        parts.append(f"\u201c{label}\u201d")
    told = []
    for name, form in (
        ("point_rate", "on at {:.2g} %"),
        ("point_purity", "{:.0f} % on that token"),
    ):
        values = held[name].values if name in held else None
        if isinstance(values, np.ndarray) and np.isfinite(values[row]):  # no file is read here
            told.append(form.format(100 * float(values[row])))
    groups = held["point_cluster"].values if "point_cluster" in held else None
    if isinstance(groups, np.ndarray):
        told.append(f"cluster {groups[row]}")
    parts.append(" \N{MIDDLE DOT} ".join(told))
    if here is not None:
        some = ", ".join(f"{shown_token(token, 20)} {value:.3g}" for token, value in here[:_HERE])
        parts.append(f"in this prompt at {some}" if some else "off in this prompt")
    return "\n".join(part for part in parts if part)


def tokens_on(
    codes: RunCodes | None, tokens: Sequence[str], feature: int
) -> list[tuple[str, float]] | None:
    """Tokens of the run that a feature is on at, the strongest first; None where it is unknown."""
    if codes is None:
        return None
    mine = np.flatnonzero(codes.feature == feature)
    return [(tokens[int(codes.position[row])], float(codes.value[row])) for row in mine]


def active_at(
    drawing: Space, codes: RunCodes | None, tokens: Sequence[str], position: int | None
) -> Space:
    """The drawing coloured by how strongly each feature is on at a token, or anywhere."""
    values = np.zeros(int(drawing.positions.max(initial=-1)) + 1, np.float32)
    if codes is not None:
        mine = slice(None) if position is None else codes.position == position
        np.maximum.at(values, codes.feature[mine], codes.value[mine])
    tints, legend = graded(values[drawing.positions], ColourBy.ACTIVE)
    known = position is not None and 0 <= position < len(tokens)
    where = (
        f"at {shown_token(tokens[position], 20)}"
        if known and position is not None
        else "anywhere in the prompt"
    )
    note = f"active {where}" if codes is not None else "which are active is not known here"
    return replace(
        drawing, colours=tints.astype(np.float32), legend=legend, by=ColourBy.ACTIVE,
        label_places=np.zeros((0, 3), np.float32), label_texts=(),
        caption=f"{note} \N{MIDDLE DOT} {drawing.caption}",
    )  # fmt: skip
