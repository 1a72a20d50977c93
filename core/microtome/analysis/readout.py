"""From the residual stream to logits and back, with the model's own final norm and unembedding.

All arithmetic is in float32 (float64 for a float64 model), whatever type the weights are kept
in: sums over bfloat16 values are off by several per cent of the smaller terms.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from microtome.errors import SiteMissing, expect
from microtome.models.anatomy import Anatomy, Norm, Transform
from microtome.models.arithmetic import anatomy_in
from microtome.models.model import Model
from microtome.models.operations import normalise, soft_cap, transformed
from microtome.models.outline import Ending, Outline
from microtome.records.trace import Trace

# Logits worked on at once: 64 MB in float32. All stages, positions and words of a large model
# would be tens of gigabytes.
_CELLS = 1 << 24


def live_model(trace: Trace, purpose: str) -> Model:
    """The model that made a trace.

    Raises SiteMissing when the trace came from a file, which holds no weights.
    """
    expect(trace, Trace, "trace", "a Trace", "Make one with trace(model, prompt).")
    if trace.live is None:
        raise SiteMissing(
            f"{purpose} needs the weights of {trace.model.name}, and a session file holds none.",
            "Load that model and attach it to the session.",
        )
    model: Model = trace.live
    return model


class LogitReadout(ABC):
    """The way from the last residual stream to the logits, as every decoder has it."""

    @property
    @abstractmethod
    def unembedding(self) -> Float[Tensor, "word d"]:
        """The direction of each word."""

    @abstractmethod
    def read(self, residual: Float[Tensor, "*rows d"]) -> Float[Tensor, "*rows d_read"]:
        """What the unembedding reads."""

    @abstractmethod
    def raw_logits(
        self, read: Float[Tensor, "*rows d_read"], words: slice | Tensor
    ) -> Float[Tensor, "*rows word"]:
        """Logits of some words before the soft cap, from what the unembedding reads."""

    @abstractmethod
    def capped(self, raw: Tensor) -> Tensor:
        """Logits as the model gives them out."""

    def tensor(self, values: Any) -> Tensor:
        """Numbers as a tensor beside the weights, in the type used for arithmetic."""
        weight = self.unembedding
        wide = torch.promote_types(weight.dtype, torch.float32)
        return torch.as_tensor(values).to(weight.device, wide)

    def words(self, rows: int, first: int = 0) -> Iterator[slice]:
        """The vocabulary in chunks, small enough for ``rows`` rows; that of ``first`` leads."""
        size = self.unembedding.shape[0]
        step = max(1, min(size, _CELLS // max(1, rows)))
        starts = list(range(0, size, step))
        lead = first // step
        for start in (*starts[lead:], *starts[:lead]):
            yield slice(start, min(size, start + step))


@dataclass(frozen=True, eq=False)
class Readout(LogitReadout):
    """The way through the weights of a known family."""

    anatomy: Anatomy

    @property
    def unembedding(self) -> Float[Tensor, "word d"]:
        """The direction of each word."""
        return self.anatomy.unembedding

    def normed(self, residual: Float[Tensor, "*rows d"]) -> Float[Tensor, "*rows d"]:
        """What the final norm gives."""
        return normalise(self.anatomy.final_norm, residual)

    @cached_property
    def transform(self) -> Transform | None:
        """What stands between the final norm and the unembedding, in the type for arithmetic."""
        wide = torch.promote_types(self.anatomy.unembedding.dtype, torch.float32)
        found: Transform | None = anatomy_in(self.anatomy.transform, wide)
        return found

    def read(self, residual: Float[Tensor, "*rows d"]) -> Float[Tensor, "*rows d_read"]:
        """What the unembedding reads."""
        return transformed(self.transform, self.normed(residual))

    def norm_bias(self, norm: Norm | None) -> Float[Tensor, " d"] | None:
        """What a norm adds to its output, None when nothing."""
        return None if norm is None or norm.bias is None else self.tensor(norm.bias)

    def weights(self, words: slice | Tensor) -> Float[Tensor, "word d_read"]:
        """Rows of the unembedding."""
        return self.tensor(self.anatomy.unembedding[words])

    def bias(self, words: slice | Tensor) -> Float[Tensor, " word"] | None:
        """What the unembedding adds to the logits of some words, None when nothing."""
        bias = self.anatomy.unembedding_bias
        return None if bias is None else self.tensor(bias[words])

    def raw_logits(
        self, read: Float[Tensor, "*rows d_read"], words: slice | Tensor
    ) -> Float[Tensor, "*rows word"]:
        """Logits of some words before the soft cap, from what the unembedding reads."""
        logits, bias = read @ self.weights(words).T, self.bias(words)
        return logits if bias is None else logits + bias

    def capped(self, raw: Tensor) -> Tensor:
        """Logits as the model gives them out."""
        return soft_cap(raw, self.anatomy.soft_cap)

    def cap_slope(self, raw: Tensor) -> Tensor:
        """The secant slope of the soft cap, capped logit over raw logit; 1 without a cap."""
        cap = self.anatomy.soft_cap
        if cap is None:
            return torch.ones_like(raw)
        z = raw / cap
        small = z.abs() < 1e-4  # where the quotient is 0/0, its series
        return torch.where(small, 1 - z.square() / 3, torch.tanh(z) / torch.where(small, 1.0, z))


@dataclass(frozen=True, eq=False)
class ModuleReadout(LogitReadout):
    """The way through the modules of a decoder of no known family."""

    ending: Ending

    @property
    def unembedding(self) -> Float[Tensor, "word d"]:
        """The direction of each word."""
        return self.ending.weight

    def read(self, residual: Float[Tensor, "*rows d"]) -> Float[Tensor, "*rows d"]:
        """What the unembedding reads: nothing more than a norm was found to stand before it."""
        return self.ending.normed(residual)

    def raw_logits(
        self, read: Float[Tensor, "*rows d"], words: slice | Tensor
    ) -> Float[Tensor, "*rows word"]:
        """Logits of some words before a cap."""
        return self.ending.raw_logits(read, words)

    def capped(self, raw: Tensor) -> Tensor:
        """Logits as the model gives them out."""
        return self.ending.capped(raw)


def readout_of(model: Model, purpose: str) -> LogitReadout:
    """The way from the last residual stream of a model to its logits.

    Raises SiteMissing for a decoder of no known family whose way was not found.
    """
    row = model.family
    if not isinstance(row, Outline):
        return Readout(model.anatomy)
    if row.ending is None:
        raise SiteMissing(
            f"{purpose} needs the final norm and the unembedding of {row.title}: "
            f"{row.absent['lens']}.",
            "Look at its predictions and at the size of the residual stream instead.",
        )
    return ModuleReadout(ending=row.ending)


def as_numpy(tensor: Tensor) -> np.ndarray[Any, np.dtype[Any]]:
    """A result off the device."""
    return tensor.detach().cpu().numpy()
