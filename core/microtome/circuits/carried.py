"""What components wrote, as it reaches a place higher up.

A norm on the residual stream itself (BERT) rescales all that was written before it, so that a
component's output is another vector after each. Without such norms it stays what it was.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from microtome.analysis.norms import NormMap
from microtome.circuits.coefficients import Coefficients
from microtome.circuits.sources import Layout


@dataclass(slots=True, eq=False)
class Carried:
    """The outputs of components through the norms on the stream, of one run where there are such.

    Asked for from the top down, as a sweep does, only about the root of all steps is kept.
    """

    coefficients: Coefficients
    outputs: Float[Tensor, "component *run position d_model"]
    _held: dict[int, Tensor] = field(init=False, default_factory=dict)

    def before(self, layer: int) -> Float[Tensor, "source *run position d_model"]:
        """The components before a layer, as its attention reads them; all for the last + 1."""
        return self._at(2 * layer + 1)

    def middle(self, layer: int) -> Float[Tensor, "source *run position d_model"]:
        """The components that feed a layer's MLP, as it reads them."""
        if self.coefficients.anatomy.blocks[layer].parallel:
            return self.before(layer)
        return self._at(2 * layer + 2)

    def end(self) -> Float[Tensor, "component *run position d_model"]:
        """All components, as the final norm reads them."""
        return self.before(len(self.coefficients.mlp))

    def _at(self, step: int) -> Tensor:
        """The outputs after so many norms: of the embeddings, then two for each layer."""
        norms = self._norms()
        if all(norm.inverse is None for norm in norms):
            return self.outputs[: self._rows(step)]
        stride = math.isqrt(len(norms)) + 1
        at = max((held for held in self._held if held <= step), default=0)
        value = self._held.get(at, self.outputs[:0])
        while at < step:
            written = self.outputs[len(value) : self._rows(at + 1)]
            value, at = norms[at].apply_in_place(torch.cat([value, written])), at + 1
            self._held[at] = value
        self._held = {
            held: kept
            for held, kept in self._held.items()
            if held % stride == 0 or step - stride < held <= step
        }
        return value

    def _norms(self) -> list[NormMap]:
        frozen = self.coefficients
        pairs = zip(frozen.attention, frozen.mlp, strict=True)
        return [frozen.stream_norm, *(norm for a, m in pairs for norm in (a.sum_norm, m.sum_norm))]

    def _rows(self, step: int) -> int:
        """How many components have written before the last of so many norms."""
        layout = Layout.of(self.coefficients.anatomy)
        layer, half = divmod(step - 1, 2)
        joined = layout.n_components - len(self.outputs)  # embeddings that were given as one
        return layout.first(layer) - joined + (layout.n_heads if half else 0)
