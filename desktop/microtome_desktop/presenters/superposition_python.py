"""The lines of Python that repeat what the superposition lab shows."""

from __future__ import annotations

from microtome.records.analysis import Analysis
from microtome.records.session import Session
from microtome.records.superposition import PhaseDiagram, ToyModels
from microtome_desktop.presenters.as_python import UNASKED, Lines, loading


def toy_lines(toys: ToyModels) -> Lines:
    """``values`` [model, dimension, feature]: the weights."""
    plan = toys.plan
    return (
        "import microtome as mt",
        "",
        f"plan = mt.ToyPlan({plan.features}, {plan.dimensions}, {plan.sparsity!r},",
        f"    importance={plan.importance!r}, steps={plan.steps}, batch={plan.batch},",
        f"    rate={plan.rate!r}, seed={plan.seed}, starts={plan.starts})",
        "values = mt.train_toy(plan).weights",
    )


def phase_lines(phases: PhaseDiagram, repeats: int) -> Lines:
    """``values`` [importance, density]: the lengths of the last feature's direction."""
    return (
        "import microtome as mt",
        "",
        f"found = mt.phase_diagram(features={phases.features}, dimensions={phases.dimensions},",
        f"    squares={len(phases.density)}, repeats={repeats}, steps={phases.steps},",
        f"    seed={phases.seed})",
        "values = found.norm",
    )


def sharing_lines(session: Session, analysis: Analysis) -> Lines | str:
    """``values`` [direction]: the share of a dimension."""
    layer = analysis.params.get("layer")
    if layer is None:
        return UNASKED  # of a dictionary that only this window had open
    return (
        "import microtome as mt",
        "",
        loading(session)[0],
        f"values = mt.superposition(mt.Neurons(model, {layer})).dimensionality",
    )
