"""Every head of a model as a row: what detectors call it, what it writes, what it does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from microtome.records.session import Session
from microtome_desktop.presenters.attention import NAMED_ABOVE
from microtome_desktop.presenters.colour_maps import coloured, magnitude_table, signed_table
from microtome_desktop.presenters.coverage import why_not
from microtome_desktop.presenters.head_effects import (
    EFFECTS,
    PATCHING,
    Effect,
    effect_in,
    missing,
    wish_for,
)
from microtome_desktop.state.exports import Table

SCORES, DIRECT = "head-scores", "direct-attribution"
_NO_SCORES = "The session holds no head scores."
_NO_DIRECT = "The session holds no direct attribution."
_NOT_KEPT = "The attention patterns of this run were not kept, so it was not measured."
_NOTHING_TO_SEE = "This prompt gives such a head nothing to look at."
_NOT_MEASURED = "Not measured yet: Compute measures it."
# On what the heads of a model are measured, whatever was run.
_ON_RANDOM = "on random tokens said twice"
_ON_PROMPTS = "on prompts of the model's own that repeat tokens"


@dataclass(frozen=True, slots=True, eq=False)
class HeadColumn:
    """A number for every head, NaN where there is none; ``why_not`` where there is none at all.

    ``title`` is two lines. ``signed`` numbers are drawn from one end of the diverging map to the
    other, the others are shares from 0 to 1.
    """

    name: str
    title: str
    tip: str
    values: Float[np.ndarray, "layer head"]
    signed: bool = True
    why_not: str = ""

    @property
    def texts(self) -> tuple[str, ...]:
        """What each cell says, as many decimals in all of a column, layer after layer."""
        write = _signed if self.signed else "{:.2f}".format
        numbers = self.values.ravel().tolist()
        return tuple(write(value) if np.isfinite(value) else "" for value in numbers)

    @property
    def fills(self) -> UInt8[np.ndarray, "layer head 4"]:
        """The colour behind each cell, transparent where there is no number."""
        known = np.isfinite(self.values)
        peak = float(np.abs(self.values[known]).max(initial=0.0)) if self.signed else 1.0
        table = signed_table() if self.signed else magnitude_table()
        made = coloured(np.nan_to_num(self.values), -peak if self.signed else 0.0, peak, table)
        made[..., 3] = np.where(known, 255, 0)
        return made

    def same(self, other: HeadColumn) -> bool:
        """Whether both look the same."""
        alike = np.array_equal(self.values, other.values, equal_nan=True)
        told = (self.name, self.title, self.tip, self.why_not)
        return alike and told == (other.name, other.title, other.tip, other.why_not)


def _signed(value: float) -> str:
    text = f"{value:+.3f}"
    return "0.000" if text[1:] == "0.000" else text.replace("-", "\N{MINUS SIGN}")


@dataclass(frozen=True, slots=True, eq=False)
class HeadTable:
    """Rows are the heads, layer after layer; ``kinds`` are what the detectors call each."""

    n_layers: int
    n_heads: int
    columns: tuple[HeadColumn, ...] = ()
    kinds: tuple[str, ...] = field(default=(), repr=False)

    @property
    def n_rows(self) -> int:
        """How many heads there are."""
        return self.n_layers * self.n_heads

    def place(self, row: int) -> tuple[int, int]:
        """The layer and the head of a row."""
        return divmod(row, self.n_heads)

    def row(self, layer: int | None, head: int | None) -> int | None:
        """The row of a head, None for none of these."""
        if layer is None or head is None or layer >= self.n_layers or head >= self.n_heads:
            return None
        return layer * self.n_heads + head

    def label(self, row: int) -> str:
        """How a head is called everywhere: ``L0H3``."""
        layer, head = self.place(row)
        return f"L{layer}H{head}"

    def searched(self, row: int) -> str:
        """What the filter looks through."""
        layer, head = self.place(row)
        return f"L{layer}H{head} L{layer} H{head} {self.kinds[row]}"


def head_table(session: Session) -> HeadTable:
    """All that a session knows of each head; columns without numbers say why."""
    shape = (session.model.n_layers, session.model.n_heads)
    effects = (_effect(session, effect, shape) for effect in EFFECTS)
    columns = (_direct(session, shape), *effects, *_detectors(session, shape))
    return HeadTable(*shape, columns, _kinds(columns, shape))


def _kinds(columns: Sequence[HeadColumn], shape: tuple[int, int]) -> tuple[str, ...]:
    named: list[list[str]] = [[] for _ in range(shape[0] * shape[1])]
    for column in columns:
        if not column.signed:
            for row in np.flatnonzero(np.nan_to_num(column.values).ravel() >= NAMED_ABOVE):
                named[row].append(column.name)
    return tuple(" ".join(names) for names in named)


def _nothing(shape: tuple[int, int]) -> Float[np.ndarray, "layer head"]:
    return np.full(shape, np.nan, dtype=np.float32)


def _detectors(session: Session, shape: tuple[int, int]) -> tuple[HeadColumn, ...]:
    """Each detector, on what every model is measured on and on the prompt that was run."""
    held = session.analyses.get(SCORES)
    if held is None or held.array("score").shape[1:] != shape:
        reason = why_not(session, "pattern") or _NO_SCORES
        tip = "The share of its attention that a head gives to what such a head looks at"
        return (HeadColumn("detectors", "detector\nscores", tip, _nothing(shape), False, reason),)
    names = [str(name) for name in held.params["detectors"]]
    whole = zip(names, np.asarray(held.array("score")), strict=True)
    where = _ON_PROMPTS if held.params.get("measured_on") == "prompts" else _ON_RANDOM
    usual = [HeadColumn(*_called(name, where), values, False) for name, values in whole]
    return (*usual, *_on_prompt(session, names, shape))


def _on_prompt(session: Session, names: list[str], shape: tuple[int, int]) -> list[HeadColumn]:
    held = session.analyses[SCORES]
    there = "on_prompt" in held.arrays
    values = held.array("on_prompt") if there else [_nothing(shape)] * len(names)
    able = held.params.get("on_prompt_applies", [True] * len(names))
    made = []
    for name, one, applies in zip(names, values, able, strict=True):
        reason = "" if there and applies else _NOTHING_TO_SEE if there else _NOT_KEPT
        shown = np.asarray(one) if not reason else _nothing(shape)
        called = _called(name, "on this prompt", here=True)
        made.append(HeadColumn(*called, shown, False, reason))
    return made


def _called(name: str, where: str, *, here: bool = False) -> tuple[str, str, str]:
    """The name, the title and the tip of a detector's column."""
    tip = f"The share of its attention that a head gives to what a {name} head looks at, {where}"
    title = f"{name.removesuffix(' token')}\n{'here' if here else 'in general'}"
    return f"{name} here" if here else name, title, tip


def _direct(session: Session, shape: tuple[int, int]) -> HeadColumn:
    held = session.analyses.get(DIRECT)
    tip = "What the head adds to the metric directly, by writing to the residual stream"
    name, title = "direct attribution", "direct\nlogits"
    if held is None or held.array("heads").shape != shape:
        reason = why_not(session, "direct") or _NO_DIRECT
        return HeadColumn(name, title, tip, _nothing(shape), why_not=reason)
    metric = held.params.get("metric", "the metric")
    return HeadColumn(name, title, f"{tip}: {metric}", np.asarray(held.array("heads")))


def _effect(session: Session, effect: Effect, shape: tuple[int, int]) -> HeadColumn:
    name, title = effect.name, f"{effect.name}\neffect"
    sweep, wish = effect_in(session, effect), wish_for(session, effect)
    if sweep is None or sweep.effects.shape != shape:
        reason = wish if isinstance(wish, str) else _NOT_MEASURED
        return HeadColumn(name, title, effect.tip, _nothing(shape), why_not=reason)
    tip = f"{effect.tip}. {sweep.metric}"
    if effect.of_pairs and not sweep.normalised:
        tip = f"The change of the metric, as clean and corrupt hardly differ. {sweep.metric}"
    return HeadColumn(name, title, tip, np.asarray(sweep.effects))


def told(table: HeadTable, session: Session) -> str:
    """The line below the table: what is still to be measured, or the metric of the numbers."""
    if missing(session):
        gone = [column for column in table.columns if column.why_not == _NOT_MEASURED]
        names = " and ".join(column.name for column in gone)
        return f"Not measured yet: the effect of {names}." if gone else "Measuring …"
    pair = any(c.name == PATCHING.name and not c.why_not for c in table.columns)
    scale = ("patching: 0 = as corrupt, 1 = as clean",) if pair else ()
    change = f"ablation: change of {session.metric.get('name', 'the metric')}"
    return " · ".join((*scale, change))


def heads_table(session: Session, rows: tuple[int, ...]) -> Table:
    """Rows of the table as they are shown, every number at full precision."""
    table = head_table(session)
    headers = ("layer", "head", *(column.name for column in table.columns))
    flat = [column.values.ravel() for column in table.columns]

    def cells(row: int) -> tuple[Any, ...]:
        numbers = (values[row] for values in flat)
        return (*table.place(row), *(n if np.isfinite(n) else None for n in numbers))

    return Table(headers, [cells(row) for row in rows])
