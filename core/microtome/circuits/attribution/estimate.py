"""What an attribution graph takes of memory, said before it is made."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from microtome.circuits.attribution.explore import row_bytes, target_vectors
from microtome.circuits.attribution.graph import (
    DEFAULT_BUDGET,
    MAX_FEATURE_NODES,
    expect_settings,
    replaced_model,
)
from microtome.circuits.attribution.rising import carried_bytes, meeting_layer
from microtome.circuits.attribution.targets import Features, chunk_costs, walk_bytes
from microtome.errors import megabytes
from microtome.features.transcoders import Transcoders
from microtome.jobs import Job, job_or_default
from microtome.models.model import Model
from microtome.prompts import Prompt

# Bytes of an edge: the columns of a circuit, twice while they are put together.
_EDGE = 2 * 17


@dataclass(frozen=True, slots=True)
class AttributionMemory:
    """Bytes beside the model and its transcoders, and what they are for.

    ``copies`` are those of weights that are not float32, ``rows`` direct effects, ``walk`` the
    most that a walk takes at a time, ``carried`` the sources of low layers that wait for it (128 MB
    at most, beside the budget), ``edges`` the circuit. ``fits`` tells whether rows and a walk
    fit the budget.
    """

    active_features: int
    nodes: int
    copies: int
    rows: int
    walk: int
    carried: int
    edges: int
    fits: bool

    @property
    def total(self) -> int:
        """All of it."""
        return self.copies + self.rows + self.walk + self.carried + self.edges

    def __str__(self) -> str:
        return (
            f"{self.active_features:,} active features, {self.nodes:,} nodes: "
            f"{megabytes(self.total)} (direct effects {megabytes(self.rows)}, "
            f"walk {megabytes(self.walk)}, carried {megabytes(self.carried)}, "
            f"edges {megabytes(self.edges)})"
        )


def estimate_attribution(
    model: Model,
    transcoders: Transcoders,
    prompt: Prompt,
    *,
    max_feature_nodes: int = MAX_FEATURE_NODES,
    max_logits: int = 10,
    budget: int | None = None,
    job: Job | None = None,
) -> AttributionMemory:
    """What ``attribution_graph`` takes: the prompt is run and encoded, nothing is traced back.

    Raises what ``attribution_graph`` raises for a model, transcoders, a prompt and settings.
    """
    budget = DEFAULT_BUDGET if budget is None else budget
    expect_settings(max_feature_nodes, 1.0, max_logits, budget)
    with torch.no_grad():
        _, held = replaced_model(model, transcoders, prompt, job_or_default(job))
    features = min(max_feature_nodes, held.n_features)
    kept = row_bytes(held, features, max_logits)
    inner = held.n_columns - held.n_features + features
    asked = Features.of(held)
    count = min(features, int((~asked.given).sum()))
    vectors = target_vectors(held, asked, count, max_logits)
    last = torch.tensor([held.n_positions - 1])
    least = int(chunk_costs(held, last)[0])
    walk = max(least * max_logits, min(walk_bytes(held, features), budget - kept))
    # A row has its layer's columns, and about half of these stand at positions before it.
    edges = kept // 4 * inner // max(1, held.n_columns) * 5 // 8
    return AttributionMemory(
        held.n_features,
        inner + max_logits,
        _copies(model, transcoders),
        kept,
        walk,
        carried_bytes(held, meeting_layer(held, vectors)),
        _EDGE * edges,
        fits=kept + least * max_logits <= budget,
    )


def _copies(model: Model, transcoders: Transcoders) -> int:
    """Bytes of weights that are computed with in float32 and are not so already."""
    copied = 0 if model.dtype == torch.float32 else 4 * model.identity.n_parameters
    tensors = [t for one in transcoders.layers for t in one.weights.tensors().values()]
    return copied + sum(4 * t.numel() for t in tensors if t.dtype != torch.float32)
