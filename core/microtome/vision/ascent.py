"""Gradient ascent on pictures: all results of all targets in one batch, a step at a time."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from microtome.errors import Diverged
from microtome.models.vision.sight import Sight
from microtome.records.visualisation import VisualSettings
from microtome.vision.diversity import alikeness, telling_layer
from microtome.vision.objectives import Objective
from microtome.vision.parametrisation import FAINT, FourierPictures
from microtome.vision.robustness import transformed

_KEPT = 0.9  # of the running mean of the slope
# Other starts, stronger at last, where nothing answers to a faint one. A strong one hardly fades.
_AGAIN = tuple(strength * FAINT for strength in (1, 2, 2, 4, 4, 8, 16))
_LEAST = 1e-12


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of the batch that are made for one objective."""

    rows: slice
    objective: Objective


class Ascent:
    """The pictures while they are made; ``step`` takes one step and returns their values."""

    def __init__(
        self, sight: Sight, objectives: Sequence[Objective], seeds: Sequence[Sequence[int]],
        settings: VisualSettings,
    ) -> None:  # fmt: skip
        self._sight, self._settings = sight, settings
        self._generators = [_seeded(seed) for each in seeds for seed in each]
        self.parts = _parts(objectives, seeds)
        self._telling = [telling_layer(sight, part.objective.layer).name for part in self.parts]
        named = [name for part in self.parts for name in part.objective.layers]
        self._layers = list(dict.fromkeys(named + self._telling * (settings.diversity > 0)))
        device = str(next(sight.module.parameters()).device)
        self.images = FourierPictures(sight.shape, self._generators, device)
        self._wake()
        self._optimiser = torch.optim.Adam([self.images.spectra], lr=settings.rate)
        self._size: Tensor | None = None  # the running mean of each row's slope

    def pictures(self) -> Float[Tensor, "row channel height width"]:
        """The pictures as they are now, from 0 to 1."""
        with torch.no_grad():
            return self.images.pictures()

    def step(self, number: int) -> Float[Tensor, " row"]:
        """Values before the step, of the pictures as transformed. Raises Diverged."""
        with torch.enable_grad():
            made = self.images.pictures()
            seen = made.detach().requires_grad_()
            moved = transformed(seen, self._generators, self._settings.robustness)
            values, slope, apart = self._slopes(seen, moved)
            if not bool(torch.isfinite(values).all() and torch.isfinite(slope).all()):
                raise _diverged(number, self._settings)
            size = slope.square().mean((1, 2, 3), keepdim=True).sqrt()
            kept = size if self._size is None else _KEPT * self._size + (1 - _KEPT) * size
            self._size = kept
            # No price of a unit that is silent here: it would fade to grey, and never wake.
            prices = self._prices(seen.detach()) * (size > 0)
            down = -slope / kept.clamp_min(_LEAST) + apart + prices
            self._optimiser.zero_grad()
            torch.autograd.backward(made, down)
            self._optimiser.step()
        return values

    def _slopes(self, seen: Tensor, moved: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Values, the slope of what is pushed, and the weighted slope of being alike."""
        with self._reading() as found:
            logits = self._sight.logits(self._sight.normalised(moved * 255))
        values, pushes, alike = list[Tensor](), list[Tensor](), seen.sum() * 0
        for part, telling in zip(self.parts, self._telling, strict=True):
            own = {name: found[name][part.rows] for name in self._layers}
            values.append(part.objective.value(own, logits[part.rows]).detach())
            pushes.append(part.objective.push(own, logits[part.rows]))
            if self._settings.diversity > 0:
                alike = alike + alikeness(own[telling])
        several = self._settings.diversity > 0
        (slope,) = torch.autograd.grad(torch.cat(pushes).sum(), seen, retain_graph=several)
        if not several:
            return torch.cat(values), slope, torch.zeros(())
        (apart,) = torch.autograd.grad(alike, seen)
        size = apart.square().mean((1, 2, 3), keepdim=True).sqrt().clamp_min(_LEAST)
        return torch.cat(values), slope, self._settings.diversity * apart / size

    def _reading(self) -> AbstractContextManager[dict[str, Tensor]]:
        return self._sight.reading(self._layers)

    def _prices(self, pictures: Tensor) -> Tensor:
        """The slope of the total variation and of the distance from grey, by their prices."""
        down, across = pictures.diff(dim=2).sign(), pictures.diff(dim=3).sign()
        rough = torch.zeros_like(pictures)
        rough[:, :, 1:] += down
        rough[:, :, :-1] -= down
        rough[:, :, :, 1:] += across
        rough[:, :, :, :-1] -= across
        return self._settings.smooth * rough + self._settings.grey * (pictures - 0.5).sign()

    def _wake(self) -> None:
        """Start elsewhere where a rectified unit is silent, which has no slope."""
        for strength in _AGAIN:
            with torch.enable_grad():
                seen = self.pictures().requires_grad_()
                _values, slope, _ = self._slopes(seen, seen)
            still = (slope == 0).flatten(1).all(1)
            if not bool(still.any()):
                return
            with torch.no_grad():
                others = self.images.drawn(self._generators, strength)
                self.images.spectra[still] = others[still]


def _parts(objectives: Sequence[Objective], seeds: Sequence[Sequence[int]]) -> tuple[Part, ...]:
    found, start = [], 0
    for objective, own in zip(objectives, seeds, strict=True):
        found.append(Part(slice(start, start + len(own)), objective))
        start += len(own)
    return tuple(found)


def _seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _diverged(step: int, settings: VisualSettings) -> Diverged:
    return Diverged(
        f"Step {step} of {settings.steps} of the visualisation gave NaN or infinity.",
        f"Use a smaller rate than {settings.rate:g}, load the model as float32, and run its "
        "self-checks: its weights may be damaged. What was made before this step is kept.",
    )
