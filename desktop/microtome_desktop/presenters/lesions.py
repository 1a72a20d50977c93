"""Lesions in words and rows: what was lost beside what random lesions cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from microtome.errors import InputError
from microtome.records.analysis import Analysis
from microtome.records.lesion import ADD, CLASS, HOWS, PERCENTILE, TASK, Lesion
from microtome.records.session import Session
from microtome.records.units import Unit
from microtome_desktop import palette as colours
from microtome_desktop.presenters.as_python import Lines, loading
from microtome_desktop.state.exports import Table
from microtome_desktop.state.lesions import lesions_in
from microtome_desktop.state.selection import Selected

NO_LESION = "Choose units and what is done to them at the left, and press Lesion."
COLUMNS = (
    ("group", "All cases, domains and classes, or tasks"),
    ("cases", "How many cases of it were tried"),
    ("before", "Share of right answers of the whole model"),
    ("after", "Share of right answers with the units changed"),
    ("change", "After minus before"),
    ("random", "Mean of as many random units of the same layers"),
    ("other", "Right answers with the units of another lesion changed in their place"),
)
OTHER = len(COLUMNS) - 1  # the column of the lesion beside
# The first letter is a capital: entries of a list.
HOW_TITLES = {
    "zero": "Set to zero",
    "mean": "Set to their mean",
    "resample": "Resample: another case's values",
    "add": "Stimulate: add standard deviations",
    "percentile": "Stimulate: set to a percentile",
}
MEASURES = {"top": "answer on top", "above": "answer above the wrong one"}
AMOUNTS = {ADD: (-20.0, 20.0, 2.0), PERCENTILE: (0.0, 100.0, 99.0)}
_FALLS = 0.05  # of a share, from which a change is coloured
assert set(HOW_TITLES) == set(HOWS)  # noqa: S101  the titles of one table


@dataclass(frozen=True, slots=True)
class Cell:
    """A text with its colour and what is said when the pointer rests on it."""

    text: str
    colour: str
    tip: str = ""


def rows_of(found: Lesion, measure: int, other: Lesion | None = None) -> list[tuple[Cell, ...]]:
    """A row a group: changes beyond what random lesions cost are coloured.

    With an ``other`` lesion of the same groups a last column has what is right after that.
    """
    made: list[tuple[Cell, ...]] = []
    for at, row in enumerate(found.rows(measure)):
        change, dim = float(row["change"]), colours.TEXT_DIM
        none = not found.n_controls
        beyond = none or not row["control_low"] <= row["after"] <= row["control_high"]
        told = colours.TEXT if abs(change) < _FALLS else colours.BAD if change < 0 else colours.GOOD
        name = row["group"] if row["kind"] in {"all", "domain", TASK} else f"  {row['group']}"
        strong = colours.TEXT if row["kind"] != CLASS else dim
        made.append((
            Cell(name, strong, row["kind"]),
            Cell(str(row["cases"]), dim),
            Cell(_share(row["before"]), strong, _band(row["before_low"], row["before_high"])),
            Cell(_share(row["after"]), told, _band(row["after_low"], row["after_high"])),
            Cell(f"{change:+.0%}" if round(change, 3) else "0%", told,
                 "Outside what 95 % of the random lesions give" if beyond and not none else ""),
            Cell("" if none else _share(row["control"]), dim,
                 "" if none else f"{_share(row['control_low'])} to {_share(row['control_high'])} "
                 f"in 95 % of {found.n_controls} random lesions"),
            *([] if other is None else [_after(other, measure, at)]),
        ))  # fmt: skip
    return made


def _after(other: Lesion, measure: int, at: int) -> Cell:
    before, after = (float(each[measure, at]) for each in (other.before, other.after))
    told = colours.BAD if after - before <= -_FALLS else colours.TEXT
    return Cell(_share(after), told, other_title(other))


def other_title(other: Lesion) -> str:
    """What the lesion beside was, for example "10 units selective for texture"."""
    units = len(other.units)
    return f"{units} unit{'s' * (units != 1)} {other.chosen.source}, {other.treatment.text}"


def other_name(other: Lesion) -> str:
    """The head of its column: the last word of how its units were chosen."""
    return other.chosen.source.rsplit(" ", 1)[-1][:9]


def _share(value: float) -> str:
    return f"{value:.0%}" if value in (0.0, 1.0) else f"{value:.1%}"


def _band(low: float, high: float) -> str:
    return f"95 % Wilson interval: {low:.1%} to {high:.1%}"


def said_of(found: Lesion, measure: int) -> str:
    """What the lesion did, in a sentence or two."""
    params = found.params
    units = len(found.units)
    what = (
        f"{units} unit{'s' * (units != 1)} {found.chosen.source}, {found.treatment.text}, on "
        f"{params.get('title', 'the data')}"
    )
    tops = [at for at, kind in enumerate(found.kinds) if kind in {"domain", TASK}]
    rows = tops or [at for at, kind in enumerate(found.kinds) if kind == CLASS]
    change = found.change[measure]
    lost = [at for at in rows if change[at] <= -2 * _FALLS]
    kept = [at for at in rows if abs(change[at]) < _FALLS / 2]
    worst = sorted(lost, key=lambda at: change[at])[:3]
    falls = ", ".join(
        f"{found.groups[at]} from {found.before[measure, at]:.0%} to "
        f"{found.after[measure, at]:.0%}{_beside(found, measure, at)}"
        for at in worst
    )
    tail = f" · {_listed([found.groups[at] for at in kept])} stay" if lost and kept else ""
    return f"{what}: {falls or 'nothing is lost'}{tail}"


def _beside(found: Lesion, measure: int, at: int) -> str:
    if not found.n_controls:
        return ""
    return f" (random units: {found.control_mean[measure, -1, at]:.0%})"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return ", ".join(names[:4]) + more


def unit_rows(found: Lesion) -> list[tuple[Cell, ...]]:
    """The units that were changed, with what they were chosen by."""
    return [
        (
            Cell(str(unit), colours.TEXT, "A click selects it everywhere"),
            Cell("" if np.isnan(value) else f"{value:.2f}", colours.TEXT_DIM),
        )
        for unit, value in zip(found.units, found.chosen.index, strict=True)
    ]


def selecting(unit: Unit) -> dict[str, object]:
    """The fields of the selection that a unit is."""
    site, _, layer = unit.layer.partition(".")
    if layer.isdigit() and site == "z":
        return {"layer": int(layer), "head": unit.index, "neuron": None, "unit": str(unit)}
    if layer.isdigit() and site == "mlp_post":
        return {"layer": int(layer), "head": None, "neuron": unit.index, "unit": str(unit)}
    return {"unit": str(unit)}


def units_selected(selected: Selected) -> tuple[Unit, ...]:
    """The units that are selected: nodes of the circuit, a head, a neuron, or a unit."""
    nodes = [] if selected.node is None else [selected.node, *selected.others]
    found = [unit for unit in map(_of_node, nodes) if unit is not None]
    if not found and selected.unit is not None:
        found.append(Unit.parse(selected.unit))
    if not found and selected.layer is not None:
        if selected.head is not None:
            found.append(Unit(f"z.{selected.layer}", selected.head))
        elif selected.neuron is not None:
            found.append(Unit(f"mlp_post.{selected.layer}", selected.neuron))
    return tuple(dict.fromkeys(found))


def _of_node(node: str) -> Unit | None:
    """The unit that a node's id names: ``L2H1@7``, or as a unit is written."""
    named = node.partition("@")[0]
    layer, _, head = named.removeprefix("L").partition("H")
    if named.startswith("L") and layer.isdigit() and head.isdigit():
        return Unit(f"z.{layer}", int(head))
    try:
        return Unit.parse(named)
    except InputError:
        return None


def typed_units(text: str) -> tuple[str, ...]:
    """Units as typed, apart by commas or blanks. Raises InputError for what is none."""
    words = text.replace(",", " ").split()
    return tuple(dict.fromkeys(str(Unit.parse(word)) for word in words))


def needs_model(session: Session | None) -> str:
    """What stands in place of the form where the model is not loaded."""
    if session is None:
        return "Lesions need a model: open one at the left."
    held = "These are the lesions of the session. " if lesions_in(session) else ""
    return f"{held}New ones need its model, {session.model.name}, which is not loaded."


def lesion_table(found: Lesion, measure: int) -> Table:
    """A row a group, in full precision."""
    rows = found.rows(measure)
    headers = tuple(rows[0])
    return Table(headers, [tuple(row[name] for name in headers) for row in rows])


def lesion_lines(session: Session, analysis: Analysis) -> Lines:
    """``values`` [group]: the share of right answers after the lesion."""
    told = analysis.params
    tasks = told.get("tasks")
    own = tasks is not None and len(tasks) > 1
    data = None if own else (tasks[0] if tasks else told["set"])
    treated = f"mt.Treatment({told['how']!r}, {told['amount']})"
    how = repr(told["how"]) if told["how"] not in AMOUNTS else treated
    over = "" if tasks or told["over"] == told["set"] else f"over={told['over']!r}, "
    return (
        "import microtome as mt",
        "from microtome.records.lesion import lesion_of",
        "",
        loading(session)[0],
        f"units = {list(told['units'])!r}",
        f"found = mt.lesion(model, units, {data!r}, how={how},",
        f"    {over}controls={told['controls']}, seed={told['seed']})",
        "values = lesion_of(found).after[0]",
    )
