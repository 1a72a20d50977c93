"""The tree of a model's modules, as a table of frozen rows."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ModuleRow:
    """One module: where it is, what it is, what it holds and what it gives.

    ``weights`` are the names and shapes of its own parameters; ``output`` is the shape of what it
    gave in one run, empty when it was not run or gave no tensor. ``layer`` names the layer of
    units, or the site, that is read here; empty where none is.
    """

    path: str
    kind: str  # the name of its class
    depth: int
    n_parameters: int  # with those of its parts
    weights: tuple[tuple[str, tuple[int, ...]], ...]
    output: tuple[int, ...]
    layer: str = ""

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.path.rpartition(".")[2] or self.kind
