"""The record of how complete, how minimal and how stable a circuit is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from microtome.records.analysis import Analysis, Labelled

JUDGEMENT, STABILITY = "judgement", "stability"  # the kinds of their analyses


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """Completeness and minimality of one circuit, in shares of the behaviour.

    ``nodes`` are its heads and MLPs. ``removed`` says which of them each draw K takes out; the
    first draw takes none. ``circuit`` is the faithfulness of the circuit without K, ``model`` that
    of the whole model without K. ``effects`` is what each node is worth on top of a draw: by how
    much faithfulness falls when it goes too, NaN for a node that the draw has taken out already.
    """

    nodes: tuple[str, ...]
    removed: Bool[np.ndarray, "draw node"]
    circuit: Float[np.ndarray, " draw"]
    model: Float[np.ndarray, " draw"]
    effects: Float[np.ndarray, "draw node"]
    params: Mapping[str, Any] = field(default_factory=dict)

    @property
    def gaps(self) -> Float[np.ndarray, " draw"]:
        """|f(C without K) - f(M without K)| of each draw: 0 where the circuit is complete."""
        return np.asarray(np.abs(self.circuit - self.model))

    @property
    def incompleteness(self) -> float:
        """The mean of the gaps."""
        return float(self.gaps.mean())

    @property
    def minimality(self) -> Float[np.ndarray, " node"]:
        """The most that each node is worth, whatever was taken out before: 0 is of no use."""
        return np.asarray(np.nanmax(np.abs(self.effects), axis=0, initial=0.0))


@dataclass(frozen=True, slots=True, eq=False)
class Stability:
    """How alike circuits are that one method finds on the two halves of the data, split by split.

    ``correlation`` is Spearman's of the scores of all edges, ``overlap`` the share of the edges of
    either circuit that both have at the size that was asked for.
    """

    correlation: Float[np.ndarray, " split"]
    overlap: Float[np.ndarray, " split"]
    params: Mapping[str, Any] = field(default_factory=dict)


def judgement_analysis(found: Judgement) -> Analysis:
    """The judgement as labelled arrays, for panels, files and exports."""
    said = "faithfulness without the removed nodes"
    arrays = {
        "nodes": Labelled(("node",), np.array(found.nodes, dtype=np.str_)),
        "removed": Labelled(("draw", "node"), found.removed.astype(np.int8)),
        "circuit": Labelled(("draw",), found.circuit, long_name=f"{said}, of the circuit"),
        "model": Labelled(("draw",), found.model, long_name=f"{said}, of the whole model"),
        "effects": Labelled(("draw", "node"), found.effects, long_name="fall of faithfulness"),
    }
    params = {"asked": dict(found.params)}
    return Analysis(
        str(found.params["id"]), JUDGEMENT, "Completeness and minimality", arrays, params
    )


def judgement_of(analysis: Analysis) -> Judgement:
    """The judgement that an analysis holds, also one from a file."""
    names = ("circuit", "model", "effects")
    return Judgement(
        nodes=tuple(str(name) for name in analysis.array("nodes")),
        removed=np.asarray(analysis.array("removed"), dtype=np.bool_),
        **{name: analysis.array(name) for name in names},
        params=analysis.params["asked"],
    )


def stability_analysis(found: Stability) -> Analysis:
    """Stability as labelled arrays, for panels, files and exports."""
    arrays = {
        "correlation": Labelled(("split",), found.correlation, long_name="Spearman's correlation"),
        "overlap": Labelled(("split",), found.overlap, long_name="share of edges of both"),
    }
    params = {"asked": dict(found.params)}
    return Analysis(str(found.params["id"]), STABILITY, "Stability over data", arrays, params)


def stability_of(analysis: Analysis) -> Stability:
    """Stability that an analysis holds, also one from a file."""
    correlation, both = (analysis.array(name) for name in ("correlation", "overlap"))
    return Stability(correlation, both, analysis.params["asked"])
