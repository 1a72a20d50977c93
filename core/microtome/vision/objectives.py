"""What is measured of a run on pixels, and what is pushed up: a target bound to a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from microtome.errors import DictionaryMismatch, InputError
from microtome.models.vision.sight import Sight, UnitLayer
from microtome.vision.targets import Target, place_in

# Values of the layer [row, unit, place…] -> one number a row and place [row, 1, place…].
Read = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Objective:
    """``value`` is told to people; ``push`` is what is climbed, which always goes up."""

    target: Target
    layer: UnitLayer | None
    read: Read | None
    place: tuple[int, int] | None

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers that it reads."""
        return () if self.layer is None else (self.layer.name,)

    def value(
        self, found: Mapping[str, Tensor], logits: Float[Tensor, "row class"]
    ) -> Float[Tensor, " row"]:
        """The logit of a class, or the activity of what is in a layer."""
        if self.layer is None or self.read is None:
            return logits[:, self.target.index].float()
        places = _over_image(self.layer, self.read(found[self.layer.name])).float()
        if self.place is None:
            return places.flatten(1).mean(1)
        return places[:, self.place[0], self.place[1]]

    def push(
        self, found: Mapping[str, Tensor], logits: Float[Tensor, "row class"]
    ) -> Float[Tensor, " row"]:
        """The value, or its negative.

        The log-probability of a class is added to its logit: the logit alone also rises with
        what all classes answer to.
        """
        value = self.value(found, logits)
        if self.target.negative:
            return -value
        if self.target.kind == "class":
            return value + logits.float().log_softmax(-1)[:, self.target.index]
        return value


def objective(target: Target, sight: Sight) -> Objective:
    """A target in a model.

    Raises SiteMissing or InputError for what the model does not have, DictionaryMismatch.
    """
    if target.kind == "class":
        if not 0 <= target.index < len(sight.classes):
            raise InputError(
                f"{sight.title} has no class {target.index}.",
                f"Give a number from 0 to {len(sight.classes) - 1}.",
            )
        return Objective(target, None, None, None)
    layer = sight.layer(target.layer)
    place = place_in(target, layer.grid)
    return Objective(target, layer, _READS[target.kind](target, layer, sight), place)


def _over_image(layer: UnitLayer, active: Tensor) -> Tensor:
    """[row, 1, place…] as [row, row of the map, column]; all places where there is no map."""
    if layer.grid is None:
        return active.flatten(1)[:, None]
    if active.dim() == 4:
        return active[:, 0]
    patches: Tensor = active[:, 0, layer.leading :].unflatten(-1, layer.grid)
    return patches


@dataclass(frozen=True, slots=True)
class _Unit:
    layer: UnitLayer
    index: int

    def __call__(self, values: Tensor) -> Tensor:
        return self.layer.activity(values[:, self.index : self.index + 1])


@dataclass(frozen=True, slots=True)
class _Direction:
    direction: Float[Tensor, " unit"]

    def __call__(self, values: Tensor) -> Tensor:
        along = torch.tensordot(values.movedim(1, -1), self.direction.to(values.dtype), 1)
        return along[:, None]


@dataclass(frozen=True, slots=True)
class _Feature:
    target: Target

    def __call__(self, values: Tensor) -> Tensor:
        held = self.target.dictionary
        assert held is not None  # noqa: S101  a target of this kind has one
        codes = held.pre_activations(values.movedim(1, -1).float())
        own: Tensor = codes[..., self.target.index]
        return own[:, None]


def _read_unit(target: Target, layer: UnitLayer, sight: Sight) -> Read:
    sight.unit(f"{layer.name}/{target.index}")
    return _Unit(layer, target.index)


def _read_direction(target: Target, layer: UnitLayer, sight: Sight) -> Read:
    _refuse_heads(layer)
    given = np.asarray(target.direction, np.float64)
    length = float(np.linalg.norm(given)) if given.ndim == 1 else 0.0
    if given.shape != (layer.n_units,) or not np.isfinite(length) or length == 0:
        raise InputError(
            f"The direction has the shape {given.shape} and the length {length:.3g}.",
            f"Give {layer.n_units} numbers for {layer.name}, not all 0.",
        )
    device = next(sight.module.parameters()).device
    return _Direction(torch.from_numpy(given / length).float().to(device))


def _read_feature(target: Target, layer: UnitLayer, sight: Sight) -> Read:
    del sight
    _refuse_heads(layer)
    held = target.dictionary
    if held is None or held.d_in != layer.n_units:
        width = 0 if held is None else held.d_in
        raise DictionaryMismatch(
            f"{layer.name} has {layer.n_units} units, but the dictionary reads {width}.",
            "Choose the layer that it was trained on.",
        )
    if not 0 <= target.index < held.d_sae:
        raise InputError(
            f"The dictionary has no feature {target.index}.", f"Give 0 to {held.d_sae - 1}."
        )
    return _Feature(target)


def _refuse_heads(layer: UnitLayer) -> None:
    if layer.kind == "head":
        raise InputError(
            f"{layer.name} is a layer of heads, in which directions have no one meaning.",
            "Choose a head, or a layer of channels, neurons or dimensions.",
        )


_READS: dict[str, Callable[[Target, UnitLayer, Sight], Read]] = {
    "unit": _read_unit,
    "direction": _read_direction,
    "feature": _read_feature,
}
