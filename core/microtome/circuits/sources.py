"""The nodes of the component graph: what each component writes at each position."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from microtome.circuits.backward import Gradient
from microtome.circuits.coefficients import Coefficients
from microtome.models.anatomy import Anatomy
from microtome.models.arithmetic import Run
from microtome.records.circuit import HEAD, MLP, POSITION, TOKEN


@dataclass(frozen=True, slots=True)
class Layout:
    """Rows of the components in the order in which they write to the residual stream.

    Embeddings come first; then, layer by layer, the heads and the MLP.
    """

    n_embeddings: int
    n_layers: int
    n_heads: int

    @classmethod
    def of(cls, anatomy: Anatomy) -> Layout:
        """The layout of a model."""
        n_heads = int(anatomy.blocks[0].attention.w_q.shape[0])
        return cls(1 if anatomy.positions is None else 2, len(anatomy.blocks), n_heads)

    @property
    def n_components(self) -> int:
        """Number of rows."""
        return self.first(self.n_layers)

    def first(self, layer: int) -> int:
        """The row of a layer's first head: all rows before it feed the layer."""
        return self.n_embeddings + layer * (self.n_heads + 1)

    def heads(self, layer: int) -> slice:
        """The rows of a layer's heads."""
        return slice(self.first(layer), self.first(layer) + self.n_heads)

    def mlp(self, layer: int) -> int:
        """The row of a layer's MLP."""
        return self.first(layer) + self.n_heads

    def component(self, row: int) -> tuple[str, int, int]:
        """Kind, layer and head of a row, -1 where there is none."""
        if row < self.n_embeddings:
            return (TOKEN, POSITION)[row], -1, -1
        layer, part = divmod(row - self.n_embeddings, self.n_heads + 1)
        return (HEAD, layer, part) if part < self.n_heads else (MLP, layer, -1)


def node_outputs(
    coefficients: Coefficients, clean: Run, corrupt: Run | None
) -> Float[Tensor, "component position d_model"]:
    """What each component adds to the residual stream; for a pair, clean minus corrupt.

    Heads leave out the shared output bias, MLPs hold their own. A norm on a branch is applied
    as its linear map, for a pair to the difference.
    """
    layout = Layout.of(clean.anatomy)
    outputs = clean.embedding.new_empty(layout.n_components, *clean.embedding.shape)
    outputs[0] = _less(clean.embedding, corrupt.embedding if corrupt else None)
    if clean.position_embedding is not None:
        outputs[1] = 0 if corrupt else clean.position_embedding
    for layer, block in enumerate(clean.blocks):
        other = corrupt.blocks[layer] if corrupt else None
        attention, mlp = coefficients.attention[layer], coefficients.mlp[layer]
        z = _less(block.attention.z, other.attention.z if other else None)
        outputs[layout.heads(layer)] = attention.out_norm.apply(z @ attention.weights.w_o.mT)
        written = _less(block.mlp.out, other.mlp.out if other else None)
        outputs[layout.mlp(layer)] = mlp.out_norm.apply(written)
        if other is None and (norm := clean.anatomy.blocks[layer].mlp_norm) is not None:
            outputs[layout.mlp(layer)] += 0 if norm.bias is None else norm.bias
    return outputs


def _less(clean: Tensor, corrupt: Tensor | None) -> Tensor:
    return clean if corrupt is None else clean - corrupt


def node_scores(
    outputs: Float[Tensor, "component position d_model"], gradient: Gradient
) -> Float[Tensor, "component position"]:
    """What each node adds to the metric."""
    layout = Layout.of(gradient.coefficients.anatomy)
    scores = outputs.new_empty(outputs.shape[:2])
    embeddings = slice(0, layout.n_embeddings)
    scores[embeddings] = _dot(outputs[embeddings], gradient.embedding)
    for layer, worth in enumerate(gradient.layers):
        heads, mlp = layout.heads(layer), layout.mlp(layer)
        scores[heads] = _dot(outputs[heads], worth.heads)
        scores[mlp] = _dot(outputs[mlp], worth.mlp)
    return scores


def _dot(outputs: Tensor, worth: Tensor) -> Tensor:
    return torch.einsum("...pd,pd->...p", outputs, worth)
