"""What is lost without some units: accuracy by group before and after, controls, a dose curve."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from microtome.errors import InputError, expect
from microtome.records.analysis import Analysis, Labelled
from microtome.records.circuit import HEAD, Circuit
from microtome.records.units import Unit

LESION = "lesion"  # the kind of its analysis
EVERY, DOMAIN, CLASS, TASK = "all", "domain", "class", "task"  # kinds of groups
OTHER = "something else"  # a column of the confusion matrix

# What is done to the units, and what its amount is; the first is the default.
ZERO, MEAN, RESAMPLE, ADD, PERCENTILE = "zero", "mean", "resample", "add", "percentile"
HOWS: Mapping[str, str] = {
    ZERO: "set to zero",
    MEAN: "set to their mean over the reference",
    RESAMPLE: "given the values of another case of the reference",
    ADD: "raised by standard deviations",
    PERCENTILE: "set to a percentile of the reference",
}


@dataclass(frozen=True, slots=True)
class Treatment:
    """What is done to units: one of ``HOWS``.

    ``amount`` is a number of standard deviations (``add``) or a percentile, 0 to 100
    (``percentile``); the other ways have none. Raises InputError for another way or amount.
    """

    how: str = ZERO
    amount: float = 0.0

    def __post_init__(self) -> None:
        if self.how not in HOWS:
            raise InputError(
                f"There is no way {self.how!r} to change units.", f"Choose {', '.join(HOWS)}."
            )
        expect(self.amount, (int, float), "amount", "a number", "Write for example amount=2.0.")
        if self.how == PERCENTILE and not 0 <= self.amount <= 100:
            raise InputError(f"The percentile is {self.amount}.", "Give a number from 0 to 100.")
        if not np.isfinite(self.amount):
            raise InputError(f"The amount is {self.amount}.", "Give a plain number.")

    @property
    def needs_reference(self) -> bool:
        """Whether it depends on what the units do on other cases."""
        return self.how != ZERO

    @property
    def text(self) -> str:
        """In words: what the units were."""
        if self.how == ADD:
            return f"raised by {self.amount:+g} standard deviations"
        if self.how == PERCENTILE:
            return f"set to percentile {self.amount:g} of the reference"
        return HOWS[self.how]


@dataclass(frozen=True, slots=True)
class Chosen:
    """Units that were chosen, the strongest first, and how: ``source`` in words.

    ``index`` is what they were chosen by, such as their selectivity; NaN by hand.
    """

    units: tuple[Unit, ...]
    index: tuple[float, ...]
    source: str

    @classmethod
    def by_hand(cls, units: tuple[Unit, ...], source: str = "by hand") -> Chosen:
        """Units without a measure."""
        return cls(units, (float("nan"),) * len(units), source)


@dataclass(frozen=True, slots=True, eq=False)
class Lesion:
    """Shares of right answers, 0 to 1, by group; the first group is all cases.

    ``measures`` are what counts as right: ``top`` (on top of all answers) and for prompts with a
    wrong answer also ``above`` (above it). ``bands`` are 95 % Wilson intervals. ``doses`` are
    numbers of units, from none to all; ``curve`` has the lesion of the strongest so many,
    ``control`` as many units drawn at random from the same layers. ``confusion`` counts cases
    by what they are (row) and what the model said (column, ``said``), before and after. Of each
    case: its class, and what the model said before and after as columns of ``said``.
    """

    chosen: Chosen
    groups: tuple[str, ...]
    kinds: tuple[str, ...]
    counts: Int[np.ndarray, " group"]
    measures: tuple[str, ...]
    before: Float[np.ndarray, "measure group"]
    after: Float[np.ndarray, "measure group"]
    bands: Float[np.ndarray, "side measure group end"]
    doses: Int[np.ndarray, " dose"]
    curve: Float[np.ndarray, "measure dose group"]
    control: Float[np.ndarray, "draw measure dose group"]
    classes: tuple[str, ...]
    said: tuple[str, ...]
    confusion: Int[np.ndarray, "side class said"]
    case_class: Int[np.ndarray, " case"]
    case_said: Int[np.ndarray, "side case"]
    right: Bool[np.ndarray, "side measure case"]
    params: Mapping[str, Any] = field(default_factory=dict)

    @property
    def units(self) -> tuple[Unit, ...]:
        """What was changed."""
        return self.chosen.units

    @property
    def treatment(self) -> Treatment:
        """What was done to it."""
        return Treatment(str(self.params.get("how", ZERO)), float(self.params.get("amount", 0)))

    @property
    def change(self) -> Float[np.ndarray, "measure group"]:
        """After minus before."""
        return np.asarray(self.after - self.before)

    @property
    def n_controls(self) -> int:
        """How many random lesions there are."""
        return len(self.control)

    @property
    def control_mean(self) -> Float[np.ndarray, "measure dose group"]:
        """The mean of the random lesions; NaN without any."""
        if not len(self.control):
            return np.full(self.curve.shape, np.nan)
        return np.asarray(self.control.mean(0))

    @property
    def control_band(self) -> Float[np.ndarray, "end measure dose group"]:
        """The 2.5th and 97.5th percentile of the random lesions; NaN without any."""
        if not len(self.control):
            return np.full((2, *self.curve.shape), np.nan)
        return np.asarray(np.percentile(self.control, (2.5, 97.5), axis=0))

    def group(self, name: str) -> int:
        """The row of a group. Raises InputError when there is none."""
        if name not in self.groups:
            raise InputError(f"There is no group {name!r}.", f"There are {', '.join(self.groups)}.")
        return self.groups.index(name)

    def rows(self, measure: int = 0) -> list[dict[str, Any]]:
        """A row a group, as plain values."""
        mean, band = self.control_mean[measure, -1], self.control_band[:, measure, -1]
        return [
            {
                "group": name, "kind": self.kinds[at], "cases": int(self.counts[at]),
                "before": float(self.before[measure, at]),
                "before_low": float(self.bands[0, measure, at, 0]),
                "before_high": float(self.bands[0, measure, at, 1]),
                "after": float(self.after[measure, at]),
                "after_low": float(self.bands[1, measure, at, 0]),
                "after_high": float(self.bands[1, measure, at, 1]),
                "change": float(self.change[measure, at]),
                "control": float(mean[at]),
                "control_low": float(band[0, at]), "control_high": float(band[1, at]),
            }
            for at, name in enumerate(self.groups)
        ]  # fmt: skip


_ARRAYS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "counts": (("group",), "cases"),
    "before": (("measure", "group"), "share that is right"),
    "after": (("measure", "group"), "share that is right with the units changed"),
    "bands": (("side", "measure", "group", "end"), "95 % Wilson interval"),
    "doses": (("dose",), "units that are changed"),
    "curve": (("measure", "dose", "group"), "share that is right, the strongest units first"),
    "control": (("draw", "measure", "dose", "group"), "the same of units drawn at random"),
    "confusion": (("side", "class", "said"), "cases, before and after"),
    "case_class": (("case",), "class of the case"),
    "case_said": (("side", "case"), "what the model said"),
    "right": (("side", "measure", "case"), "whether it is right"),
}
_TEXTS = {"groups": "group", "kinds": "group", "measures": "measure", "classes": "class",
          "said": "said"}  # fmt: skip


def lesion_analysis(found: Lesion) -> Analysis:
    """The same as labelled arrays, for panels, files and exports."""
    arrays = {
        name: Labelled((dim,), np.array(getattr(found, name))) for name, dim in _TEXTS.items()
    }
    arrays["units"] = Labelled(("unit",), np.array([str(unit) for unit in found.units]))
    arrays["index"] = Labelled(("unit",), np.array(found.chosen.index), long_name="chosen by")
    for name, (dims, told) in _ARRAYS.items():
        arrays[name] = Labelled(dims, getattr(found, name), long_name=told)
    params = dict(found.params)
    count, title = len(found.units), params.get("title", "")
    return Analysis(
        str(params.get("id", LESION)), LESION,
        f"{count} unit{'s' * (count != 1)} {found.treatment.text}: {found.chosen.source}, {title}",
        arrays, {**params, "chosen": found.chosen.source},
    )  # fmt: skip


def lesion_of(analysis: Analysis) -> Lesion:
    """What an analysis holds, also one from a file."""
    texts = {name: tuple(map(str, analysis.array(name).tolist())) for name in _TEXTS}
    params = dict(analysis.params)
    chosen = Chosen(
        tuple(Unit.parse(str(one)) for one in analysis.array("units").tolist()),
        tuple(float(one) for one in analysis.array("index").tolist()),
        str(params.pop("chosen")),
    )
    arrays = {name: analysis.array(name) for name in _ARRAYS}
    arrays["right"] = arrays["right"].astype(np.bool_)
    return Lesion(chosen=chosen, params=params, **texts, **arrays)  # type: ignore[arg-type]


def units_of_circuit(circuit: Circuit) -> tuple[Unit, ...]:
    """The units that are nodes of a circuit, those with the largest scores first, each once.

    Heads are units at all positions; a node whose id begins with a unit's name is that unit.
    """
    found: list[Unit] = []
    for row in np.argsort(-np.abs(circuit.node_score), kind="stable"):
        unit = _unit_of(circuit, int(row))
        if unit is not None:
            found.append(unit)
    return tuple(dict.fromkeys(found))


def _unit_of(circuit: Circuit, row: int) -> Unit | None:
    if circuit.node_kind[row] == HEAD:
        return Unit(f"z.{circuit.node_layer[row]}", int(circuit.node_head[row]))
    try:
        return Unit.parse(circuit.node_id[row].partition("@")[0])
    except InputError:
        return None
