"""What the panel See shows: maps over the image as pictures, and evidence as rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from microtome.analysis.rollout import rolled_out
from microtome.errors import SiteMissing
from microtome.records.analysis import Analysis
from microtome.records.seen import attribution_id
from microtome.records.session import Session
from microtome.records.units import Unit
from microtome_desktop.state.arrays import Arrays
from microtome_desktop.state.exports import Table
from microtome_desktop.state.seeing import AttributionWish, ClassWish, found, image_of

ACTIVITY, ATTENTION, ATTRIBUTION, LENS = "activity", "attention", "attribution", "lens"
MODES = (
    (ACTIVITY, "Activity of units"),
    (ATTRIBUTION, "Attribution"),
    (ATTENTION, "Attention of heads"),
    (LENS, "Lens over patches"),
)
METHODS = (
    ("integrated-gradients", "Integrated gradients"),
    ("occlusion", "Occlusion"),
    ("grad-cam", "Grad-CAM"),
    ("gradient-x-input", "Gradient × input"),
)
BASELINES = ("grey", "black", "white", "noise")
_FEW = 12  # pictures beside the large one
ROLLOUT = "rollout"
NOT_YET = "Being read\N{HORIZONTAL ELLIPSIS}"
NO_IMAGE = "Run an image: open a model that sees, then an image in the panel Prompt."
NO_SIGHT = (
    "The run on screen is of a model that reads text. Open a model that sees, such as "
    "shapes-resnet, and run an image."
)


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A map over the image: its title, values, and what a click on it chooses."""

    key: str
    title: str
    values: Float[np.ndarray, "row column"]
    signed: bool = False

    @property
    def said(self) -> str:
        """The ends of its scale."""
        return f"{float(self.values.min()):.3g} to {float(self.values.max()):.3g}"


@dataclass(frozen=True, slots=True, eq=False)
class Gallery:
    """The large picture, the small ones beside it, and what is said of them."""

    main: Picture | None = None
    small: tuple[Picture, ...] = ()
    said: str = ""
    lacking: str = ""  # why there is nothing


def activity(maps: Analysis, layer: str, unit: Unit | None) -> Gallery:
    """The map of a unit, or of the strongest, and those of the strongest units."""
    values, order = maps.array(layer), maps.array(f"order/{layer}").tolist()
    if values.ndim != 3:
        return Gallery(lacking=f"{layer} has no places in the image.")
    signed = bool(values.min() < 0)
    of_layer = unit is not None and unit.layer == layer and unit.index < len(values)
    chosen = unit.index if of_layer and unit is not None else int(order[0])
    small = tuple(_unit_map(layer, int(at), values, signed=signed) for at in order[:_FEW])
    main = _unit_map(layer, chosen, values, signed=signed)
    place = order.index(chosen) + 1
    rows, columns = values.shape[1:]
    ranked = "the strongest" if place == 1 else f"number {place}"
    said = (
        f"{layer}/{chosen} \N{MIDDLE DOT} {rows} × {columns} places \N{MIDDLE DOT} "
        f"{main.said} \N{MIDDLE DOT} {ranked} of {len(order)} on this image"
    )
    return Gallery(main, small, said)


def _unit_map(layer: str, at: int, values: NDArray[np.floating], *, signed: bool) -> Picture:
    return Picture(str(Unit(layer, at)), f"{at}", np.asarray(values[at], np.float32), signed)


def attention(
    patterns: Float[np.ndarray, "head query key"],
    whole: Float[np.ndarray, "layer head query key"] | None,
    grid: tuple[int, int],
    layer: int,
    chosen: str,
) -> Gallery:
    """Where the heads of a layer look from the class token, and the rollout through all layers."""
    before = patterns.shape[-1] - grid[0] * grid[1]
    small = [
        Picture(str(Unit(f"z.{layer}", head)), f"head {head}", _patches(row[0], before, grid))
        for head, row in enumerate(patterns)
    ]
    if whole is not None:
        rolled = rolled_out(whole.mean(axis=1))[-1, 0]
        small.insert(0, Picture(ROLLOUT, "rollout", _patches(rolled, before, grid)))
    main = next((one for one in small if one.key == chosen), small[0])
    kept = float(main.values.sum())
    said = f"{main.title} of layer {layer}" if main.key != ROLLOUT else "Rollout through all layers"
    return Gallery(
        main, tuple(small[:_FEW]),
        f"{said}: {kept:.0%} of what the class token looks at are patches, the strongest "
        f"{float(main.values.max()):.1%}",
    )  # fmt: skip


def attention_in(
    session: Session | None, arrays: Arrays, grid: tuple[int, int], layer: int, chosen: str
) -> Gallery:
    """The same of the run on screen, or why there is nothing yet."""
    count = 0 if session is None else session.model.n_layers
    try:
        each = [arrays.get(0, "pattern", at) for at in range(count)]
    except SiteMissing as error:
        return Gallery(lacking=str(error))
    held = each[layer] if layer < count else None
    if held is None:
        return Gallery(lacking=NOT_YET)
    there = [one for one in each if one is not None]
    whole = np.stack(there) if len(there) == count else None
    return attention(np.asarray(held), whole, grid, layer, chosen)


def _patches(
    row: NDArray[np.floating], before: int, grid: tuple[int, int]
) -> Float[np.ndarray, "row column"]:
    return np.asarray(row[before:], np.float32).reshape(grid)


def lens(held: Analysis, grid: tuple[int, int], answer: str, chosen: str) -> Gallery:
    """How probable the answer is when the residual stream of each patch is read as the last."""
    values = held.array("probability")
    before = values.shape[1] - grid[0] * grid[1]
    small = [
        Picture(f"stage {at}", "embedding" if at == 0 else f"after {at - 1}",
                _patches(row, before, grid))
        for at, row in enumerate(values)
    ]  # fmt: skip
    main = next((one for one in small if one.key == chosen), small[-1])
    said = f"p({answer}) at each patch, read {main.title}: {main.said}"
    return Gallery(main, tuple(small[-_FEW:]), said)


def attributions(session: Session, wish: AttributionWish) -> Gallery:
    """The map of a method, beside those of the other methods that were asked for."""
    image = image_of(session)
    if image is None:
        return Gallery(lacking=NO_IMAGE)
    held = {
        name: found(session, attribution_id(image.digest, name, wish.score.answer,
                                            wish.score.wrong))
        for name, _ in METHODS
    }  # fmt: skip
    small = tuple(
        Picture(name, title, np.asarray(one.array("map"), np.float32), name != "grad-cam")
        for name, title in METHODS
        if (one := held[name]) is not None
    )
    asked = held.get(wish.method)
    if asked is None:
        lacking = "Press Map: how much each part of the image is to do with the class."
        return Gallery(small=small, lacking=lacking)
    main = next(one for one in small if one.key == wish.method)
    other = _otherwise(asked, wish)
    said = said_of_attribution(asked)
    return Gallery(main, small, f"{said} \N{MIDDLE DOT} press Map for {other}" if other else said)


def _otherwise(held: Analysis, wish: AttributionWish) -> str:
    """What the boxes say beside the method and the map was not computed with; empty: nothing."""
    told = held.params
    if "baseline" in told and told["baseline"] != wish.baseline:
        return wish.baseline
    if "layer" in told and wish.layer is not None and told["layer"] != wish.layer:
        return wish.layer
    return ""


def said_of_attribution(held: Analysis) -> str:
    """The settings of a map and how far it can be trusted, in a line."""
    told = held.params
    parts = [held.title.partition(" on ")[0]]
    if "baseline" in told:
        parts.append(f"from {told['baseline']}")
    if "steps" in told:
        parts.append(f"{told['steps']} steps")
        parts.append(f"completeness error {float(told['completeness_error']):+.2g} logits")
    if "window" in told:
        parts.append(f"window {told['window']}, stride {told['stride']}")
    if "layer" in told:
        parts.append(f"at {told['layer']}")
    return " \N{MIDDLE DOT} ".join(parts)


def patch_grid(tokens: tuple[str, ...]) -> tuple[int, int] | None:
    """Rows and columns of patches, of tokens that are named by their place; None for others."""
    row, comma, column = tokens[-1].partition(",")
    if not (comma and row.isdigit() and column.isdigit()):
        return None
    return int(row) + 1, int(column) + 1


def asked_classes(session: Session | None) -> ClassWish:
    """The class of the session's metric, and the one that it is set against."""
    metric = {} if session is None else session.metric
    wrong = metric.get("wrong_id")
    answer = metric.get("answer_id")
    if answer is None and session is not None and session.clean is not None:
        answer = int(session.clean.top_ids[0][0]) if len(session.clean.top_ids) else 0
    return ClassWish(int(answer or 0), None if wrong is None else int(wrong))


def answers(session: Session) -> tuple[tuple[str, str], ...]:
    """The most probable classes of the run: the share of each, and its name."""
    clean = session.clean
    if clean is None or not len(clean.top_tokens):
        return ()
    at = int(session.metric.get("position", 0)) % len(clean.top_tokens)
    pairs = zip(clean.top_tokens[at], clean.top_probabilities[at], strict=True)
    return tuple((f"{100 * float(share):.1f} %", str(name)) for name, share in list(pairs)[:5])


def evidence_text(held: Analysis) -> str:
    """What the evidence sums to, and how it was had."""
    told = held.params
    against = "" if told["wrong"] is None else f" − {told['wrong']}"
    parts = (float(told["score"]), float(held.array("contribution").sum()), float(told["bias"]))
    score, units, bias = (f"{part:.3f}".replace("-", "−") for part in parts)
    return (
        f"{told['answer']}{against}: {score} = units {units} + bias {bias} "
        f"\N{MIDDLE DOT} {told['method']}"
    )


def evidence_table(held: Analysis) -> Table:
    """A row for each unit, as exported."""
    names = ("unit", "contribution", "value", "weight")
    columns = [held.array(name).tolist() for name in names]
    return Table(names, list(zip(*columns, strict=True)))


def map_table(picture: Picture) -> Table:
    """A row for each place of a map."""
    rows = [(row, column, float(value)) for (row, column), value in np.ndenumerate(picture.values)]
    return Table(("row", "column", picture.title), rows)
