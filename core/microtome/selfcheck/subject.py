"""What a self-check measures, and the run that most of them share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from microtome.activations.capture import trace
from microtome.jobs import Job
from microtome.models.anatomy import Anatomy
from microtome.models.model import Model
from microtome.models.outline import Outline
from microtome.records.trace import Trace
from microtome.sites import Site

# Long enough for a window of a tiny model, short enough to cost nothing; and the room that the
# padded runs need on top.
_LENGTH, PADDING = 18, 3


class DoesNotApply(Exception):
    """The model lacks what a check looks at; the text says what."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """One number of a check, the most it may be, and what it is of."""

    value: float
    allowed: float
    what: str

    @property
    def excess(self) -> float:
        """Measured over allowed; above 1 the check fails, infinite for anything not finite."""
        if not np.isfinite(self.value):
            return float("inf")
        if self.allowed:
            return self.value / self.allowed
        return float("inf") if self.value > 0 else 0.0


def worst(measurements: Iterable[Measurement]) -> Measurement:
    """The measurement that comes closest to failing, or fails most.

    Raises ValueError when nothing was measured.
    """
    return max(measurements, key=lambda one: one.excess)


@dataclass(frozen=True)
class Subject:
    """A model under check, a prompt of random tokens, and the full run on it."""

    model: Model
    job: Job
    seed: int = 0

    @cached_property
    def prompt(self) -> tuple[int, ...]:
        """Random token ids, the same every time; an encoder reads those that its decoder does."""
        identity = self.model.identity
        room = identity.context - PADDING if identity.context else _LENGTH
        random = np.random.default_rng(self.seed)
        length = max(1, min(_LENGTH, room))
        return self.model.lexicon.repeating(random.integers(0, identity.reads, length).tolist())

    @cached_property
    def ids(self) -> tuple[int, ...]:
        """The tokens of the prompt as the (decoder's) layers see them."""
        return tuple(self.model.tokenize(self.prompt).ids.tolist())

    @cached_property
    def source(self) -> tuple[int, ...]:
        """What an encoder reads; empty without one."""
        read = self.model.tokenize(self.prompt).source
        return () if read is None else tuple(read.ids.tolist())

    @cached_property
    def run(self) -> Trace:
        """Everything captured in one run."""
        return self.trace()

    @cached_property
    def logits(self) -> Float[np.ndarray, "position vocabulary"]:
        """The logits of a run without hooks."""
        return self.plain(self.ids)

    @property
    def anatomy(self) -> Anatomy:
        """Where the weights are.

        Raises DoesNotApply for a decoder of no known family.
        """
        if not self.model.known:
            title = self.model.family.title
            raise DoesNotApply(f"where {title} keeps its heads, norms and MLPs is not known")
        return self.model.anatomy

    @property
    def middle(self) -> int:
        """The layer that edits are tried on."""
        return self.model.identity.n_layers // 2

    def need(self, site: str) -> None:
        """Raise DoesNotApply where the model lacks a site, with the reason that was found."""
        row = self.model.family
        if isinstance(row, Outline) and site not in self.model.ports:
            raise DoesNotApply(row.absent.get(site, f"there is no site {site}"))

    @property
    def wide(self) -> torch.dtype:
        """The type that checks compute in: float32, float64 for a float64 model."""
        return torch.promote_types(self.model.dtype, torch.float32)

    @property
    def half(self) -> bool:
        """Whether the model computes in half precision."""
        return self.wide != self.model.dtype

    def need_whole(self) -> None:
        """Raise DoesNotApply where the anatomy leaves out a part of what logits are made of."""
        left_out = self.anatomy.leaves_out
        if left_out:
            raise DoesNotApply(left_out)

    def leave_out_turning_routers(self) -> None:
        """Raise DoesNotApply where two ways to the same logits may choose other experts."""
        if not self.half:
            return
        if not self.model.known:
            raise DoesNotApply("in half precision rounding may choose experts, if there are any")
        if self.anatomy.routed:
            raise DoesNotApply("in half precision rounding alone may choose other experts")

    def need_positions(self) -> None:
        """Raise DoesNotApply where it is not known how a model is told positions and padding."""
        if not self.model.known:
            title = self.model.family.title
            raise DoesNotApply(f"how {title} is told of positions and padding is not known")

    def trace(self, **options: Any) -> Trace:
        """A run on the prompt; ``options`` are those of ``trace``."""
        return trace(self.model, self.prompt, **{"job": self.job, "top_k": 1, **options})

    def plain(
        self, ids: tuple[int, ...], source: tuple[int, ...] = (), **options: Any
    ) -> Float[np.ndarray, "position vocabulary"]:
        """The logits of a run without hooks; ``options`` go to the model.

        An encoder reads ``source``, that of the prompt when none is given.
        """
        self.job.check()
        read = source or self.source
        given = torch.tensor([read]) if read else None
        logits = self.model.forward(torch.tensor([ids]), given, **options)[0]
        return np.asarray(logits.to(self.wide).cpu().numpy())

    def values(self, name: str, layer: int | None = None) -> Tensor:
        """A captured activation beside the weights, in the type that checks compute in."""
        values = torch.from_numpy(np.array(self.run.activation(Site(name, layer))))
        return values.to(self.model.device, self.wide)

    def goal(self, full: float, half: float) -> float:
        """What is allowed: in float32 and float64, or in a half-precision type."""
        return half if self.half else full

    def logit_goal(self, full: float, half: float) -> float:
        """What is allowed between logits: goals for logits up to 10, in proportion above."""
        return self.goal(full, half) * max(1.0, float(np.abs(self.logits).max()) / 10)


def relative(found: Tensor, expected: Tensor) -> float:
    """Norm of the difference over the norm of what was expected."""
    size = float(expected.norm())
    return float((found - expected).norm()) / (size if size > 0 else 1.0)


def furthest(found: Any, expected: Any) -> float:
    """Largest absolute difference."""
    return float(np.abs(np.asarray(found) - np.asarray(expected)).max())


def typical(found: Any, expected: Any) -> float:
    """Root mean square difference: rounding that grows through the layers has rare outliers."""
    difference = np.asarray(found, np.float64) - np.asarray(expected, np.float64)
    return float(np.sqrt(np.square(difference).mean()))
