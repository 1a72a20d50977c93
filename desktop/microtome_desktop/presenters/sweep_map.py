"""A sweep as a map: which cell is which place of the model, and what is said about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache
from typing import Any

import numpy as np
from jaxtyping import Int

from microtome.records.sweep import Sweep
from microtome_desktop.presenters.heatmaps import Grid
from microtome_desktop.presenters.tokens import shown_token

_LEAST = 0.01  # the ends of the scale at least: rounding must not look like a finding
_WIDEST = 64  # neurons in a row at most


@dataclass(frozen=True, slots=True, eq=False)
class SweepGrid(Grid):
    """The effects of a sweep: NaN where a cell is not computed yet.

    ``flat`` [row, column] gives each cell's index in the flat sweep, -1 where there is none.
    """

    sweep: Sweep | None = None
    flat: Int[np.ndarray, "row column"] | None = None

    @property
    def by_position(self) -> bool:
        """Whether columns are the positions of a prompt."""
        return self._about.axes[-1] == "position"

    def in_both(self, position: int) -> tuple[int, int]:
        """The positions in the clean and in the corrupt run that a column is, -1 without one."""
        about = self._about
        if not about.source_tokens:
            return position, position
        partner = partners(about)[position]
        return (partner, position) if about.mode == "denoising" else (position, partner)

    def column_of(self, clean: int | None) -> int | None:
        """The position that stands for one of the clean run."""
        if clean is None or not self._about.source_tokens:
            return clean
        columns = range(len(self._about.tokens))
        return next((at for at in columns if self.in_both(at)[0] == clean), None)

    @property
    def _about(self) -> Sweep:
        if self.sweep is None:
            raise ValueError("A map of a sweep was made without one.")
        return self.sweep

    def place(self, row: int, column: int) -> Mapping[str, int]:
        """Axis -> number of the cell; empty for one that is none."""
        at = -1 if self.flat is None else int(self.flat[row, column])
        if at < 0:
            return {}
        numbers = np.unravel_index(at, self._about.effects.shape)
        return {axis: int(n) for axis, n in zip(self._about.axes, numbers, strict=True)}

    def cell_of(self, **numbers: int | None) -> tuple[int | None, int | None]:
        """Row and column where layer, head, position and neuron are; None for what is not said."""
        axes, shape = self._about.axes, self._about.effects.shape
        lengths = dict(zip(axes, shape, strict=True))
        known = {a: n for a in axes if (n := numbers.get(a)) is not None and 0 <= n < lengths[a]}
        if self.flat is None or not known:
            return None, None
        if len(known) == len(axes):
            at = np.ravel_multi_index([known[axis] for axis in axes], shape)
            rows, columns = np.nonzero(self.flat == at)
            return (int(rows[0]), int(columns[0])) if rows.size else (None, None)
        column = known.get(axes[-1]) if len(axes) > 1 else None
        row = known.get(axes[0]) if len(axes) == 2 else None
        return row, column

    def describe(self, row: int, column: int) -> str:
        """The place, its effect with the interval, and the metric itself."""
        place, about = self.place(row, column), self._about
        if not place:
            return ""
        at = int(self.flat[row, column]) if self.flat is not None else 0
        effect = float(about.effects.flat[at])
        said = place_text(about, place)
        if np.isnan(effect):
            return f"{said} · not computed yet"
        between = ""
        if about.band is not None:
            low, high = (float(end.flat[at]) for end in about.band)
            between = f" ({low:.3g} to {high:.3g})"
        name = "effect" if about.normalised else "change"
        return f"{said} · {name} {effect:.3g}{between} · metric {about.raw.flat[at]:.4g}"


def place_text(sweep: Sweep, place: Mapping[str, int]) -> str:
    """For example ``L3H1 · 5 ␣Mary``."""
    parts = [f"L{place['layer']}" if "layer" in place else _layer_of(sweep)]
    parts[0] += f"H{place['head']}" if "head" in place else ""
    if "neuron" in place:
        parts[0] += f" neuron {place['neuron']}"
    if "position" in place:
        at = place["position"]
        token = shown_token(sweep.tokens[at]) if at < len(sweep.tokens) else ""
        parts.append(f"{at} {token}".strip())
    if "range" in place:
        parts.append(_range_text(sweep, place["range"]))
    return " · ".join(part.strip() for part in parts if part.strip())


def _layer_of(sweep: Sweep) -> str:
    layer = sweep.params.get("layer")
    return "" if layer is None else f"L{layer}"


def _range_text(sweep: Sweep, at: int) -> str:
    ranges = sweep.params.get("ranges") or ()
    if at >= len(ranges):
        return f"range {at}"
    return _run_of(*ranges[at])


def sweep_grid(sweep: Sweep, layer: int | None = None) -> SweepGrid:
    """The map of a sweep; of one by layer, head and position all of it, or one layer's heads."""
    flat, rows, columns, layers = _LAYOUTS[len(sweep.axes)](sweep, layer)
    effects = np.asarray(sweep.effects, dtype=np.float64).ravel()
    values = np.where(flat < 0, np.nan, effects[np.maximum(flat, 0)])
    known = np.abs(effects[np.isfinite(effects)])
    bound = max(float(known.max()) if known.size else 0.0, _LEAST if sweep.normalised else 1e-9)
    units = "" if sweep.normalised else sweep.metric
    return SweepGrid(
        values, rows, columns, layers, -bound, bound, True, units, title_of(sweep),
        sweep=sweep, flat=flat,
    )  # fmt: skip


_Layout = tuple[Int[np.ndarray, "row column"], tuple[str, ...], tuple[str, ...], tuple[int, ...]]


def _plane(sweep: Sweep, _layer: int | None) -> _Layout:
    height, width = sweep.effects.shape
    flat = np.arange(height * width).reshape(height, width)
    layers = tuple(range(height))
    return flat, tuple(f"L{n}" for n in layers), _columns(sweep, width), layers


def _by_head_and_position(sweep: Sweep, layer: int | None) -> _Layout:
    count, heads, width = sweep.effects.shape
    shown = range(count) if layer is None or not 0 <= layer < count else (layer,)
    flat = np.arange(sweep.effects.size).reshape(count, heads, width)
    rows = tuple(f"L{n}H{head}" for n in shown for head in range(heads))
    layers = tuple(n for n in shown for _ in range(heads))
    return flat[list(shown)].reshape(-1, width), rows, _columns(sweep, width), layers


def _neurons(sweep: Sweep, _layer: int | None) -> _Layout:
    """Neurons in rows of equal length, the first at the bottom left."""
    count = sweep.effects.size
    width = min(_WIDEST, 2 ** int(np.ceil(np.log2(max(1.0, count**0.5 * 1.4)))))
    height = -(-count // width)
    flat = np.arange(height * width).reshape(height, width)
    flat[flat >= count] = -1
    rows = tuple(str(width * row) for row in range(height))
    own = sweep.params.get("layer")
    layers = (-1 if own is None else int(own),) * height
    return flat, rows, tuple(f"+{n}" for n in range(width)), layers


_LAYOUTS = {1: _neurons, 2: _plane, 3: _by_head_and_position}


def _columns(sweep: Sweep, width: int) -> tuple[str, ...]:
    last = sweep.axes[-1]
    if last == "position":
        texts = [shown_token(token) for token in sweep.tokens[:width]]
        return (*texts, *(str(at) for at in range(len(texts), width)))
    if last == "range":
        return tuple(_range_text(sweep, at) for at in range(width))
    return tuple(f"H{head}" for head in range(width))


_MODES = {
    "denoising": "clean into corrupt",
    "noising": "corrupt into clean",
    "ablation": "ablated",
}


def title_of(sweep: Sweep) -> str:
    """For example ``z by layer × head, clean into corrupt: logit(Mary) - logit(John)``."""
    axes = " × ".join(sweep.axes)
    mode = _MODES.get(sweep.mode, sweep.mode)
    how, span = sweep.params.get("how"), _span(sweep)
    if how is not None:
        mode = f"{how} {mode}"
    if span is not None:
        mode = f"restored after noise on {_run_of(*span)}"
    return f"{sweep.kind} by {axes}, {mode}: {sweep.metric}"


def _span(sweep: Sweep) -> tuple[int, int] | None:
    """The tokens that a causal trace puts noise on."""
    held = sweep.params.get("span")
    return None if held is None else (int(held[0]), int(held[1]))


def _run_of(start: int, stop: int) -> str:
    return f"{start}" if stop - start == 1 else f"{start}–{stop - 1}"


_PATHS = {
    "packed": "only what an edit can reach was computed",
    "blocks": "computed from the edited layer on",
    "hooks": "a whole forward pass for each batch of cells",
}


@dataclass(frozen=True, slots=True)
class Caption:
    """What stands below a map, and its explanation."""

    text: str
    tip: str


def caption_of(sweep: Sweep) -> Caption:
    """The ends of the scale, how it was computed, how long it took, and what to know."""
    known = int(np.isfinite(sweep.effects).sum())
    parts, examples = [], int(sweep.params.get("examples", 1))
    if examples > 1 and _span(sweep) is None:
        parts.append(f"over {examples} prompts, the first of them above")
    if not sweep.complete:
        parts.append(f"{known:,} of {sweep.effects.size:,} cells")
    if sweep.mode == "ablation":
        parts.append(f"unedited {_number(sweep.clean)}")
    else:
        low = "corrupt" if _span(sweep) is None else "with noise"
        parts += [f"0 = {low}, {_number(sweep.corrupt)}", f"1 = clean, {_number(sweep.clean)}"]
    parts.append(sweep.path)
    if sweep.skipped:
        of = "" if examples == 1 else " of the runs"
        parts.append(f"{sweep.skipped:,}{of} change nothing")
    if sweep.seconds:
        parts.append(f"{sweep.seconds:.2g} s")
    if sweep.band is not None:
        parts.append("95 % interval under the cursor")
    parts.extend(sweep.notes)
    tip = _PATHS.get(sweep.path, sweep.path)
    return Caption(" · ".join(parts), f"Path {sweep.path}: {tip}.")


def _number(value: float) -> str:
    return f"{value:.4g}".replace("-", "\N{MINUS SIGN}")


def sweep_rows(sweep: Sweep) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
    """The table of a sweep: a row a cell, with effect, metric and the interval's ends."""
    places = np.indices(sweep.effects.shape).reshape(len(sweep.axes), -1)
    by_position = "position" in sweep.axes and len(sweep.tokens) > 0
    headers = (*sweep.axes, *(("token",) if by_position else ()), "effect", "metric")
    columns: list[list[Any]] = [[int(n) for n in axis] for axis in places]
    if by_position:
        at = columns[sweep.axes.index("position")]
        columns.append([sweep.tokens[n] if n < len(sweep.tokens) else None for n in at])
    columns += [list(np.ravel(sweep.effects)), list(np.ravel(sweep.raw))]
    if sweep.band is not None:
        headers = (*headers, "low", "high")
        columns += [list(np.ravel(end)) for end in sweep.band]
    return headers, list(zip(*columns, strict=True))


@dataclass(frozen=True, slots=True)
class Prompts:
    """The two prompts above a map, token by token; ``differing`` columns are marked.

    With ``aligned`` every token stands above its column.
    """

    clean: tuple[str, ...]
    corrupt: tuple[str, ...]
    differing: frozenset[int]
    aligned: bool

    @property
    def rows(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """The rows that are drawn, with their names."""
        both = (("clean", self.clean), ("corrupt", self.corrupt))
        return tuple((name, tokens) for name, tokens in both if tokens)


def prompts_of(sweep: Sweep) -> Prompts:
    """The prompts of a sweep; a causal trace has one, of which the tokens with noise are marked."""
    aligned = sweep.axes[-1] == "position"
    base = tuple(shown_token(token) for token in sweep.tokens)
    span = _span(sweep)
    if span is not None or not sweep.source_tokens:
        return Prompts(base, (), frozenset(range(*span)) if span else frozenset(), aligned)
    places = partners(sweep)
    texts = tuple(shown_token(token) for token in sweep.source_tokens)
    beside = tuple(texts[at] if at >= 0 else "" for at in places)
    differing = frozenset(
        at for at, other in enumerate(places)
        if other < 0 or sweep.source_tokens[other] != sweep.tokens[at]
    )  # fmt: skip
    source = beside if aligned else texts
    clean, corrupt = (source, base) if sweep.mode == "denoising" else (base, source)
    return Prompts(clean, corrupt, differing, aligned)


def partners(sweep: Sweep) -> tuple[int, ...]:
    """The token of the source that stands for each of the run that is changed, -1 without one.

    Runs of one length go token by token; others as the engine aligns them, by their longest
    common stretches and stretches of one length between.
    """
    return _matched(sweep.tokens, sweep.source_tokens)


@lru_cache(maxsize=64)
def _matched(base: tuple[str, ...], source: tuple[str, ...]) -> tuple[int, ...]:
    if len(base) == len(source):
        return tuple(range(len(base)))
    places = [-1] * len(base)
    matcher = SequenceMatcher(None, base, source, autojunk=False)
    for _, start, stop, other, end in matcher.get_opcodes():
        if stop - start == end - other:
            places[start:stop] = range(other, end)
    return tuple(places)
