"""What units give chosen units by ways whose form is known: a few products of matrices for all.

Let ``G`` be what the values behind a convolution or linear map are worth, and ``x`` what it reads.
The edge from unit s to unit t is then the sum over the kernel of ``W[t, s] · dL/dW[t, s]``, with
the gradient of the weights under ``G``: one pass for all pairs. A stream is read through a norm:
what a source wrote to it by a matrix ``A`` reaches a linear map ``W`` as ``C A x r``, with the root
of the variance ``r`` at each place and the centring ``C``. The edge is ``(W C A)[t, s]`` times the
sum of ``G_t r x_s`` over places. Of a pair the norm has a second part, of rank one at each place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.graph import GradientEdge
from torch.nn.grad import conv2d_weight

from microtome.jobs import Job, job_or_default
from microtome.records.circuit import IMAGE


@dataclass(frozen=True, slots=True, eq=False)
class Alone:
    """A way on which each unit stays alone.

    ``values`` are what the source is at the point where the gradient is taken (of a pair: by how
    much more than in the other run).
    """

    source: str
    point: GradientEdge
    values: Float[Tensor, "one unit *place"]

    def rows(
        self, worth: Float[Tensor, "one unit *place"], chosen: Int[Tensor, " target"], job: Job
    ) -> dict[str, Tensor]:
        """What each unit of the source gives each chosen target."""
        del job
        each = (worth * self.values).reshape(worth.shape[1], -1).sum(1)
        found = each.new_zeros(len(chosen), len(each))
        found[torch.arange(len(chosen)), chosen] = each[chosen]
        return {self.source: found}


@dataclass(frozen=True, slots=True, eq=False)
class Kernel:
    """A way through one convolution, which reads ``values``; ``how`` it is moved along them."""

    source: str
    point: GradientEdge
    values: Float[Tensor, "one unit row column"]
    weight: Float[Tensor, "target unit height width"]
    how: tuple[Any, ...]  # stride, padding, dilation

    def rows(
        self,
        worth: Float[Tensor, "one made row_to column_to"],
        chosen: Int[Tensor, " target"],
        job: Job,
    ) -> dict[str, Tensor]:
        """What each unit of the source gives each chosen target."""
        del job
        weight, given = self.weight[chosen], worth[:, chosen].contiguous()
        gradient = conv2d_weight(self.values, weight.shape, given, *self.how)
        return {self.source: (weight * gradient).flatten(2).sum(2)}


@dataclass(frozen=True, slots=True, eq=False)
class Term:
    """What one source gives a stream: ``values`` times the ``matrix``, without one themselves.

    ``numbers`` are the units that the channels of the values belong to, of ``count``.
    """

    source: str
    count: int
    numbers: Int[Tensor, " channel"]
    values: Float[Tensor, "place channel"]
    matrix: Float[Tensor, "dimension channel"] | None = None

    def through(self, weight: Float[Tensor, "made dimension"]) -> Term:
        """The same behind a linear map."""
        return replace(self, matrix=self.reached(weight))

    def scaled(self, scale: Float[Tensor, " dimension"]) -> Term:
        """The same with each dimension scaled."""
        if self.matrix is None:
            return replace(self, values=self.values * scale)
        return replace(self, matrix=self.matrix * scale[:, None])

    def reached(self, rows: Float[Tensor, "row dimension"]) -> Float[Tensor, "row channel"]:
        """What a row of weights for dimensions is for channels."""
        return rows if self.matrix is None else rows @ self.matrix


@dataclass(frozen=True, slots=True, eq=False)
class Norm:
    """A frozen norm over dimensions: centred, then scaled at each place, then by ``weight``.

    Of a pair ``middle · share · mean(middle · x)`` is added before the weight.
    """

    scale: Float[Tensor, " place"]
    weight: Float[Tensor, " dimension"] | None = None
    middle: Float[Tensor, "place dimension"] | None = None
    share: Float[Tensor, " place"] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """Values whose dimensions come last, as the sum of what sources give and of constants.

    ``told`` is what the image gives as a whole, in the shape of the values themselves.
    """

    terms: tuple[Term, ...]
    told: Tensor | None = None
    norm: Norm | None = None

    def through(self, weight: Float[Tensor, "made dimension"]) -> Stream:
        """The same behind a linear map."""
        told = None if self.told is None else self.told @ weight.T
        return Stream(tuple(term.through(weight) for term in self.terms), told)

    def scaled(self, scale: Float[Tensor, " dimension"]) -> Stream:
        """The same with each dimension scaled."""
        told = None if self.told is None else self.told * scale
        return Stream(tuple(term.scaled(scale) for term in self.terms), told)


def added(streams: Sequence[Stream]) -> Stream:
    """The sum of streams of one shape."""
    told = [each.told for each in streams if each.told is not None]
    terms = tuple(term for each in streams for term in each.terms)
    return Stream(terms, torch.stack(told).sum(0) if told else None)


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """The ways by which a linear map reads a stream; ``units`` its channels belong to."""

    point: GradientEdge
    stream: Stream
    weight: Float[Tensor, "channel dimension"]
    units: Int[Tensor, " channel"]

    def rows(
        self, worth: Float[Tensor, "one *place channel"], chosen: Int[Tensor, " target"], job: Job
    ) -> dict[str, Tensor]:
        """What each unit of every source gives each chosen target."""
        row, channel = (self.units == chosen[:, None]).nonzero().unbind(1)
        given = worth.reshape(-1, worth.shape[-1])[:, channel].T
        asked = _Asked.of(given, self.weight[channel], self.stream.norm)
        found: dict[str, Tensor] = {}
        for term in self.stream.terms:
            job.check()
            part = _gathered(
                _gathered(asked.of_term(term), row, len(chosen)).T, term.numbers, term.count
            ).T
            found[term.source] = found[term.source] + part if term.source in found else part
        if self.stream.told is not None:
            told = asked.of_told(self.stream.told.reshape(-1, self.weight.shape[1]))
            part = _gathered(told[:, None], row, len(chosen))
            found[IMAGE] = found[IMAGE] + part if IMAGE in found else part
        return found


def _gathered(
    each: Float[Tensor, "row column"], to: Int[Tensor, " row"], count: int
) -> Float[Tensor, "to column"]:
    """The sum of the rows that go to each of so many places."""
    if len(to) == count and bool((to == torch.arange(count, device=to.device)).all()):
        return each
    return each.new_zeros(count, each.shape[1]).index_add(0, to, each)


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    """What a stream is worth to channels: ``given`` at a place times ``weight``.

    With a norm of a pair ``pull`` at a place times its ``middle`` as well.
    """

    given: Float[Tensor, "channel place"]
    weight: Float[Tensor, "channel dimension"]
    pull: Float[Tensor, "channel place"] | None = None
    middle: Float[Tensor, "place dimension"] | None = None

    @classmethod
    def of(cls, given: Tensor, weight: Tensor, norm: Norm | None) -> _Asked:
        if norm is None:
            return cls(given, weight)
        weight = weight if norm.weight is None else weight * norm.weight
        scaled, centred = given * norm.scale, weight - weight.mean(1, keepdim=True)
        if norm.middle is None or norm.share is None:
            return cls(scaled, centred)
        pull = given * norm.share * (weight @ norm.middle.T) / weight.shape[1]
        return cls(scaled, centred, pull, norm.middle)

    def of_term(self, term: Term) -> Float[Tensor, "channel to"]:
        each = term.reached(self.weight) * (self.given @ term.values)
        if self.pull is None or self.middle is None:
            return each
        more: Tensor = self.pull @ (term.reached(self.middle) * term.values)
        return each + more

    def of_told(self, told: Float[Tensor, "place dimension"]) -> Float[Tensor, " channel"]:
        each = (self.given * (self.weight @ told.T)).sum(1)
        if self.pull is None or self.middle is None:
            return each
        more: Tensor = self.pull @ (self.middle * told).sum(1)
        return each + more


Way = Alone | Kernel | Reading


def rows(
    made: Float[Tensor, "one unit *place"],
    worth: Float[Tensor, "one unit *place"],
    ways: Sequence[Way],
    chosen: Int[Tensor, " target"],
    job: Job | None = None,
) -> dict[str, Float[Tensor, "target _"]]:
    """What every unit of each source gives chosen units of what was made, by these ways.

    The job may be cancelled between two sources.
    """
    job = job_or_default(job)
    points = [way.point for way in ways]
    worths = torch.autograd.grad(made, points, worth, retain_graph=True)
    found: dict[str, Tensor] = {}
    for way, given in zip(ways, worths, strict=True):
        for source, part in way.rows(given, chosen, job).items():
            found[source] = found[source] + part if source in found else part
    return found
