"""Edits: what to change while a model runs.

An edit is a value. ``trace(model, prompt, edits=[…])`` applies edits in the order given, leaves
the weights alone and forgets them afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import index
from typing import Any, Literal, SupportsIndex

import numpy as np
import torch
from torch import Tensor

from microtome.activations.capture import trace
from microtome.errors import EditError, described, expect
from microtome.interventions.regions import HEAD_AXES, Region
from microtome.jobs import Job
from microtome.models.hooks import Tap
from microtome.models.model import Model
from microtome.prompts import Prompt, as_prompt
from microtome.sites import Site


def _where(site: Site, positions: tuple[int, ...] | None) -> str:
    return str(site) if positions is None else f"{site} at {', '.join(map(str, positions))}"


def _not_numbers(value: object) -> EditError:
    return EditError(
        f"The value is {described(value)}, but an array or a number was expected.",
        "Take it from another run, for example trace.activation('resid_pre.2').",
    )


def _frozen(positions: Sequence[int] | None) -> tuple[int, ...] | None:
    if positions is None:
        return None
    example = "Write for example positions=[0, 3]."
    expect(positions, Iterable, "positions", "a list of whole numbers", example)
    for at in positions:
        expect(at, (int, SupportsIndex), "A position", "a whole number", example)
    return tuple(index(at) for at in positions)


@dataclass(frozen=True, slots=True, init=False)
class Ablate:
    """Put zero, or the mean over prompts, in place of a site's values.

    The mean is over all positions of all prompts in ``over``; of scores and patterns, which have
    no meaning at another length, over prompts of the run's length, entry by entry. A site of a
    layer without a number means every layer; ``positions`` are those of the queries in a pattern.
    """

    site: Site
    kind: Literal["zero", "mean"]
    over: tuple[Prompt, ...]
    positions: tuple[int, ...] | None

    def __init__(
        self,
        site: Site | str,
        kind: str = "zero",
        over: Sequence[Prompt | Sequence[int]] | None = None,
        positions: Sequence[int] | None = None,
    ) -> None:
        if kind not in ("zero", "mean"):
            raise EditError(f"There is no ablation {kind!r}.", "Choose zero or mean.")
        if kind == "mean" and not over:
            raise EditError(
                "A mean ablation needs prompts to take the mean over.", "Give them as over=[…]."
            )
        object.__setattr__(self, "site", Site.of(site))
        object.__setattr__(self, "kind", kind)
        object.__setattr__(self, "over", tuple(as_prompt(prompt) for prompt in over or ()))
        object.__setattr__(self, "positions", _frozen(positions))

    def __str__(self) -> str:
        over = f" over {len(self.over)} prompts" if self.over else ""
        return f"{self.kind} ablation{over} of {_where(self.site, self.positions)}"

    def taps(self, model: Model, positions: int, job: Job, source: int = 0) -> Mapping[Site, Tap]:
        """What to do at each place in a run over so many tokens, ``source`` in an encoder."""
        region = Region.of(model, self.site, self.positions, positions, source)
        if self.kind == "zero":
            return region.taps(lambda _layer: torch.zeros(()))
        means = self._means(model, region, job)
        return region.taps(lambda layer: means[layer])

    def _means(self, model: Model, region: Region, job: Job) -> dict[int | None, Tensor]:
        """The mean of each layer, with an axis of one position, or of the whole pattern."""
        whole = bool({"query", "source_query"} & set(self.site.kind.axes))
        expected = list(region.shape)
        expected[region.position_axis] = region.length
        sums: dict[int | None, Any] = dict.fromkeys(region.layers, 0.0)
        rows = 0
        for prompt in self.over:
            run = trace(model, prompt, sites=[self.site], top_k=1, job=job)
            for layer in region.layers:
                values = run.activation(Site(self.site.name, layer, self.site.head))
                if whole and list(values.shape) != expected:
                    raise EditError(
                        f"The mean of {self.site.name} needs prompts of {region.length} tokens, "
                        f"but {run.prompt!r} gives values of the shape {list(values.shape)}.",
                        "Give prompts of the same length, or ablate to zero.",
                    )
                wide = values.astype(np.float64)
                sums[layer] += wide if whole else wide.sum(region.position_axis, keepdims=True)
            rows += 1 if whole else values.shape[region.position_axis]
        means = {layer: torch.from_numpy(np.asarray(sums[layer] / rows)) for layer in sums}
        return {layer: _rows(mean, region, whole) for layer, mean in means.items()}


def _rows(values: Tensor, region: Region, per_position: bool) -> Tensor:
    """The rows of the region's positions, where values have one row a position."""
    if not per_position or region.positions is None:
        return values
    return values.index_select(region.position_axis, torch.tensor(region.positions))


@dataclass(frozen=True, slots=True, init=False, eq=False)
class Patch:
    """Put given values in place of a site's.

    ``value`` has the site's axes, without the head axis when the site names a head, behind a
    layer axis when a site of a layer names none; or any shape that broadcasts to it. With
    ``positions`` it has either their rows only or the rows of the whole prompt.
    """

    site: Site
    value: np.ndarray[Any, Any]
    positions: tuple[int, ...] | None

    def __init__(
        self, site: Site | str, value: Any, positions: Sequence[int] | None = None
    ) -> None:
        array = value.detach().cpu().double().numpy() if isinstance(value, Tensor) else value
        try:
            array = np.array(array, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise _not_numbers(value) from error
        if value is None:
            raise _not_numbers(value)
        if not np.isfinite(array).all():
            raise EditError(f"The value for {site} holds NaN or infinity.", "Give finite numbers.")
        array.flags.writeable = False
        object.__setattr__(self, "site", Site.of(site))
        object.__setattr__(self, "value", array)
        object.__setattr__(self, "positions", _frozen(positions))

    def __str__(self) -> str:
        return f"patch of {_where(self.site, self.positions)}"

    def taps(self, model: Model, positions: int, job: Job, source: int = 0) -> Mapping[Site, Tap]:
        """What to do at each place in a run over so many tokens, ``source`` in an encoder."""
        del job
        region = Region.of(model, self.site, self.positions, positions, source)
        layered = self.site.kind.per_layer and self.site.layer is None
        shape = (len(region.layers), *region.shape) if layered else region.shape
        value = self._fitted(shape, region, layered=layered)
        return region.taps(lambda layer: value[layer] if layered and layer is not None else value)

    def _fitted(self, shape: tuple[int, ...], region: Region, *, layered: bool) -> Tensor:
        """The value at the region's shape, whole rows cut down to the region's positions."""
        axis = region.position_axis + layered
        whole = (*shape[:axis], region.length, *shape[axis + 1 :])
        value = torch.from_numpy(self.value.copy())
        if self.positions is not None and self.value.shape == whole != shape:
            value = value.index_select(axis, torch.tensor(region.positions))
        try:
            return value.expand(shape)
        except RuntimeError as error:
            raise EditError(
                f"The value for {self.site} has the shape {list(self.value.shape)}, but "
                f"{list(shape)} is needed ({', '.join(self._axes(layered=layered))}).",
                "Take it from a trace of a prompt with the same number of tokens.",
            ) from error

    def _axes(self, *, layered: bool) -> list[str]:
        one_head = self.site.head is not None
        axes = [axis for axis in self.site.kind.axes if not (one_head and axis in HEAD_AXES)]
        return ["layer", *axes] if layered else axes
