"""What the discovery panel says of methods, of a search before it is made, and of its results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isnan
from pathlib import Path

from microtome.circuits.discovery.methods import METHODS
from microtome.errors import megabytes
from microtome.records.analysis import Analysis
from microtome.records.faithfulness import Faithfulness
from microtome.records.positions import BY_POSITION
from microtome.records.session import Session
from microtome_desktop.presenters.circuit_text import percent
from microtome_desktop.presenters.coverage import why_not
from microtome_desktop.presenters.sweep_choice import seconds_text
from microtome_desktop.state.discoveries import Outlook, is_partial, search_of
from microtome_desktop.state.sweeps import METRICS
from microtome_desktop.state.units import unit_layers

# Method -> what it does, and what it costs for each example.
_TOLD: Mapping[str, tuple[str, str]] = {
    "two-point": ("Exact along every edge between both runs", "2 forward passes, 1 backward"),
    "eap": ("The gradient at the clean run", "1–2 forward passes, 1 backward"),
    "eap-ig": ("The mean gradient while the input moves to the other run", "a pass a step more"),
    "eap-ig-activations": (
        "The mean gradient while one group of writers at a time moves",
        "steps × (2 layers + 1) passes",
    ),
    "clean-corrupt": ("The mean of the gradients at both ends", "2 forward passes, 2 backward"),
    "routes": ("What flows, whatever for: no metric is read", "1 forward pass"),
    "exact": ("Each edge replaced by itself, and the metric measured", "a part of a pass an edge"),
    "acdc": (
        "Edges taken away one by one while that costs less than τ",
        "a part of a pass an edge",
    ),
}
SHORT: Mapping[str, str] = {
    "two-point": "Two-point", "eap": "EAP", "eap-ig": "EAP-IG",
    "eap-ig-activations": "EAP-IG, activations", "clean-corrupt": "Clean-corrupt",
    "routes": "Flow routes", "exact": "Exact patching", "acdc": "ACDC",
}  # fmt: skip
FIXES = {
    ("method", "eap-ig"): "Use EAP-IG",
    ("metric", "logit"): "Use the logit difference",
    ("ablation", "zero"): "Use zero ablation",
    ("by_position", ""): "Sum over positions",
}


def method_tip(name: str) -> str:
    """What a method does, what its scores are, what it costs, and what it needs."""
    does, costs = _TOLD[name]
    row = METHODS[name]
    needs = "\nNeeds pairs and resampling." if row.pairs else ""
    return f"{does}.\nScale: {row.scale}.\nCosts for each pair: {costs}.{needs}"


def no_edges(session: Session) -> str:
    """Why edges of the session's model have no scores, empty when they can have."""
    reason = why_not(session, "direct")
    if not reason:
        return ""
    units = session.circuit is not None and unit_layers(session.circuit)
    where = " The tab Circuit shows the channels of an image." if units else ""
    return f"Edges are scored among heads and MLPs. {reason}{where}"


def outlook_text(outlook: Outlook) -> str:
    """For example ``217 edges · 32 pairs · about 2.1 s · 40 MB``."""
    if outlook.problem:
        return outlook.problem
    said = [f"{outlook.edges:,} edges", f"{outlook.pairs:,} {_pairs(outlook.pairs)}"]
    said += [outlook.note] if outlook.note else []
    if outlook.seconds:
        likely, most = seconds_text(outlook.seconds), seconds_text(outlook.most)
        longest = f", {most} at most" if most != likely else ""
        said.append(f"about {likely} with the curve{longest}")
    said += [megabytes(outlook.bytes)] if outlook.bytes else []
    return " · ".join(said)


def _pairs(count: int) -> str:
    return "example" if count == 1 else "examples"


@dataclass(frozen=True, slots=True)
class Rival:
    """One result in the list: how it is called, with what it was found, and its numbers."""

    id: str
    title: str
    about: str
    cpr: str
    cmd: str
    smallest: str
    tip: str
    partial: bool = False


def rival_of(analysis: Analysis, curve: Faithfulness | None, *, running: bool = False) -> Rival:
    """What the list says of a discovered circuit."""
    told = analysis.params
    method = str(told["method"])
    extra = f" · {told['steps']} steps" if "steps" in told else ""
    extra += f" · τ {told['tau']:g}" if "tau" in told else ""
    part = is_partial(analysis) or bool(curve is not None and curve.params.get("partial"))
    return Rival(
        id=analysis.id,
        title=SHORT.get(method, method) + extra,
        about=_about(analysis) + (("" if running else " · not finished") if part else ""),
        cpr=_number(None if curve is None else curve.cpr),
        cmd=_number(None if curve is None else curve.cmd),
        smallest=_smallest(curve),
        tip=_tip(analysis, curve),
        partial=part,
    )


def _about(analysis: Analysis) -> str:
    told, search = analysis.params, search_of(analysis)
    data = "this pair" if told["corrupt"][0] is not None else "this prompt"
    count = len(told["prompts"])
    if search is not None and search.data:
        data = f"{Path(search.data).stem.rpartition('.')[2]} {count}"
    elif count > 1:
        data = f"{count} examples"
    metric = "" if search is None or search.metric == "logit" else METRICS[search.metric]
    ablation = "" if told["ablation"] == "resample" else str(told["ablation"])
    positions = "by position" if told.get(BY_POSITION) else ""
    return " · ".join(part for part in (data, positions, metric, ablation) if part)


def _tip(analysis: Analysis, curve: Faithfulness | None) -> str:
    told = analysis.params
    lines = [
        f"{told['title']}: {told['scale']}",
        f"sign: {told['sign']}",
        f"metric {told['metric']}, ablation {told['ablation']}, {len(told['prompts'])} examples",
    ]
    if told.get(BY_POSITION):
        lines.append("an edge scores at each position by itself; the curve is that of the sums")
    if "examples done" in told:
        lines.append(f"stopped after {told['examples done']} of {told['examples']} examples")
    if "edges done" in told:
        lines.append(f"stopped after {told['edges done']:,} of {told['edges']:,} edges")
    if curve is not None:
        lines.append(
            f"CPR {curve.cpr:.4f} (area under the curve by score, more is better), CMD "
            f"{curve.cmd:.4f} (distance from 1 by size of score, 0 is best)"
        )
    return "\n".join(lines)


def _number(value: float | None) -> str:
    if value is None or isnan(value):  # while it comes
        return "–"
    return f"{value:.2f}".replace("-", "\N{MINUS SIGN}")


def _smallest(curve: Faithfulness | None) -> str:
    if curve is None or curve.params.get("partial"):
        return "–"
    return "none" if curve.smallest is None else percent(curve.smallest)
