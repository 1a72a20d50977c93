"""A direction at the end of the residual stream, carried down through norms on the stream itself.

Between two such norms the stream is a plain sum, and a direction stays what it is.
"""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from microtome.analysis.norms import frozen_norm
from microtome.analysis.readout import Readout
from microtome.models.anatomy import Norm
from microtome.records.trace import Trace
from microtome.sites import Site


@dataclass(frozen=True, slots=True, eq=False)
class Directions:
    """The direction at what each branch of each layer adds, and at what embeddings add.

    ``bias`` is what norms of the stream and token types themselves add at the metric's position.
    """

    attention: list[Float[Tensor, "position d"]]
    mlp: list[Float[Tensor, "position d"]]
    embedding: Float[Tensor, "position d"]
    bias: float


def directions_below(
    trace: Trace, readout: Readout, last: Float[Tensor, "position d"], position: int
) -> Directions:
    """The directions below one at the end of the stream, with the norms' scales held.

    Raises SiteMissing when the trace lacks what a norm on the stream read.
    """
    down = _Down(trace, readout, position, last)
    attention, mlp = [], []
    for layer in reversed(range(len(readout.anatomy.blocks))):
        block = readout.anatomy.blocks[layer]
        if block.sum_norm2 is not None:
            middle = down.values("resid_mid", layer) + down.values("mlp_out", layer)
            down.through(block.sum_norm2, middle)
        mlp.append(down.direction)
        if block.sum_norm1 is not None:
            before = down.values("resid_pre", layer) + down.values("attn_out", layer)
            down.through(block.sum_norm1, before)
        attention.append(down.direction)
    down.embeddings()
    return Directions(attention[::-1], mlp[::-1], down.direction, down.bias)


class _Down:
    """The way down: the direction where it has come to, and the constants passed."""

    def __init__(self, trace: Trace, readout: Readout, position: int, last: Tensor) -> None:
        self._trace, self._readout, self._position = trace, readout, position
        self.direction, self.bias = last, 0.0

    def values(self, site: str, layer: int | None = None) -> Tensor:
        return self._readout.tensor(self._trace.activation(Site(site, layer)))

    def through(self, norm: Norm, inputs: Tensor) -> None:
        bias = self._readout.norm_bias(norm)
        if bias is not None:
            self.bias += float(bias @ self.direction[self._position])
        self.direction = frozen_norm(norm, inputs).transpose(self.direction)

    def embeddings(self) -> None:
        """Through a norm on the sum of all embeddings, and past the token type."""
        anatomy, kind = self._readout.anatomy, None
        if anatomy.token_type is not None:
            kind = self._readout.tensor(anatomy.token_type)
        if anatomy.stream_norm is not None:
            added = self.values("embed")
            added = added if anatomy.positions is None else added + self.values("pos_embed")
            self.through(anatomy.stream_norm, added if kind is None else added + kind)
        if kind is not None:
            self.bias += float(kind @ self.direction[self._position])
