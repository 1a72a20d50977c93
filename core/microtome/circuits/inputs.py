"""The in-edges of attention heads: through values, keys and queries."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from microtome.circuits.backward import Gradient, LayerGradient, head_back, rotated_back
from microtome.circuits.coefficients import AttentionCoefficients


@dataclass(frozen=True, slots=True, eq=False)
class HeadTargets:
    """Some heads of one layer at some queries, ordered by head."""

    heads: Int[Tensor, " target"]
    queries: Int[Tensor, " target"]

    def by_head(self) -> list[tuple[int, Tensor]]:
        """Each head with its queries, in order."""
        heads, counts = torch.unique_consecutive(self.heads, return_counts=True)
        parts = self.queries.split(counts.tolist())
        return list(zip(heads.tolist(), parts, strict=True))


@dataclass(frozen=True, slots=True, eq=False)
class HeadInputs:
    """Everything that the in-edges of one layer's heads are made of.

    ``value``, ``key`` and ``query`` give weights [target, source]. Sources of value and key
    edges are components × positions, those of query edges components at the query.
    """

    attention: AttentionCoefficients
    worth: LayerGradient
    outputs: Float[Tensor, "component position d_model"]  # before the layer, as it reads them
    along_middle: Float[Tensor, "component position"] | None  # see ``_through_norm``

    @classmethod
    def of(cls, gradient: Gradient, layer: int, outputs: Tensor) -> HeadInputs:
        """The in-edges of a layer; ``outputs`` are those of the components before it."""
        attention = gradient.coefficients.attention[layer]
        middle = attention.norm.middle
        along = None if middle is None else torch.einsum("npd,pd->np", outputs, middle)
        return cls(attention, gradient.layers[layer], outputs, along)

    @property
    def n_sources(self) -> int:
        """Number of components that feed the layer."""
        return int(self.outputs.shape[0])

    @property
    def selects(self) -> bool:
        """Whether keys and queries count, as they do outside values-only mode."""
        return self.worth.score is not None

    def value(self, targets: HeadTargets) -> Float[Tensor, "target source"]:
        """Through what is read at each key, with the pattern as it was."""
        group = self.attention.weights.group
        vectors = [
            self.worth.gamma[head, queries] @ self.attention.weights.w_v[head // group]
            for head, queries in targets.by_head()
        ]
        return self._through_norm(
            torch.cat(vectors), self.attention.pattern[targets.heads, targets.queries]
        )

    def key(self, targets: HeadTargets) -> Float[Tensor, "target source"]:
        """Through what each key offers to the query."""
        assert self.worth.score is not None  # noqa: S101
        worth = self.attention.score_scale * self.worth.score[targets.heads, targets.queries]
        if self.attention.keys_differ_by_position:
            return self._position_by_position(self._key_vectors(targets), worth)
        group = self.attention.weights.group
        vectors = [
            self.attention.q[head, queries] @ self.attention.weights.w_k[head // group]
            for head, queries in targets.by_head()
        ]
        return self._through_norm(torch.cat(vectors), worth)

    def query(self, targets: HeadTargets) -> Float[Tensor, "target source"]:
        """Through what the query asks for."""
        assert self.worth.query is not None  # noqa: S101
        vectors = torch.cat(
            [
                head_back(
                    self.attention.q_norm,
                    self.attention.weights.w_q,
                    head,
                    self.worth.query[head, queries],
                    queries,
                )
                for head, queries in targets.by_head()
            ]
        )
        vectors = self.attention.norm.at(targets.queries).transpose(vectors)
        weights = vectors.new_empty(len(vectors), self.n_sources)
        for query in targets.queries.unique().tolist():
            rows = targets.queries == query
            weights[rows] = vectors[rows] @ self.outputs[:, query].T
        return weights

    def _through_norm(self, vectors: Tensor, factor: Tensor) -> Tensor:
        """``factor[target, position] * (N(output) · vector)`` as one matrix product.

        Apart from a factor for each position, the norm acts on the target's vector alone; its
        change between two runs is a product of two numbers for each source.
        """
        norm = self.attention.norm
        weighted = norm.weighted(vectors)
        flat = self.outputs.flatten(0, 1)
        product = (norm.centre(weighted) @ flat.T).unflatten(-1, (self.n_sources, -1))
        scaled = factor if norm.inverse is None else factor * norm.inverse[:, 0]
        weights: Tensor = product * scaled[:, None, :]
        if norm.middle is not None and norm.kappa is not None and self.along_middle is not None:
            change = factor * norm.kappa[:, 0] * (weighted @ norm.middle.T)
            weights += change[:, None, :] * self.along_middle
        return weights.flatten(1)

    def _key_vectors(self, targets: HeadTargets) -> Float[Tensor, "target position d_model"]:
        """What each query asks of the residual stream at each position."""
        attention = self.attention
        found = []
        for head, queries in targets.by_head():
            asked = attention.q[head, queries][:, None, :]
            asked = asked.expand(-1, self.outputs.shape[1], -1)  # [target, position, d_head]
            asked = rotated_back(attention, asked)
            group = head // attention.weights.group
            asked = head_back(attention.k_norm, attention.weights.w_k, group, asked)
            found.append(attention.norm.transpose(asked))
        return torch.cat(found)

    def _position_by_position(self, vectors: Tensor, factor: Tensor) -> Tensor:
        outputs = self.outputs.transpose(0, 1)  # [position, component, d_model]
        by_position = outputs @ vectors.permute(1, 2, 0)  # [position, component, target]
        return (by_position.permute(2, 1, 0) * factor[:, None, :]).flatten(1)
