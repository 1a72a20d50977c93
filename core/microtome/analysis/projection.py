"""Principal components of activations: the points along their axes, and the record of both.

How the axes are found is in ``microtome.activations.principal``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

from microtome.activations.principal import BLOCK, SIGN_RULE, Axes, Covariance
from microtome.errors import InputError, expect
from microtome.records.analysis import Analysis, Labelled
from microtome.sites import Site


@dataclass(frozen=True, slots=True, eq=False)
class Projection(Axes):
    """Rows seen along their own principal axes; ``points`` are their coordinates, float32."""

    points: Float[np.ndarray, "n component"]


def project(
    activations: Float[np.ndarray, "n d"] | Iterable[Float[np.ndarray, "_ d"]],
    components: int = 3,
) -> Projection:
    """The principal components of activations, by falling variance.

    Takes one array or an iterable of blocks of rows, which is kept for the points; what does
    not fit in memory is added to a ``Covariance`` block by block, and placed by ``Axes.apply``.
    Raises InputError for no rows, no components, uneven widths or values that are not finite.
    """
    example = "Give the array of a site, for example trace.activation('resid_post.2')."
    expect(activations, Iterable, "activations", "an array [row, d]", example)
    blocks = [activations] if isinstance(activations, np.ndarray) else list(activations)
    if not blocks:
        raise InputError("There are no activations to project.", "Give at least one row.")
    for block in blocks:
        expect(block, np.ndarray, "A part of activations", "an array [row, d]", example)
    shapes = {block.shape[1:] for block in blocks}
    if len(shapes) > 1 or blocks[0].ndim != 2:
        raise InputError(f"Rows of one width were expected, not arrays of {blocks[0].shape}.")
    covariance = Covariance(blocks[0].shape[1])
    for block in _gathered(blocks):
        covariance.add(block)
    axes = covariance.axes(components)
    return Projection(
        components=axes.components,
        mean=axes.mean,
        explained_variance=axes.explained_variance,
        explained_variance_ratio=axes.explained_variance_ratio,
        points=_joined([axes.apply(block) for block in blocks]),
    )


@dataclass(frozen=True, slots=True, eq=False)
class PointLabels:
    """Where each point came from: row of the prompt list, position, layer (-1: none), texts."""

    prompt: Int[np.ndarray, " point"]
    position: Int[np.ndarray, " point"]
    layer: Int[np.ndarray, " point"]
    token: tuple[str, ...]
    task: tuple[str, ...]


def to_analysis(
    projection: Projection, site: Site, labels: PointLabels, prompts: Sequence[str]
) -> Analysis:
    """The projection of a site as a record, with everything needed to place new points."""
    arrays = labelled_points(projection, labels)
    params = {
        "site": str(site),
        "layer": site.layer,
        "prompts": list(prompts),
        "sign_rule": SIGN_RULE,
        "n": len(projection.points),
    }
    return Analysis(
        f"projection/{site}",
        "projection",
        f"{site.kind.title}: principal components",
        arrays,
        params,
    )


def labelled_points(projection: Projection, labels: PointLabels) -> dict[str, Labelled]:
    """The arrays of a record: the points, where each came from, and what places new ones."""
    point, text = ("point",), np.dtype(np.str_)
    return {
        "points": Labelled(("point", "component"), projection.points),
        "components": Labelled(("component", "d_model"), projection.components),
        "mean": Labelled(("d_model",), projection.mean),
        "explained_variance": Labelled(("component",), projection.explained_variance),
        "explained_variance_ratio": Labelled(("component",), projection.explained_variance_ratio),
        "point_prompt": Labelled(point, np.asarray(labels.prompt, np.int32)),
        "point_position": Labelled(point, np.asarray(labels.position, np.int32)),
        "point_layer": Labelled(point, np.asarray(labels.layer, np.int32)),
        "point_token": Labelled(point, np.asarray(labels.token, text)),
        "point_task": Labelled(point, np.asarray(labels.task, text)),
    }


def from_analysis(analysis: Analysis) -> Projection:
    """The projection that a record holds.

    Raises SiteMissing when the record has no such arrays.
    """
    return Projection(
        components=analysis.array("components"),
        mean=analysis.array("mean"),
        explained_variance=analysis.array("explained_variance"),
        explained_variance_ratio=analysis.array("explained_variance_ratio"),
        points=analysis.array("points"),
    )


def _gathered(blocks: Iterable[NDArray[Any]]) -> Iterator[NDArray[Any]]:
    """Blocks joined to about the working size: every update costs d², however few its rows."""
    held: list[NDArray[Any]] = []
    rows = 0
    for block in blocks:
        held.append(block)
        rows += len(block)
        if rows >= BLOCK:
            yield _joined(held)
            held, rows = [], 0
    if held:
        yield _joined(held)


def _joined(blocks: list[NDArray[Any]]) -> NDArray[Any]:
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)
