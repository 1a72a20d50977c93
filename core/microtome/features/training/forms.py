"""What a trained thing reads and writes: one site, two, or all layers at once.

A form knows the weights in training units, with rows of the decoder at norm 1, and nothing of
rules. Batches of a form with layers are [batch, layer, d].
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from microtome.features.training.methods import Method
from microtome.features.training.plan import Plan

# The share of a row of data in the direction that a feature starts at: it makes fewer start dead.
_OF_DATA = 0.5


@runtime_checkable
class Form(Protocol):
    """What a rule and a trainer need of it."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of a vector with one number a feature."""
        ...

    @property
    def written(self) -> int:
        """How many numbers are written for a row: its variance in training units."""
        ...

    def start(
        self, plan: Plan, method: Method, first: tuple[Tensor, Tensor], random: torch.Generator
    ) -> dict[str, Tensor]:
        """The weights before the first step; ``first`` is a batch, read and written."""
        ...

    def read(self, weights: Mapping[str, Tensor], x: Tensor) -> Tensor:
        """What the encoder gives, [batch, *shape]."""
        ...

    def decode(self, weights: Mapping[str, Tensor], codes: Tensor, x: Tensor) -> Tensor:
        """What codes write, a linear skip of what was read included."""
        ...

    def blocks(self, weights: Mapping[str, Tensor]) -> Iterator[Tensor]:
        """Views [feature, all that it writes] of the decoder."""
        ...


def start_vectors(method: Method, shape: tuple[int, ...]) -> dict[str, Tensor]:
    """What a rule's vectors start at."""
    return {name: torch.full(shape, value) for name, value in method.vectors.items()}


def unit(rows: Tensor) -> Tensor:
    """Rows of norm 1; a row of zeros stays."""
    return functional.normalize(rows, dim=-1)


def drawn(
    shape: tuple[int, int], data: Float[Tensor, "batch d"], which: Tensor, random: torch.Generator
) -> Tensor:
    """Directions of norm 1, in part those of rows of data."""
    return unit(unit(torch.randn(*shape, generator=random)) + _OF_DATA * unit(data)[which])


@dataclass(frozen=True, slots=True)
class Own:
    """One dictionary that reads ``d_in`` numbers and writes ``d_out``."""

    width: int
    d_in: int
    d_out: int
    transcodes: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """Of a vector with one number a feature."""
        return (self.width,)

    @property
    def written(self) -> int:
        """How many numbers are written for a row."""
        return self.d_out

    def start(
        self, plan: Plan, method: Method, first: tuple[Tensor, Tensor], random: torch.Generator
    ) -> dict[str, Tensor]:
        """An autoencoder starts tied; a transcoder with directions of the same rows."""
        which = torch.randint(len(first[0]), (self.width,), generator=random)
        encoder = drawn((self.width, self.d_in), first[0], which, random)
        decoder = drawn((self.width, self.d_out), first[1], which, random)
        held = {
            "w_enc": encoder,
            "w_dec": decoder if self.transcodes else encoder.clone(),
            "b_dec": torch.zeros(self.d_out),
            **start_vectors(method, self.shape),
        }
        if plan.skip:
            held["w_skip"] = torch.zeros(self.d_out, self.d_in)
        return held

    def read(self, weights: Mapping[str, Tensor], x: Tensor) -> Tensor:
        """What the encoder gives, [batch, feature]."""
        return functional.linear(x, weights["w_enc"], weights.get("b_enc"))

    def decode(self, weights: Mapping[str, Tensor], codes: Tensor, x: Tensor) -> Tensor:
        """What codes write, [batch, d_out]."""
        written = torch.addmm(weights["b_dec"], codes, weights["w_dec"])
        return written + x @ weights["w_skip"].T if "w_skip" in weights else written

    def blocks(self, weights: Mapping[str, Tensor]) -> Iterator[Tensor]:
        """The decoder."""
        yield weights["w_dec"]


@dataclass(frozen=True, slots=True)
class Across:
    """A cross-layer transcoder: features of a layer write it and all behind it.

    ``w_dec.3`` is [feature, layers from 3 on, d_out]. Source: Ameisen et al., "Circuit Tracing"
    (2025).
    """

    layers: int
    width: int
    d_in: int
    d_out: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Of a vector with one number a feature."""
        return (self.layers, self.width)

    @property
    def written(self) -> int:
        """How many numbers are written for a row."""
        return self.layers * self.d_out

    def start(
        self, plan: Plan, method: Method, first: tuple[Tensor, Tensor], random: torch.Generator
    ) -> dict[str, Tensor]:
        """Each layer starts as a transcoder of its own; what it writes onward is 0."""
        encoders, held = [], {"b_dec": torch.zeros(self.layers, self.d_out)}
        for layer in range(self.layers):
            which = torch.randint(len(first[0]), (self.width,), generator=random)
            encoders.append(drawn((self.width, self.d_in), first[0][:, layer], which, random))
            decoder = torch.zeros(self.width, self.layers - layer, self.d_out)
            decoder[:, 0] = drawn((self.width, self.d_out), first[1][:, layer], which, random)
            held[f"w_dec.{layer}"] = decoder
        held |= {"w_enc": torch.stack(encoders), **start_vectors(method, self.shape)}
        if plan.skip:
            held["w_skip"] = torch.zeros(self.layers, self.d_out, self.d_in)
        return held

    def read(self, weights: Mapping[str, Tensor], x: Tensor) -> Tensor:
        """What the encoders give, [batch, layer, feature]."""
        read = torch.einsum("bld,lfd->blf", x, weights["w_enc"])
        return read + weights["b_enc"] if "b_enc" in weights else read

    def decode(self, weights: Mapping[str, Tensor], codes: Tensor, x: Tensor) -> Tensor:
        """What codes write, [batch, layer, d_out]."""
        written = weights["b_dec"].expand(len(codes), -1, -1)
        for layer in range(self.layers):
            decoder = weights[f"w_dec.{layer}"]
            own = (codes[:, layer] @ decoder.flatten(1)).unflatten(1, decoder.shape[1:])
            written = written + functional.pad(own, (0, 0, layer, 0))
        if "w_skip" in weights:
            written = written + torch.einsum("bli,loi->blo", x, weights["w_skip"])
        return written

    def blocks(self, weights: Mapping[str, Tensor]) -> Iterator[Tensor]:
        """The decoder of each layer, all that a feature writes in one row."""
        for layer in range(self.layers):
            yield weights[f"w_dec.{layer}"].view(self.width, -1)
