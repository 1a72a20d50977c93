"""From rows of direct effects to a circuit: nodes, edges, influence, scores."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray
from torch import Tensor

from microtome.circuits.attribution.forward import Constants
from microtome.circuits.attribution.replaced import Replaced
from microtome.circuits.attribution.rows import Part, Rows
from microtome.circuits.attribution.targets import Logits
from microtome.records.circuit import ERROR, FEATURE, OUTPUT, TOKEN, Circuit, EdgeKind


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """All that a graph is made of."""

    held: Replaced
    logits: Logits
    rows: Rows
    constants: Constants
    tokens: tuple[str, ...]
    words: tuple[str, ...]  # how the logits' tokens read


@dataclass(frozen=True, slots=True, eq=False)
class _Edges:
    """Edges from one part's sources to its targets, and what else its rows tell."""

    source: NDArray[Any]
    target: NDArray[Any]
    weight: NDArray[Any]
    through: NDArray[Any]
    bias: Float[Tensor, " row"]  # of sources that are no node
    clean: Float[Tensor, " row"]  # share of its inputs that is no error


def assembled(found: Found, check: Callable[[], None]) -> Circuit:
    """The circuit of the rows found so far; its metadata hold the scores, the rest is to come."""
    kept = _kept(found)
    node_of = (kept.cumsum(0) - 1).to(torch.int32)
    influence = found.rows.influence(found.logits.probability, kept)
    amount = _Amounts.of(found, kept, node_of, influence)
    edges = []
    for part in found.rows.parts:
        check()
        edges.append(amount.edges(part))
    nodes = _node_columns(found, kept, influence)
    given = node_of[found.rows.column[found.rows.features.given]].numpy()
    nodes["node_bias"][given] = nodes["node_score"][given]
    for part, some in zip(found.rows.parts, edges, strict=True):
        at = amount.targets(part)
        nodes["node_bias"][at] = (amount.constant(part) + some.bias).numpy()
    return Circuit(
        **nodes,
        edge_source=_joined(edges, "source", np.int32),
        edge_target=_joined(edges, "target", np.int32),
        edge_kind=np.full(sum(len(e.source) for e in edges), EdgeKind.FEATURE, np.int8),
        edge_weight=_joined(edges, "weight", np.float32),
        edge_influence=_joined(edges, "through", np.float32),
        metadata=_scores(found, kept, influence, amount, edges),
    )


def _joined(edges: list[_Edges], name: str, dtype: Any) -> NDArray[Any]:
    return np.concatenate([getattr(each, name) for each in edges]).astype(dtype, copy=False)


def _kept(found: Found) -> Bool[Tensor, " column"]:
    """All columns but those of features that were not walked from, and were not given."""
    kept = torch.ones(found.held.n_columns, dtype=torch.bool)
    rows = found.rows
    kept[rows.column[~(rows.walked | rows.features.given)]] = False
    return kept


@dataclass(frozen=True, slots=True, eq=False)
class _Amounts:
    """What edges are computed from."""

    found: Found
    kept: Bool[Tensor, " column"]
    error: Bool[Tensor, " column"]
    node_of: Int[Tensor, " column"]
    influence: Float[Tensor, " column"]
    count: int  # of nodes before the logits

    @classmethod
    def of(cls, found: Found, kept: Tensor, node_of: Tensor, influence: Tensor) -> _Amounts:
        """Those of a graph."""
        held, error = found.held, torch.zeros_like(kept)
        for layer in range(held.n_layers):
            error[held.first_error(layer) : held.first(layer + 1)] = True
        return cls(found, kept, error, node_of, influence, int(kept.sum()))

    def _is_top(self, part: Part) -> bool:
        return part.layer == self.found.held.n_layers

    def targets(self, part: Part) -> NDArray[Any]:
        """Nodes of a part's rows."""
        if self._is_top(part):
            return self.count + part.numbers.numpy()
        return self.node_of[self.found.rows.column[part.numbers]].numpy()

    def weight(self, part: Part) -> Float[Tensor, " row"]:
        """What flows through a part's targets, and begins there."""
        if self._is_top(part):
            return self.found.logits.probability.double().cpu()
        return self.influence[self.found.rows.column[part.numbers]]

    def constant(self, part: Part) -> Float[Tensor, " row"]:
        """What biases explain of a part's targets."""
        constants, features = self.found.constants, self.found.rows.features
        if self._is_top(part):
            return constants.logits.cpu()
        return constants.features[part.layer].cpu()[features.row[part.numbers]]

    def edges(self, part: Part) -> _Edges:
        """All edges into a part's targets."""
        columns = part.weights.shape[1]
        kept = self.kept[:columns]
        every = bool(kept.all())
        weights = part.weights.cpu()
        inner = weights if every else weights[:, kept]
        bias = weights.new_zeros(len(weights)) if every else weights[:, ~kept].sum(1)
        sizes = inner.abs()
        total = sizes.sum(1).clamp(min=1e-10)
        clean = 1 - sizes[:, self.error[:columns][kept]].sum(1) / total
        row, column = inner.nonzero(as_tuple=True)
        share = (self.weight(part) / total).float()
        return _Edges(
            column.to(torch.int32).numpy(),  # columns that are kept are numbered as nodes are
            self.targets(part)[row.numpy()].astype(np.int32),
            inner[row, column].numpy(),
            (sizes[row, column] * share[row]).numpy(),
            bias,
            clean,
        )


def _node_columns(found: Found, kept: Tensor, influence: Tensor) -> dict[str, Any]:
    rows = [row for row, here in zip(_rows(found), kept.tolist(), strict=True) if here]
    rows += list(_words(found))
    ids, kinds, layers, positions, features, labels, scores = zip(*rows, strict=True)
    probability = found.logits.probability.double().cpu()
    return {
        "node_id": ids,
        "node_kind": kinds,
        "node_layer": np.array(layers, np.int32),
        "node_position": np.array(positions, np.int32),
        "node_head": np.full(len(ids), -1, np.int32),
        "node_feature": np.array(features, np.int32),
        "node_label": labels,
        "node_score": np.array(scores, np.float32),
        "node_influence": torch.cat([influence[kept], probability]).float().numpy(),
        "node_bias": np.zeros(len(ids), np.float32),
    }


# Id, kind, layer, position, feature, label, score: ids as circuit-tracer writes them.
_Row = tuple[str, str, int, int, int, str, float]


def _rows(found: Found) -> Iterator[_Row]:
    held = found.held
    for at, token in enumerate(held.run.ids.tolist()):
        text = found.tokens[at].strip() or repr(found.tokens[at])
        yield f"E_{token}_{at}", TOKEN, -1, at, token, text, 0.0
    for layer, one in enumerate(held.features):
        columns = (one.position.tolist(), one.number.tolist(), one.activation.tolist())
        for at, number, activation in zip(*columns, strict=True):
            label = f"L{layer} F{number}"
            yield f"{layer}_{number}_{at}", FEATURE, layer, at, number, label, activation
        for at in range(held.silent, held.n_positions):
            yield f"{layer}_-1_{at}", ERROR, layer, at, -1, f"error L{layer}", 0.0


def _words(found: Found) -> Iterator[_Row]:
    logits, at, top = found.logits, found.held.frozen.position, found.held.n_layers + 1
    columns = (logits.ids.tolist(), logits.probability.tolist(), logits.value.tolist())
    for word, (token, p, value) in zip(found.words, zip(*columns, strict=True), strict=True):
        label = f'Output "{word}" (p={p:.3f})'
        yield f"{top}_{token}_{at}", OUTPUT, top, at, token, label, value


def _scores(
    found: Found, kept: Tensor, influence: Tensor, amount: _Amounts, edges: list[_Edges]
) -> dict[str, Any]:
    """How much of the computation passes through features; as circuit-tracer defines it.

    ``replacement_score``: of what reaches tokens and errors, the share of tokens.
    ``completeness_score``: of all inputs, by the influence of whose they are, the share that is no
    error. ``unexplored`` is the share of influence that ends at features left out. Each is None
    where nothing flows.
    """
    held = found.held
    tokens = float(influence[: held.n_positions].sum())
    errors = float(influence[amount.error].sum())
    weights = [amount.weight(part) for part in found.rows.parts]
    clean = sum(float(w @ e.clean.double()) for w, e in zip(weights, edges, strict=True))
    total = sum(float(w.sum()) for w in weights)
    whole = found.rows.influence(found.logits.probability)
    ends = float(whole[: held.n_positions].sum() + whole[amount.error].sum())
    left_out = float(whole[~kept].sum())
    return {
        "replacement_score": _share(tokens, tokens + errors),
        # Tokens and errors themselves have no inputs, and so none that is an error.
        "completeness_score": _share(clean + tokens + errors, total + tokens + errors),
        "unexplored": _share(left_out, left_out + ends),
    }


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole > 0 else None
