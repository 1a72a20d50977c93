"""Feature visualisations in words, as a table and as lines of Python."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microtome.records.session import Session
from microtome.records.visualisation import Visualisation, VisualSettings
from microtome_desktop.presenters.as_python import UNASKED, Lines, loading
from microtome_desktop.state.exports import Table

NO_PICTURES = (
    "Choose a class, a unit, a direction or a feature, and press Visualise: pictures are made "
    "that it answers to as strongly as it can."
)
NO_SIGHT = "Open a model that sees, such as shapes-resnet: pictures are made for its units here."


def visual_columns(made: Visualisation) -> Mapping[str, NDArray[Any]]:
    """A row for each result: its value, and what the models see in it."""
    count = len(made.final)
    own = [made.says(at) for at in range(count)]
    others = [made.second_says(at) or ("–", float("nan")) for at in range(count)]
    percentile = np.full(count, np.nan) if made.percentile is None else made.percentile
    return {
        "result": np.arange(count),
        "value": made.final.astype(np.float64),
        "percentile": percentile,
        "sees": np.array([name for name, _ in own]),
        "probability": np.array([share for _, share in own]),
        "second": np.array([name for name, _ in others]),
        "second_probability": np.array([share for _, share in others]),
    }


def visual_table(made: Visualisation) -> Table:
    """The same for a file."""
    held = visual_columns(made)
    columns = [values.tolist() for values in held.values()]
    return Table(tuple(held), list(zip(*columns, strict=True)))


def caption(made: Visualisation, result: int) -> str:
    """What stands above a picture."""
    seen, probability = made.says(result)
    return f"{seen} {probability:.0%}"


def said(made: Visualisation) -> str:
    """What was done, and what is to be known of it, in a line."""
    parts = [f"{made.text}: seed {made.seed}, {made.done} of {made.settings.steps} steps"]
    if made.percentile is not None:
        reached = float(made.percentile.min())
        parts.append(f"every result above {reached:.4g} % of the images of {made.of_set}")
    if made.second_model:
        parts.append(f"read by {made.second_model} too")
    return "; ".join([*parts, *made.notes])


def held_title(made: Visualisation) -> str:
    """What a visualisation is called among others; one that grows or was stopped by its steps."""
    state = "" if made.complete else f", {made.done} of {made.settings.steps} steps"
    return f"{made.text}, seed {made.seed}{state}"


def visual_lines(session: Session, made: Visualisation) -> Lines | str:
    """``values`` uint8 [result, row, column, channel]: the pictures."""
    kind = str(made.target["kind"])
    if kind == "feature":
        return UNASKED  # of a dictionary that only this window had open
    changed = _changed(made.settings)
    given = [f"results={len(made.final)}", f"seed={made.seed}"]
    given += [f"settings=mt.VisualSettings({changed})"] if changed else []
    target = repr(_written(made))
    lines = ["import microtome as mt", "", loading(session)[0]]
    if kind == "direction":
        of, _, over = str(made.target["name"]).partition(" − ")
        over = "" if over == "the others" else over
        images = made.of_set or "shapes"
        layer = str(made.target["layer"])
        lines.append(f"images = mt.load_image_set({images!r})")
        lines.append(f"target = mt.class_direction(model, {layer!r}, images, {of!r}, {over!r})")
        if made.target["negative"]:
            lines.append("target = dataclasses.replace(target, negative=True)")
            lines.insert(0, "import dataclasses")
        target = "target"
    return (*lines, f"found = mt.visualise(model, {target}, {', '.join(given)})",
            'values = found.array("pictures")')  # fmt: skip


def _written(made: Visualisation) -> str:
    return str(made.text).replace("−", "-")


def _changed(settings: VisualSettings) -> str:
    usual = VisualSettings()
    names = ("steps", "rate", "robustness", "smooth", "grey", "diversity")
    return ", ".join(
        f"{name}={getattr(settings, name)!r}"
        for name in names
        if getattr(settings, name) != getattr(usual, name)
    )
