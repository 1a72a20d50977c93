"""The record of a sweep: one number for every place that was patched or ablated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float

from microtome.records.analysis import Analysis, Labelled

SWEEP = "sweep"  # the kind of its analysis


@dataclass(frozen=True, slots=True, eq=False)
class Sweep:
    """What a metric becomes when one place after another is changed.

    ``axes`` name the axes of ``raw`` and ``effects``: layer, head, position, neuron or range.
    ``raw`` holds the metric itself, the mean over the pairs; NaN where a cell is not computed
    yet or does not exist. ``effects`` are on one scale, 0 = as corrupt and 1 = as clean, for
    denoising and noising alike; where the ends hardly differ, and for ablations, they are the
    change of the metric, and ``normalised`` is False. ``band`` holds the ends of the bootstrap
    interval of ``effects`` over pairs, None for one pair.

    ``path`` says how it was computed: ``packed`` (from the anatomy, only what an edit can
    reach), ``blocks`` (the model's own blocks from the edited layer on) or ``hooks`` (whole
    forward passes). ``skipped`` counts runs, a cell in a pair, that were known to change nothing.
    """

    kind: str  # the site
    axes: tuple[str, ...]
    raw: Float[np.ndarray, "*cells"]
    effects: Float[np.ndarray, "*cells"]
    clean: float
    corrupt: float
    metric: str
    mode: str = "denoising"  # denoising, noising or ablation
    path: str = "packed"
    normalised: bool = True
    band: Float[np.ndarray, "2 *cells"] | None = None
    skipped: int = 0
    tokens: tuple[str, ...] = ()  # of the run whose positions are counted
    source_tokens: tuple[str, ...] = ()  # of the run that the values come from
    params: Mapping[str, Any] = field(default_factory=dict)  # settings and seeds, plain JSON
    notes: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def complete(self) -> bool:
        """Whether every cell that exists has its number."""
        return not self.params.get("partial", False)

    @property
    def id(self) -> str:
        """The id of its analysis; the same question always has the same one."""
        return str(self.params["id"])


_FIELDS = (
    "kind", "clean", "corrupt", "metric", "mode", "path", "normalised", "skipped", "seconds",
)  # fmt: skip


def sweep_analysis(sweep: Sweep, title: str = "") -> Analysis:
    """The sweep as labelled arrays, for panels, files and exports."""
    arrays = {
        "effects": Labelled(sweep.axes, sweep.effects, long_name="effect"),
        "raw": Labelled(sweep.axes, sweep.raw, long_name=sweep.metric),
    }
    if sweep.band is not None:
        arrays["band"] = Labelled(("end", *sweep.axes), sweep.band, long_name="95 % interval")
    for name, texts in (("tokens", sweep.tokens), ("source_tokens", sweep.source_tokens)):
        if texts:
            arrays[name] = Labelled(("position",), np.array(texts, dtype=np.str_))
    params = {name: getattr(sweep, name) for name in _FIELDS}
    params |= {"axes": list(sweep.axes), "notes": list(sweep.notes), "asked": dict(sweep.params)}
    return Analysis(sweep.id, SWEEP, title or f"Sweep over {sweep.kind}", arrays, params)


def sweep_of(analysis: Analysis) -> Sweep:
    """The sweep that an analysis holds, also one from a file."""
    held, arrays = analysis.params, analysis.arrays
    texts = {
        name: tuple(str(text) for text in analysis.array(name)) if name in arrays else ()
        for name in ("tokens", "source_tokens")
    }
    return Sweep(
        **{name: held[name] for name in _FIELDS},
        tokens=texts["tokens"],
        source_tokens=texts["source_tokens"],
        axes=tuple(held["axes"]),
        raw=analysis.array("raw"),
        effects=analysis.array("effects"),
        band=analysis.array("band") if "band" in arrays else None,
        params=held["asked"],
        notes=tuple(held["notes"]),
    )
