"""Suites, what can go, and swaps, as the lines, maps and tables that a panel shows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from microtome.errors import InputError
from microtome.records.edits import EditSpec
from microtome.records.redundancy import Redundancy
from microtome.records.removal import HEADS, MLPS, part_of, removal_specs
from microtome.records.slice_circuits import CircuitDifference
from microtome.records.suite_result import SuiteResult
from microtome_desktop.presenters.heatmaps import Grid
from microtome_desktop.state.exports import Table

NO_SUITE = "No suite was run yet: choose the prompts, and run it."
NO_REDUNDANCY = "It was not asked yet what can go: choose the prompts, and run it."
NO_CIRCUITS = "No two slices were compared yet: run the suite, choose two, and compare them."


def noted(text: str, note: str) -> str:
    """What a page says, with what is to be noted of it."""
    return f"{text} · {note}" if note else text


# ---------------------------------------------------------------------- suites


@dataclass(frozen=True, slots=True)
class SliceLine:
    """One slice. Pairs are before and after the edits, or twice the same number without edits."""

    name: str
    cases: int
    rate: tuple[float, ...]
    band: tuple[tuple[float, float], ...]
    confidence: tuple[float, ...]
    falls: bool


def slice_lines(found: SuiteResult | None) -> tuple[SliceLine, ...]:
    """A line for each slice."""
    if found is None:
        return ()
    return tuple(
        SliceLine(
            name,
            found.counts[row],
            tuple(float(each) for each in found.rate[row]),
            tuple((float(low), float(high)) for low, high in found.rate_band[row]),
            tuple(float(each) for each in found.confidence[row]),
            bool(found.falls[row]),
        )
        for row, name in enumerate(found.slices)
    )


def suite_text(found: SuiteResult | None) -> str:
    """What a result is of."""
    if found is None:
        return NO_SUITE
    count = len(found.prompts)
    edits = found.params["edits"]
    many = f"{count} case{'s' * (count != 1)}"
    told = many if found.complete else f"{found.counts[0]} of {many} so far"
    told += f" · after: {'; '.join(edits)}" if edits else " · no edit acts"
    rule = "the most probable token" if found.passing == "top" else "above the wrong one"
    told += f" · passes: the answer is {rule}"
    falls = int(found.falls.sum())
    fall = "slice falls" if falls == 1 else "slices fall"
    told += f" · {falls} {fall} by more than chance" if falls else ""
    return f"{told} · {found.note}" if found.note else told


def suite_table(found: SuiteResult) -> Table:
    """All of it at full precision."""
    named = ("pass rate", "band from", "band to", "p(answer)", "p from", "p to")
    headers = ["slice", "cases", *(f"{each} {side}" for side in found.sides for each in named)]
    rows = []
    for row, name in enumerate(found.slices):
        cells: list[object] = [name, found.counts[row]]
        for side in range(len(found.sides)):
            cells += [
                float(found.rate[row, side]), *map(float, found.rate_band[row, side]),
                float(found.confidence[row, side]), *map(float, found.confidence_band[row, side]),
            ]  # fmt: skip
        rows.append([*cells, bool(found.falls[row])])
    return Table((*headers, "falls"), rows)


def circuits_text(told: CircuitDifference | None) -> str:
    """How near two circuits are to each other."""
    if told is None:
        return NO_CIRCUITS
    rank = (
        "no order"
        if math.isnan(told.correlation)
        else f"{told.correlation:.2f}".replace("-", "\N{MINUS SIGN}")
    )
    return f"{told.overlap:.0%} of the strongest edges are in both · rank correlation of all {rank}"


def circuits_table(told: CircuitDifference) -> Table:
    """Each edge with where it is."""
    parts = (("both", told.shared), (told.first, told.only_first), (told.second, told.only_second))
    return Table(("edge", "in"), [(edge, name) for name, edges in parts for edge in edges])


# ---------------------------------------------------------------------- what can go


def redundancy_text(found: Redundancy | None) -> str:
    """What can go, and what that saves."""
    if found is None:
        return NO_REDUNDANCY
    told = found.params
    if not found.complete:
        return f"{len(found.order)} parts taken out so far"
    parameters, flops = found.saved(len(found.recommended))
    share = parameters / told["whole_parameters"], flops / told["whole_flops"]
    return (
        f"{len(found.recommended)} of {len(found.order)} parts can go and {found.threshold:.0%} "
        f"of the {told['criterion']} stays · saved: {parameters:,} parameters ({share[0]:.0%}), "
        f"{share[1]:.0%} of the operations"
    )


def redundancy_table(found: Redundancy) -> Table:
    """The parts in the order in which they went."""
    rows = found.rows()
    return Table(tuple(rows[0]), [tuple(row.values()) for row in rows])


def similarity_grid(found: Redundancy) -> Grid:
    """Linear CKA between the points, the embedding at the bottom."""
    values = np.asarray(found.similarity, dtype=np.float64)
    return Grid(
        values, found.points, found.points, tuple(range(-1, len(found.points) - 1)),
        0.0, 1.0, signed=False, units="CKA", title="Similarity of layers",
    )  # fmt: skip


def part_title(name: str) -> str:
    """A part as the window calls it: ``L1H2``, ``M3``, ``Layer 2``; exports keep ``a1.h2``."""
    part = part_of(name)
    titles = {HEADS: f"L{part.layer}H{part.head}", MLPS: f"M{part.layer}"}
    return titles.get(part.kind, f"Layer {part.layer}")


def removal_edits(found: Redundancy, there: tuple[EditSpec, ...]) -> tuple[EditSpec, ...]:
    """The edits that take the recommended parts out, without those that are there already.

    Raises InputError where nothing is left to take out.
    """
    if not found.recommended:
        raise InputError("Nothing can go.", "Lower the threshold, or choose fewer prompts.")
    over = (each if isinstance(each, str) else tuple(each) for each in found.params["over"])
    specs = removal_specs(found.recommended, str(found.params["how"]), tuple(over))
    held = {(spec.site, spec.action) for spec in there}
    left = tuple(spec for spec in specs if (spec.site, spec.action) not in held)
    if not left:
        raise InputError("All of these parts are taken out already.", "Look at the panel Edits.")
    return left
