"""The cells of a sweep: which places are changed, one at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from microtome.errors import InputError, SiteMissing
from microtome.interventions.regions import HEAD_AXES, PLACES
from microtome.models.hooks import layers_of
from microtome.models.model import Model
from microtome.sites import SITES, Site

WAYS = ("position", "head", "head position", "neuron", "range")
_AXES = {
    "position": ("layer", "position"),
    "head": ("layer", "head"),
    "head position": ("layer", "head", "position"),
    "neuron": ("neuron",),
    "range": ("layer", "range"),
}


class NotFiniteError(Exception):
    """Ends a sweep at the first cell of an example whose metric is not a number."""

    def __init__(self, example: int, cell: int, value: float) -> None:
        super().__init__(example, cell, value)
        self.example, self.cell, self.value = example, cell, value


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Places in one site. Cell i changes positions ``start[i]`` to ``stop[i]`` of ``layer[i]``.

    ``head`` and ``neuron`` are -1 where all of them are meant. ``shape`` and ``axes`` are those
    of the sweep; cells lie in their order.
    """

    site: str
    axes: tuple[str, ...]
    shape: tuple[int, ...]
    layer: Int[np.ndarray, " cell"]
    head: Int[np.ndarray, " cell"]
    neuron: Int[np.ndarray, " cell"]
    start: Int[np.ndarray, " cell"]
    stop: Int[np.ndarray, " cell"]

    def __len__(self) -> int:
        return len(self.layer)

    def chosen(self, numbers: Int[np.ndarray, " some"]) -> Cells:
        """Some of the cells, as a sweep of one axis."""
        columns = {
            name: getattr(self, name)[numbers]
            for name in ("layer", "head", "neuron", "start", "stop")
        }
        return replace(self, axes=("cell",), shape=(len(numbers),), **columns)

    def expect_finite(
        self, numbers: Int[np.ndarray, " some"], values: Float[np.ndarray, " some"]
    ) -> None:
        """Raise NotFiniteError for the first value that is none.

        ``numbers`` are those of runs: ``example * cells + cell``.
        """
        wrong = np.flatnonzero(~np.isfinite(values))
        if len(wrong):
            example, cell = divmod(int(numbers[wrong[0]]), len(self))
            raise NotFiniteError(example, cell, float(values[wrong[0]]))

    def text(self, cell: int) -> str:
        """Where a cell is, in words."""
        named = {"layer": self.layer, "head": self.head, "neuron": self.neuron}
        places = [f"{name} {held[cell]}" for name, held in named.items() if held[cell] >= 0]
        start, last = self.start[cell], self.stop[cell] - 1
        span = f"position {start}" if start == last else f"positions {start} to {last}"
        return f"{self.site} changed in {', '.join(places)}, {span}"

    def coarse_first(self) -> Int[np.ndarray, " cell"]:
        """The cells in an order in which every beginning covers the whole sweep evenly."""
        ranks = np.zeros(self.shape, dtype=np.int64)
        for axis, count in enumerate(self.shape):
            own = np.array([_level(index) for index in range(count)])
            ranks += own.reshape([-1 if at == axis else 1 for at in range(len(self.shape))])
        return np.argsort(ranks.ravel(), kind="stable")


def _level(index: int) -> int:
    """How late a row of a grid comes: multiples of 8 first, odd rows last."""
    return 0 if index % 8 == 0 else 1 if index % 4 == 0 else 2 if index % 2 == 0 else 3


def cells_of(
    model: Model,
    kind: str,
    length: int,
    *,
    by: str | None = None,
    layer: int | None = None,
    ranges: Sequence[tuple[int, int]] | None = None,
) -> Cells:
    """The cells of a sweep over a site in a prompt of so many tokens.

    Raises InputError for a way of sweeping that the site does not have, SiteMissing for a site or
    layer that the model does not have.
    """
    site = Site.of(kind)
    row = site.kind
    if not row.per_layer:
        raise InputError(f"{row.name} exists once, so that there are no layers to sweep over.")
    layers = [at for at in layers_of(model, Site(row.name, layer)) if at is not None]
    way = by or default_way(row.name)
    heads = _heads(model, row.name) if way.startswith("head") else 0
    _check_way(model, row.name, way, layer, ranges)
    neurons = model.identity.d_mlp if way == "neuron" else 0
    spans = _spans(way, length, ranges)
    counts = {"layer": len(layers), "head": heads, "neuron": neurons}
    counts |= {"position": length, "range": len(spans)}
    axes = _AXES[way]
    shape = tuple(counts[axis] for axis in axes)
    grid = dict(zip(axes, np.indices(shape).reshape(len(shape), -1), strict=True))
    none = np.full(int(np.prod(shape)), -1)
    starts, stops = np.array(spans).T
    at = grid.get("position", grid.get("range", np.zeros_like(none)))
    return Cells(
        site=row.name,
        axes=axes,
        shape=shape,
        layer=np.array(layers)[grid.get("layer", np.zeros_like(none))],
        head=grid.get("head", none),
        neuron=grid.get("neuron", none),
        start=starts[at],
        stop=stops[at],
    )


def _spans(
    way: str, length: int, ranges: Sequence[tuple[int, int]] | None
) -> list[tuple[int, int]]:
    if way == "range":
        spans = [(int(start), int(stop)) for start, stop in ranges or ()]
        wrong = next((span for span in spans if not 0 <= span[0] < span[1] <= length), None)
        if wrong or not spans:
            given = f"{wrong[0]} to {wrong[1]}" if wrong else "none"
            raise InputError(
                f"Ranges of positions are asked for, but {given} is no range of a prompt of "
                f"{length} tokens.",
                "Write for example ranges=[(0, 3), (3, 5)]: from the first to behind the last.",
            )
        return spans
    if "position" in way:
        return [(at, at + 1) for at in range(length)]
    return [(0, length)]


def default_way(name: str) -> str:
    """How a site is swept when nothing is said: by head where it has heads."""
    return "head" if set(HEAD_AXES) & set(SITES[name].axes) else "position"


def _heads(model: Model, name: str) -> int:
    axes = SITES[name].axes
    if "head" in axes:
        return model.identity.n_heads
    return model.identity.n_kv_heads if "kv_head" in axes else 0


def _check_way(
    model: Model,
    name: str,
    way: str,
    layer: int | None,
    ranges: Sequence[tuple[int, int]] | None,
) -> None:
    axes = SITES[name].axes
    if way not in WAYS:
        raise InputError(f"There is no sweep by {way!r}.", f"Choose one of {', '.join(WAYS)}.")
    if ranges is not None and way != "range":
        raise InputError("Ranges were given for a sweep that has none.", "Write by='range'.")
    if way.startswith("head") and not _heads(model, name):
        raise InputError(f"{name} has no heads.", "Sweep it by position.")
    if way == "neuron" and (layer is None or "d_mlp" not in axes):
        raise InputError(
            f"A sweep over neurons needs the neurons of one layer, but {name} "
            f"{'of no layer' if layer is None else ''} was given.",
            "Write kind='mlp_post', by='neuron', layer=2.",
        )
    if {"source", "source_query"} & set(axes) and "query" not in axes:
        raise InputError(
            f"{name} counts positions of the encoder's text, which no sweep goes over.",
            "Sweep a site of the decoder, such as resid_pre or cross_z.",
        )
    if not {*PLACES} & set(axes):
        raise SiteMissing(f"{name} has no positions to sweep over.")
