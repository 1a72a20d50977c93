"""Principal components of activations, exact and in one pass over the data.

The obvious ways go wrong on real residual streams, whose means reach 100 standard deviations
in a few dimensions: a float32 mean over 100,000 rows was off by 0.07, which adds a component
that is not there. Here every block is shifted by its own float64 mean, multiplied in float32,
and summed in float64 (pairwise update of Chan, Golub and LeVeque, 1979); the eigenvectors come
from a float64 solver. Blocks can be streamed, and two halves of a stream can be merged.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray
from scipy.linalg import eigh

from microtome.errors import InputError, expect
from microtome.records.analysis import Analysis, Labelled
from microtome.sites import Site

SIGN_RULE = "the entry of largest magnitude of each component is positive"

# 16,384 rows keep the float32 sums of a block short and its products large enough for BLAS.
_BLOCK = 16_384


@dataclass(frozen=True, slots=True, eq=False)
class Axes:
    """Principal axes of some rows: unit vectors by falling variance, and the mean they leave from.

    ``explained_variance`` is in squared units of the data (divided by n - 1), the ratio is its
    share of the variance of all dimensions. The sign of a component is fixed by ``SIGN_RULE``.
    """

    components: Float[np.ndarray, "component d"]
    mean: Float[np.ndarray, " d"]
    explained_variance: Float[np.ndarray, " component"]
    explained_variance_ratio: Float[np.ndarray, " component"]

    def apply(self, rows: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n component"]:
        """The coordinates of rows along the axes, float32, in the units of the data."""
        shift, across = self.mean.astype(np.float32), self.components.T
        rest = ((self.mean - shift) @ across).astype(np.float32)
        narrow = across.astype(np.float32)
        return np.concatenate([_shifted(block, shift) @ narrow - rest for block in _cut(rows)])


@dataclass(frozen=True, slots=True, eq=False)
class Projection(Axes):
    """Rows seen along their own principal axes; ``points`` are their coordinates, float32."""

    points: Float[np.ndarray, "n component"]


class Covariance:
    """Count, mean and scatter of rows seen so far; d² numbers of memory, however many rows."""

    def __init__(self, d: int) -> None:
        self.n = 0
        self.mean: NDArray[np.float64] = np.zeros(d)
        self._scatter: NDArray[np.float64] = np.zeros((d, d))

    def add(self, rows: Float[np.ndarray, "n d"]) -> None:
        """Take in rows.

        Raises InputError when they have another width or hold values that are not finite.
        """
        if rows.ndim != 2 or rows.shape[1] != len(self.mean):
            raise InputError(f"Rows of {len(self.mean)} numbers were expected, not {rows.shape}.")
        for block in _cut(rows):
            shift = block.mean(axis=0, dtype=np.float64).astype(np.float32)
            shifted = _shifted(block, shift)
            left = shifted.sum(axis=0, dtype=np.float64)  # what rounding the shift left over
            with np.errstate(over="ignore", invalid="ignore"):
                scatter = (shifted.T @ shifted).astype(np.float64)
            if not np.isfinite(np.trace(scatter)):
                raise InputError("The activations hold values that are not finite, or above 1e19.")
            scatter -= np.outer(left, left) / len(block)
            self._update(len(block), shift + left / len(block), scatter)

    def merge(self, other: Covariance) -> None:
        """Take in all rows that another accumulator has seen."""
        self._update(other.n, other.mean, other._scatter)

    def _update(self, n: int, mean: NDArray[np.float64], scatter: NDArray[np.float64]) -> None:
        if not n:
            return
        total, step = self.n + n, mean - self.mean
        self._scatter = self._scatter + scatter + np.outer(step, step) * (self.n * n / total)
        self.mean = self.mean + step * (n / total)
        self.n = total

    def axes(self, components: int = 3) -> Axes:
        """The leading principal axes; as many as there are dimensions when fewer.

        Raises InputError when no row was added or no component is asked for.
        """
        if components < 1 or not self.n:
            raise InputError(f"{components} components of {self.n} rows were asked for.")
        d = len(self.mean)
        count = min(components, d)
        values, vectors = eigh(self._scatter, subset_by_index=[d - count, d - 1])
        variance = np.maximum(values[::-1], 0.0) / max(1, self.n - 1)
        total = float(np.trace(self._scatter)) / max(1, self.n - 1)
        return Axes(
            components=_with_fixed_sign(vectors.T[::-1]),
            mean=self.mean,
            explained_variance=variance,
            explained_variance_ratio=variance / total if total > 0 else np.zeros(count),
        )


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
    point, text = ("point",), np.dtype(np.str_)
    arrays = {
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


def _cut(rows: NDArray[Any]) -> Iterator[NDArray[Any]]:
    for start in range(0, len(rows), _BLOCK):
        yield rows[start : start + _BLOCK]


def _gathered(blocks: Iterable[NDArray[Any]]) -> Iterator[NDArray[Any]]:
    """Blocks joined to about the working size: every update costs d², however few its rows."""
    held: list[NDArray[Any]] = []
    rows = 0
    for block in blocks:
        held.append(block)
        rows += len(block)
        if rows >= _BLOCK:
            yield _joined(held)
            held, rows = [], 0
    if held:
        yield _joined(held)


def _joined(blocks: list[NDArray[Any]]) -> NDArray[Any]:
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)


def _shifted(rows: NDArray[Any], shift: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(rows - shift, dtype=np.float32)


def _with_fixed_sign(components: NDArray[np.float64]) -> NDArray[np.float64]:
    largest = np.abs(components).argmax(axis=1)
    signs = np.sign(components[np.arange(len(components)), largest])
    return np.asarray(components * signs[:, None])
