"""What a model can do without: the effect of each part, and the curve as parts go one by one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from microtome.records.analysis import Analysis, Labelled
from microtome.records.removal import part_of, removal_specs

REDUNDANCY = "redundancy"  # the kind of its analysis
CRITERIA = ("pass rate", "metric")  # what must be kept


@dataclass(frozen=True, slots=True, eq=False)
class Redundancy:
    """Parts, what each is worth alone, and what is left when they go in the order of least loss.

    ``effect`` is the change of the metric when one part alone is taken out, the mean over the
    cases; negative where the model needs it. ``parameters`` and ``flops`` (of one token) are what
    its removal saves, estimated from the shapes of its weights. ``order`` names the parts that
    went; ``rate`` and ``metric`` stand at their number, 0 first. ``similarity`` is the linear CKA
    between the residual stream at the ``points``.
    """

    parts: tuple[str, ...]
    effect: Float[np.ndarray, " part"]
    parameters: Int[np.ndarray, " part"]
    flops: Float[np.ndarray, " part"]
    order: tuple[str, ...]
    rate: Float[np.ndarray, " step"]
    metric: Float[np.ndarray, " step"]
    points: tuple[str, ...]
    similarity: Float[np.ndarray, "point point"]
    params: dict[str, Any] = field(default_factory=dict)

    @property
    def kept(self) -> Float[np.ndarray, " step"]:
        """What is kept of the criterion, 1 with nothing removed."""
        values = self.rate if self.params["criterion"] == "pass rate" else self.metric
        return np.asarray(values / values[0])

    @property
    def threshold(self) -> float:
        """The share of the criterion that must be kept."""
        return float(self.params["threshold"])

    @property
    def recommended(self) -> tuple[str, ...]:
        """The longest beginning of the order that keeps the criterion above the threshold."""
        enough = np.flatnonzero(self.kept >= self.threshold)
        return self.order[: int(enough[-1]) if len(enough) else 0]

    @property
    def complete(self) -> bool:
        """Whether the curve goes as far as was asked."""
        return bool(self.params.get("complete", True))

    def saved(self, steps: int) -> tuple[int, float]:
        """Parameters, and operations of a token, that the first so many removals save."""
        rows = [self.parts.index(name) for name in self.order[:steps]]
        return int(self.parameters[rows].sum()), float(self.flops[rows].sum())

    def rows(self) -> list[dict[str, Any]]:
        """The parts in the order in which they went, those that stayed last, as plain values."""
        rest = [name for name in self.parts if name not in self.order]
        chosen, kept = set(self.recommended), self.kept
        table = []
        for at, name in enumerate((*self.order, *rest)):
            part, went = self.parts.index(name), at < len(self.order)
            table.append({
                "part": name,
                "kind": part_of(name).kind,
                "step": at + 1 if went else None,
                "effect": float(self.effect[part]),
                "pass_rate": float(self.rate[at + 1]) if went else None,
                "metric": float(self.metric[at + 1]) if went else None,
                "kept": float(kept[at + 1]) if went else None,
                "parameters": int(self.parameters[part]),
                "flops": float(self.flops[part]),
                "recommended": name in chosen,
            })  # fmt: skip
        return table

    def sites(self) -> tuple[str, ...]:
        """The sites that removing the recommended parts ablates."""
        return tuple(spec.site for spec in removal_specs(self.recommended))


_BY_PART = {
    "effect": "change of the metric when it alone is taken out",
    "parameters": "parameters that its removal saves",
    "flops": "operations of a token that its removal saves",
}
_BY_STEP = {"rate": "pass rate", "metric": "metric"}
_TEXTS = {"parts": "part", "order": "removed", "points": "point"}


def redundancy_analysis(found: Redundancy) -> Analysis:
    """The result as labelled arrays, for panels, files and exports."""
    arrays = {
        name: Labelled(("part",), getattr(found, name), long_name=text)
        for name, text in _BY_PART.items()
    }
    arrays |= {
        name: Labelled(("step",), getattr(found, name), long_name=text)
        for name, text in _BY_STEP.items()
    }
    arrays["similarity"] = Labelled(("point", "point2"), found.similarity, long_name="linear CKA")
    for name, axis in _TEXTS.items():
        held = np.array(getattr(found, name), dtype=np.str_)
        arrays[name] = Labelled((axis,), held if len(held) else np.zeros(0, dtype="<U1"))
    params = dict(found.params)
    return Analysis(str(params["id"]), REDUNDANCY, "What the model can do without", arrays, params)


def redundancy_of(analysis: Analysis) -> Redundancy:
    """The result that an analysis holds, also one from a file."""
    texts: dict[str, Any] = {
        name: tuple(str(text) for text in analysis.array(name)) for name in _TEXTS
    }
    names = (*_BY_PART, *_BY_STEP, "similarity")
    numbers: dict[str, Any] = {name: analysis.array(name) for name in names}
    return Redundancy(**texts, **numbers, params=dict(analysis.params))
