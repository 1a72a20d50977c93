"""Default plots in the NeXus way, so that general HDF5 viewers open a session with a picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from microtome.records.analysis import Analysis
from microtome.session.parts import Column, Part, Scale

ENTRY, PLOTS = "/entry", "/entry/plots"


def plot_part(analysis: Analysis, name: str, part: Part, paths: Mapping[str, str]) -> Part | None:
    """The plot of an analysis that has one: a logit lens as heat map, a projection as scatter."""
    if analysis.kind == "logit-lens" and "probability" in paths:
        return _heat_map(analysis, name, part, paths["probability"])
    if analysis.kind == "projection" and _is_projection(analysis):
        return _scatter(analysis, name)
    return None


def _groups(name: str, title: str, **attributes: Any) -> dict[str, dict[str, Any]]:
    # Viewers show fixed-length titles byte by byte, so they are kept in ASCII.
    plain = title.encode("ascii", "replace").decode()
    own = {"NX_class": "NXdata", "title": plain, **attributes}
    return {
        ENTRY: {"NX_class": "NXentry", "default": f"plots/{name}"},
        PLOTS: {"NX_class": "NXcollection", "default": name},
        f"{PLOTS}/{name}": own,
    }


def _heat_map(analysis: Analysis, name: str, part: Part, target: str) -> Part:
    axes = next(column.axes for column in part.columns if column.path == target)
    links = {f"{PLOTS}/{name}/{path.rsplit('/', 1)[1]}": path for path in (*axes, target)}
    groups = _groups(
        name,
        analysis.title,
        signal=target.rsplit("/", 1)[1],
        axes=np.array([path.rsplit("/", 1)[1].encode() for path in axes]),
    )
    return Part("plots", groups=groups, links=links)


def _is_projection(analysis: Analysis) -> bool:
    points = analysis.arrays.get("points")
    return points is not None and len(points.values.shape) == 2 and points.values.shape[1] >= 2


def _scatter(analysis: Analysis, name: str) -> Part:
    """The first two components as columns: a viewer's curve wants one-dimensional axes."""
    path = f"{PLOTS}/{name}"
    points = np.asarray(analysis.arrays["points"].values[:, :2])
    scale = Scale(f"{path}/point", len(points), np.arange(len(points), dtype=np.int32))
    columns = tuple(
        Column(f"{path}/{key}", (scale.path,), np.ascontiguousarray(points[:, column]), {
            "dims": "point", "units": "1", "long_name": f"principal component {column + 1}",
        })
        for column, key in enumerate(("component_1", "component_2"))
    )  # fmt: skip
    groups = _groups(name, analysis.title, signal="component_2", axes=np.array([b"component_1"]))
    return Part("plots", groups=groups, scales=(scale,), columns=columns)
