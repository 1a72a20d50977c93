"""The tree of a model's modules, as it is shown, searched and exported."""

from __future__ import annotations

from collections.abc import Sequence

from microtome.records.modules import ModuleRow
from microtome_desktop.state.exports import Table

HEADERS = ("module", "class", "output", "weights", "parameters", "layer of units")
NO_MODEL = "No model is loaded: its modules are read from it, so open or attach one."


def shape_text(shape: Sequence[int]) -> str:
    """For example ``1 × 32 × 8 × 8``; empty for none."""
    return " \N{MULTIPLICATION SIGN} ".join(map(str, shape))


def weights_text(row: ModuleRow) -> str:
    """Names and shapes of a module's own parameters."""
    return ", ".join(f"{name} {shape_text(shape)}" for name, shape in row.weights)


def cells(row: ModuleRow) -> tuple[str, ...]:
    """What the columns say of a module."""
    return (
        row.name,
        row.kind,
        shape_text(row.output),
        weights_text(row),
        f"{row.n_parameters:,}" if row.n_parameters else "",
        row.layer,
    )


def found(rows: Sequence[ModuleRow], wanted: str) -> frozenset[str]:
    """Paths of the modules that hold every word of ``wanted``, and of all that they are part of."""
    words = wanted.lower().split()
    kept: set[str] = set()
    for row in rows:
        text = " ".join((row.path, *cells(row))).lower()
        if all(word in text for word in words):
            parts = row.path.split(".") if row.path else []
            kept.update(".".join(parts[:count]) for count in range(len(parts) + 1))
    return frozenset(kept)


def modules_table(rows: Sequence[ModuleRow]) -> Table:
    """All modules with their whole paths."""
    return Table(
        ("path", *HEADERS[1:]),
        tuple(
            (row.path, row.kind, shape_text(row.output), weights_text(row), row.n_parameters,
             row.layer)
            for row in rows
        ),
    )  # fmt: skip
