"""Runs of a model that sees, many changes at once, from the layer on where they differ.

What a model computes below the changed layers is the same in all runs. It is computed once; in
later runs the modules below hand on what they gave then. A model whose code does not allow that
(seen by its logits) runs whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from microtome.models.family import part
from microtome.models.vision.sight import Change, Sight

_SAME = 1e-4  # of the largest logit: two runs of one input give this at most


@dataclass(slots=True, eq=False)
class GoingOn:
    """One batch of pixels, to be run with changes of some layers again and again."""

    sight: Sight
    pixels: Float[Tensor, "image channel row column"]
    layers: Sequence[str]
    logits: Tensor = field(init=False)  # [image, class] without changes
    _given: dict[nn.Module, Any] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        below = _Below()
        with torch.inference_mode(), below.watching(self.sight, self.layers):
            self.logits = self.sight.logits(self.pixels)
        given = below.whole(self.sight.module)
        # Mostly only what the layers' own modules hand on is looked at: one row does for others.
        places = [self.sight.layer(name).place for name in self.layers]
        own = {part(self.sight.module, place.path, self.sight.title) for place in places}
        light = {held: one if held in own else _first(one) for held, one in given.items()}
        for tried in (light, given, {}):
            self._given = tried
            if not tried or self._same():
                break

    def _same(self) -> bool:
        try:
            own = self.run({}, 1)
        except RuntimeError:  # a module that changes in place what it is handed
            return False
        return bool((own - self.logits).abs().max() <= _SAME * (1 + self.logits.abs().max()))

    @property
    def row_bytes(self) -> int:
        """What one row takes of memory, about: of pixels, or all that is handed on."""
        held = sum(_nbytes(one) for one in self._given.values())
        return max(1, held // len(self.pixels)) if self._given else self.pixels[0].nbytes

    def run(self, changes: Mapping[str, Change], times: int) -> Float[Tensor, "row class"]:
        """The logits with changes, of all images so many times: [time * image, class]."""
        rows = times * len(self.pixels)
        # Only their number counts where the modules that read pixels are passed over.
        held = self.pixels[:1] if self._given else self.pixels
        pixels = _to_rows(rows, held)
        with ExitStack() as stack:
            stack.enter_context(torch.inference_mode())
            stack.enter_context(self.sight.changing(changes))
            for module, one in self._given.items():
                module.forward = partial(_hand_on, one, rows)
                stack.callback(module.__dict__.pop, "forward")
            return self.sight.logits(pixels)


class _Below:
    """Which modules are done, and what they gave, when the first of some layers is reached."""

    def __init__(self) -> None:
        self.done: dict[nn.Module, Any] = {}
        self.twice: set[nn.Module] = set()
        self.reached = False

    @contextmanager
    def watching(self, sight: Sight, layers: Sequence[str]) -> Iterator[None]:
        """Within the context a run is watched."""
        with ExitStack() as stack:
            for module in sight.module.modules():
                stack.callback(module.register_forward_hook(self._leave).remove)
            stack.enter_context(sight.changing(dict.fromkeys(layers, self._reach)))
            yield

    def _leave(self, module: nn.Module, _args: Any, output: Any) -> None:
        if self.reached:
            # One that runs again above cannot be passed over below.
            self.done.pop(module, None)
        elif module in self.done or module in self.twice:
            self.twice.add(module)
            self.done.pop(module, None)
        else:
            self.done[module] = output

    def _reach(self, values: Tensor) -> Tensor:
        self.reached = True
        return values

    def whole(self, module: nn.Module) -> dict[nn.Module, Any]:
        """The outermost of those that are done."""
        if module in self.done:
            return {module: self.done[module]}
        found: dict[nn.Module, Any] = {}
        for inner in module.children():
            found |= self.whole(inner)
        return found


def _hand_on(given: Any, rows: int, *_args: Any, **_named: Any) -> Any:
    return _each(given, partial(_to_rows, rows))


def _to_rows(rows: int, values: Tensor) -> Tensor:
    if len(values) == 1:
        return values.expand(rows, *values.shape[1:])
    return values.repeat(rows // len(values), *[1] * (values.dim() - 1))


def _first(given: Any) -> Any:
    return _each(given, lambda values: values[:1])


def _each(given: Any, act: Any) -> Any:
    """The same structure with each tensor acted on."""
    if isinstance(given, Tensor):
        return act(given)
    if isinstance(given, Mapping):  # an output of transformers is one
        return type(given)(**{name: _each(one, act) for name, one in given.items()})
    if isinstance(given, tuple | list):
        return type(given)(_each(one, act) for one in given)
    return given


def _nbytes(given: Any) -> int:
    if isinstance(given, Tensor):
        return given.nbytes
    held = given.values() if isinstance(given, Mapping) else given
    return sum(map(_nbytes, held)) if isinstance(held, tuple | list | type({}.values())) else 0
