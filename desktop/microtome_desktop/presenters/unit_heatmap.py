"""The layer × channel map of a circuit of units: what each adds to the answer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from microtome.records.circuit import UNITS, Circuit
from microtome.records.session import Session
from microtome.records.units import Unit, short_layer
from microtome_desktop.presenters.grid import Grid, Missing
from microtome_desktop.state.units import unit_layers

NONE = "The circuit of this run has no channels, heads or neurons of a model that sees."


@dataclass(frozen=True, slots=True, eq=False)
class UnitGrid(Grid):
    """A row for each layer, a column for each number that a unit of the circuit has.

    ``names`` are the layers in full; what is no number in ``values`` is not in the circuit.
    """

    names: tuple[str, ...] = ()

    def describe(self, row: int, column: int) -> str:
        """The unit under the cursor and what it adds."""
        value = self.values[row, column]
        number = f"{value:+.4g}".replace("-", "\N{MINUS SIGN}")
        said = "not in the circuit" if np.isnan(value) else f"{number} {self.units}"
        return f"{self.names[row]}/{self.columns[column]} \N{MIDDLE DOT} {said}"

    def unit(self, row: int, column: int) -> str | None:
        """The unit of a cell; None where the circuit has none."""
        if np.isnan(self.values[row, column]):
            return None
        return str(Unit(self.names[row], int(self.columns[column])))

    def cell(self, unit: str | None) -> tuple[int, int] | None:
        """Row and column of a unit; None where it is not in the circuit."""
        layer, _, index = (unit or "").partition("/")
        if layer not in self.names or index not in self.columns:
            return None
        row, column = self.names.index(layer), self.columns.index(index)
        return None if np.isnan(self.values[row, column]) else (row, column)


def has_units(session: Session | None) -> bool:
    """Whether the circuit of a session is one of units."""
    circuit = None if session is None else session.circuit
    return circuit is not None and bool(unit_layers(circuit)) and bool(_rows(circuit))


def unit_grid(session: Session) -> UnitGrid | Missing:
    """The score of each unit by layer and number, the first layer at the bottom."""
    circuit = session.circuit
    if circuit is None or not has_units(session):
        return Missing(NONE)
    names, rows = unit_layers(circuit), _rows(circuit)
    numbers, column = np.unique(circuit.node_feature[rows], return_inverse=True)
    values = np.full((len(names), len(numbers)), np.nan)
    values[circuit.node_layer[rows], column.reshape(-1)] = circuit.node_score[rows]
    bound = max(float(np.nanmax(np.abs(values))), 1e-9)
    metric = str(circuit.metadata.get("metric", "the metric"))
    return UnitGrid(
        values, tuple(short_layer(name) for name in names), tuple(map(str, numbers.tolist())),
        tuple(range(len(names))), -bound, bound, True, "logits",
        f"What each unit adds to {metric}", names=names,
    )  # fmt: skip


def best_unit(circuit: Circuit, layers: tuple[str, ...]) -> str | None:
    """The unit of some layers that adds most to the metric; None where the circuit has none."""
    named = unit_layers(circuit)
    rows = [row for row in _rows(circuit) if named and named[circuit.node_layer[row]] in layers]
    best = max(rows, key=lambda row: float(circuit.node_score[row]), default=None)
    return None if best is None else circuit.node_id[best]


def _rows(circuit: Circuit) -> list[int]:
    """The nodes that are units."""
    return [
        row for row, kind in enumerate(circuit.node_kind)
        if kind in UNITS and circuit.node_layer[row] >= 0
        and circuit.node_feature[row] >= 0
    ]  # fmt: skip
