"""What the training panel says and draws of a training, before it, during it and after it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
from jaxtyping import Float

from microtome.errors import megabytes
from microtome.features.training.offers import ACROSS, LAYERS, OFFERED, ONE, TRANSCODER
from microtome.features.training.plan import Plan
from microtome.features.training.presets import PRESETS
from microtome.images.sets import image_set_names
from microtome.records.analysis import Analysis
from microtome.records.coverage import Coverage
from microtome.records.model import ModelIdentity
from microtome.records.seen import LayerOutline, SightOutline
from microtome.records.training import TrainingCurve, curve_of
from microtome.sites import SITES
from microtome_desktop.presenters.sizes import count_text, seconds_text
from microtome_desktop.state.exports import Table
from microtome_desktop.state.trainings import Stopped, TrainingOutlook, wish_of

NO_TRAINING = "Nothing was trained yet: choose a text and a site, and press Train."
NO_TRAINING_ON_IMAGES = "Nothing was trained yet: choose images and a layer, and press Train."
OF_UNITS = "layers of few units"
FORMS: Mapping[str, str] = MappingProxyType({
    "autoencoder of a site": ONE, "transcoder of a layer": TRANSCODER,
    "transcoders of all layers": LAYERS, "cross-layer transcoders": ACROSS,
})  # fmt: skip
_COUNTED = frozenset({"topk", "batchtopk", "matryoshka"})  # rules that k counts for


@dataclass(frozen=True, slots=True)
class Figure:
    """A plot: its title, what it tells, and figures of a curve with names of colours."""

    title: str
    tip: str
    lines: tuple[tuple[str, str, str], ...]  # figure, colour, what it is called beside others
    share: bool = False  # from 0 to 1
    logarithmic: bool = False


FIGURES = (
    Figure("loss", "Mean loss of the rows, where the data have mean square 1",
           (("loss", "ACCENT", ""),), logarithmic=True),
    Figure("L0", "Mean number of features that are on at a token", (("l0", "MLP", ""),)),
    Figure("explained", "Share of the variance that the dictionary gives back",
           (("explained_variance", "GOOD", ""),), share=True),
    Figure("dead and dense", "Shares of features that have not been on for long, and that are on "
           "in more than a tenth of the rows",
           (("dead", "BAD", "dead"), ("dense", "WARM", "dense")), share=True),
    Figure("recovered", "Cross-entropy recovered: how much of the model's comes back with "
           "the dictionary in place of the activations; 0 is with zeros in their place",
           (("recovered", "TOKEN", ""),), share=True),
    Figure("learning rate", "The learning rate of each step", (("rate", "TEXT_DIM", ""),)),
)  # fmt: skip


def points(curve: TrainingCurve, figure: str) -> tuple[Float[np.ndarray, " n"], ...]:
    """Steps and values of a figure, where it was measured."""
    values = np.asarray(getattr(curve, figure), np.float64)
    held = np.isfinite(values)
    return curve.step[held].astype(np.float64), values[held]


def presets_of(model: ModelIdentity | None) -> tuple[tuple[str, Plan], ...]:
    """Plans to begin with, the one that fits best first."""
    if model is None:
        return ()
    return tuple((row.title, row.plan(model)) for row in PRESETS if row.fits(model))


def sites_of(coverage: Coverage | None) -> tuple[tuple[str, str], ...]:
    """Sites of a layer that have a row of numbers for each token: name and title."""
    there = None if coverage is None else {row.name for row in coverage.sites if row.there}
    return tuple(
        (row.name, row.title)
        for row in SITES.values()
        if row.per_layer and row.axes in {("position", "d_model"), ("position", "d_mlp")}
        and not row.name.startswith(("enc_", "cross"))
        and (not row.of_pair if there is None else row.name in there)
    )  # fmt: skip


def unit_layers(
    model: ModelIdentity | None, coverage: Coverage | None, outline: SightOutline | None
) -> Mapping[str, LayerOutline]:
    """Layers of units by name, of a model that sees and has none of the sites above."""
    if model is None or not model.sees or coverage is None or outline is None:
        return {}
    return {} if sites_of(coverage) else {each.name: each for each in outline.layers}


def images_for(model: ModelIdentity) -> tuple[str, ...]:
    """Embedded sets of images, those that were made for the model first.

    The last of its own is for learning (a localizer), so that the others stay for looking.
    """
    own = image_set_names(model.name.partition("@")[0])[::-1]
    return (*own, *(name for name in image_set_names() if name not in own))


def uses_k(rule: str) -> bool:
    """Whether a rule keeps a number of features on; the others have a pressure instead."""
    return rule in _COUNTED


def rule_in(form: str, rule: str) -> str:
    """The rule of a plan, or the one in its place where a form has no file for it."""
    return rule if rule in OFFERED[form] else "batchtopk"


def outlook_text(told: TrainingOutlook | None) -> str:
    """What it takes, in a line; why it cannot be done where it cannot."""
    if told is None:
        return ""
    if told.problem:
        return told.problem
    disk = f", {megabytes(told.n_bytes)} on disk" if told.n_bytes else ""
    tight = told.n_bytes > told.free
    room = f", of which only {megabytes(told.free)} are free" if tight else ""
    return (
        f"{count_text(told.rows)} {told.noun}{disk}{room}\n"
        f"about {seconds_text(told.harvest)} to collect, {seconds_text(told.training)} to train"
    )


def stopped_text(held: Stopped | None) -> str:
    """How far a training came that stopped."""
    if held is None:
        return ""
    if held.problem or held.wish is None:
        return held.problem
    if not held.step:
        return "Stopped before its first checkpoint: the activations that are there stay."
    if held.step >= held.wish.steps:
        return f"Trained to its last step, {held.step:,}."
    return f"Goes on from step {held.step:,} of {held.wish.steps:,}."


def curve_text(curve: TrainingCurve | None) -> str:
    """Where a training stands, in a line."""
    if curve is None or not curve.last:
        return ""
    last, recovered = curve.last, points(curve, "recovered")[1]
    parts = [
        f"step {int(last['step']):,} of {int(curve.params.get('steps', last['step'])):,}",
        f"loss {last['loss']:.3g}",
        f"L0 {last['l0']:.1f}",
        f"explained {last['explained_variance']:.1%}",
        f"dead {last['dead']:.1%}",
        f"dense {last['dense']:.1%}",
    ]
    if len(recovered):
        parts.append(f"recovered {recovered[-1]:.1%}")
    return " \N{MIDDLE DOT} ".join(parts)


def curve_title(analysis: Analysis) -> str:
    """How a training is called in the list of the session's trainings."""
    params, wish = analysis.params, wish_of(analysis)
    name = params.get("name") or ("" if wish is None else Path(wish.out).name) or "training"
    at = ", ".join(params.get("reads", ())[:1])
    return f"{name} \N{MIDDLE DOT} {params.get('rule')} {params.get('width'):,} at {at}"


def readable(analysis: Analysis) -> TrainingCurve | None:
    """The curve that an analysis holds; None for one of another version."""
    try:
        curve = curve_of(analysis)
        curve_text(curve)
        curve_title(analysis)
    except (LookupError, TypeError, ValueError, AttributeError):
        return None
    return curve


def curve_table(curve: TrainingCurve) -> Table:
    """A row for each point."""
    rows = curve.points()
    headers = tuple(rows[0]) if rows else ("step",)
    return Table(headers, [tuple(row.values()) for row in rows])
