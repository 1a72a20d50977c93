"""Sight: how a model is run, read and changed on pixels, the same for every family that sees.

Layers of units (channels, heads, neurons, dimensions) are named; their values always come as
[batch, unit, place…], however the model lays them out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from microtome.errors import SiteMissing
from microtome.images.preprocessing import Preprocessing
from microtome.models.family import part
from microtome.models.vision.layouts import Layout
from microtome.prompts import ImageInput
from microtome.records.units import Unit

# Given the values of a layer [batch, unit, place…]: what the model goes on with, same shape.
Change = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a family keeps a layer of units; ``before`` taps what the module is given.

    Of one that ``carries_all`` everything that the image says passes through it.
    """

    name: str
    path: str
    kind: str  # channel, head, neuron, dimension
    layout: Layout
    n_units: int | None = None  # of heads, which the tensor does not show
    before: bool = False
    carries_all: bool = False


@dataclass(frozen=True, slots=True)
class UnitLayer:
    """A layer of units.

    ``places`` is the shape of one unit's values: (rows, columns) of a map, (1, 1) of a pooled
    one, (positions,) of a transformer, (positions, d_head) of heads. ``grid`` gives rows and
    columns of the places that lie in the image, behind ``leading`` positions that do not (a class
    token); None where the layer has no places in the image.
    """

    place: Place
    n_units: int
    places: tuple[int, ...]
    grid: tuple[int, int] | None
    leading: int = 0

    @property
    def name(self) -> str:
        """The layer's name, as units have it."""
        return self.place.name

    @property
    def kind(self) -> str:
        """What its units are: channel, head, neuron or dimension."""
        return self.place.kind

    def activity(self, values: Float[Tensor, "batch unit *place"]) -> Tensor:
        """One number a unit and place: of a head the norm of what it writes.

        [batch, unit], [batch, unit, position] or [batch, unit, row, column].
        """
        return values.norm(dim=-1) if self.kind == "head" else values

    def maps(self, values: Float[Tensor, "batch unit *place"]) -> Tensor | None:
        """The activity over the image [batch, unit, row, column]; None without a grid."""
        if self.grid is None:
            return None
        active = self.activity(values)
        if active.dim() == 4:
            return active
        patches: Tensor = active[:, :, self.leading :].unflatten(-1, self.grid)
        return patches

    def mean(self, values: Float[Tensor, "batch unit *place"]) -> Float[Tensor, "batch unit"]:
        """The mean activity of each unit over the image, or over all its places without a grid."""
        maps = self.maps(values)
        active = self.activity(values) if maps is None else maps
        return active.flatten(2).mean(2) if active.dim() > 2 else active

    def strongest(self, values: Float[Tensor, "batch unit *place"]) -> Float[Tensor, "batch unit"]:
        """The largest activity of each unit over the image."""
        maps = self.maps(values)
        active = self.activity(values) if maps is None else maps
        return active.flatten(2).amax(2) if active.dim() > 2 else active


@dataclass(frozen=True, eq=False)
class Sight:
    """A module that reads pixels, with its layers of units.

    ``call`` gives the logits [batch, class] of pixels [batch, channel, row, column].
    """

    module: nn.Module
    title: str
    layers: Mapping[str, UnitLayer]
    preprocessing: Preprocessing
    shape: tuple[int, int, int]  # channels, rows and columns of what the model reads
    classes: tuple[str, ...]
    named: bool  # whether the model's files name its classes
    call: Callable[[nn.Module, Tensor], Tensor] = field(repr=False)

    def layer(self, name: str) -> UnitLayer:
        """The layer of a name.

        Raises SiteMissing that lists the layers.
        """
        try:
            return self.layers[name]
        except KeyError:
            raise SiteMissing(
                f"{self.title} has no layer of units {name!r}.", f"It has {', '.join(self.layers)}."
            ) from None

    def unit(self, given: Unit | str) -> Unit:
        """The unit given as itself or as ``layer/number``.

        Raises InputError or SiteMissing for what the model does not have.
        """
        unit = Unit.of(given)
        count = self.layer(unit.layer).n_units
        if unit.index >= count:
            raise SiteMissing(
                f"{unit.layer} has no unit {unit.index}.", f"Its units are 0 to {count - 1}."
            )
        return unit

    def pixels(self, images: Sequence[ImageInput]) -> Float[Tensor, "image channel row column"]:
        """What the model is given for images, where its weights are and in their type."""
        weight = next(self.module.parameters())
        made = [torch.from_numpy(self.preprocessing.pixels(image)) for image in images]
        return torch.stack(made).to(weight.device, weight.dtype)

    def normalised(
        self, raw: Float[Tensor, "image channel row column"]
    ) -> Float[Tensor, "image channel row column"]:
        """What the model is given for values of 0 to 255 of its own size; gradients flow.

        It is computed in the type of ``raw``.
        """
        held, weight = self.preprocessing, next(self.module.parameters())
        mean, std = (raw.new_tensor(one).view(-1, 1, 1) for one in (held.mean, held.std))
        return ((raw * held.scale - mean) / std).to(weight.device, weight.dtype)

    def logits(
        self, pixels: Float[Tensor, "image channel row column"]
    ) -> Float[Tensor, "image class"]:
        """The logits; gradients flow to the pixels if they ask for them."""
        return self.call(self.module, pixels)

    @contextmanager
    def reading(self, names: Sequence[str]) -> Iterator[dict[str, Tensor]]:
        """Within the context each run leaves the values of layers [batch, unit, place…] here.

        Changes that are made in an outer ``changing`` are seen. Raises SiteMissing.
        """
        found: dict[str, Tensor] = {}
        with ExitStack() as stack:
            for name in names:
                layer = self.layer(name)
                stack.callback(_hang(self.module, layer.place, _Keep(layer, found)).remove)
            yield found

    @contextmanager
    def changing(self, changes: Mapping[str, Change]) -> Iterator[None]:
        """Within the context the model goes on with what ``changes`` make of layers' values.

        Raises SiteMissing.
        """
        with ExitStack() as stack:
            for name, change in changes.items():
                layer = self.layer(name)
                stack.callback(_hang(self.module, layer.place, _Put(layer, change)).remove)
            yield


# Hooks are objects, not closures: the type checker of the tests compiles a function each time
# that it is defined.


@dataclass(frozen=True, slots=True)
class _Keep:
    layer: UnitLayer
    found: dict[str, Tensor]

    def __call__(self, values: Tensor) -> None:
        # A copy: the module may go on to change its own values in place.
        read = self.layer.place.layout.read(values, self.layer.n_units)
        self.found[self.layer.name] = read.clone()


@dataclass(frozen=True, slots=True)
class _Put:
    layer: UnitLayer
    change: Change

    def __call__(self, values: Tensor) -> Tensor:
        layout = self.layer.place.layout
        new = self.change(layout.read(values, self.layer.n_units))
        # The module goes on with a copy, which it may change in place: what ``change`` gave may
        # be kept for other runs, or be one value at all places.
        return layout.write(new.clone(), tuple(values.shape))


@dataclass(frozen=True, slots=True)
class _Hook:
    """What PyTorch calls: passes a module's (first) input or output on to ``use``."""

    use: Callable[[Tensor], Tensor | None]

    def on_input(self, _module: nn.Module, args: Any) -> Any:
        new = self.use(args[0])
        return None if new is None else (new, *args[1:])

    def on_output(self, _module: nn.Module, _args: Any, output: Any) -> Any:
        first = output[0] if isinstance(output, tuple) else output
        new = self.use(first)
        if new is None:
            return None
        return (new, *output[1:]) if isinstance(output, tuple) else new


def _hang(module: nn.Module, place: Place, use: Callable[[Tensor], Tensor | None]) -> Any:
    inner: nn.Module = part(module, place.path, type(module).__name__)
    hook = _Hook(use)
    if place.before:
        return inner.register_forward_pre_hook(hook.on_input)
    return inner.register_forward_hook(hook.on_output)


def measured_layers(
    module: nn.Module,
    places: Sequence[Place],
    shape: tuple[int, int, int],
    call: Callable[[nn.Module, Tensor], Tensor],
    leading: int = 0,
) -> dict[str, UnitLayer]:
    """The layers of a module as one run on black pixels shows them.

    ``leading`` is the number of positions in front of the patches.
    """
    weight = next(module.parameters())
    shapes: dict[str, tuple[int, ...]] = {}
    with ExitStack() as stack:
        for place in places:
            stack.callback(_hang(module, place, _Measure(place.name, shapes)).remove)
        with torch.inference_mode():
            call(module, torch.zeros(1, *shape, device=weight.device, dtype=weight.dtype))
    return {
        place.name: _layer(place, shapes[place.name], shape, leading)
        for place in places
        if place.name in shapes
    }


@dataclass(frozen=True, slots=True)
class _Measure:
    name: str
    shapes: dict[str, tuple[int, ...]]

    def __call__(self, values: Tensor) -> None:
        self.shapes[self.name] = tuple(values.shape)


def _layer(
    place: Place, found: tuple[int, ...], shape: tuple[int, int, int], leading: int
) -> UnitLayer:
    values = place.layout.read(torch.empty(found, device="meta"), place.n_units or 0)
    places = tuple(values.shape[2:])
    if len(places) == 2 and place.kind != "head":
        grid = None if places == (1, 1) else (int(places[0]), int(places[1]))
        return UnitLayer(place, int(values.shape[1]), places, grid)
    grid = None if not places else _patch_grid(int(places[0]) - leading, shape)
    return UnitLayer(place, int(values.shape[1]), places, grid, leading if grid else 0)


def _patch_grid(patches: int, shape: tuple[int, int, int]) -> tuple[int, int] | None:
    """Rows and columns of square patches that tile the image."""
    _channels, height, width = shape
    for rows in range(1, patches + 1):
        if patches % rows == 0 and height * (patches // rows) == width * rows:
            return rows, patches // rows
    return None
